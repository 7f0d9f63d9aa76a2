"""The gate of a dashboard: which visitor may see it, by the cookie of a login or by the address, and which logins have ended."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from panel.config import config
from tornado.web import decode_signed_value

from panel_app.server.access import Access, is_loopback

LOGOUT = "./logout"
"""Address of the log-out, relative to any page; Panel's own log-out has the same."""

_MOST_ENDED = 100_000


def cookie(cookies: Mapping[str, Any]) -> str:
    """Return the signed cookie of a login; empty without one."""
    login = cookies.get("user")
    return str(getattr(login, "value", login) or "")


class Gate:
    """Admits visitors by the settings `access`, and remembers the logins that were ended, in this process only."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._ended: OrderedDict[bytes, None] = OrderedDict()
        """Digests of the cookies of ended logins."""

    @property
    def asks_for_login(self) -> bool:
        """Whether visitors have to log in, by these settings or by Panel's own flags, and so can log out."""
        return self.access.wants_login or self.panels_login

    @property
    def panels_login(self) -> bool:
        """Whether Panel's own flags ask for a login."""
        return bool(config.basic_auth or config.oauth_provider)

    def refusal(self, cookies: Mapping[str, Any], remote: str | None, *, panels_login: bool = False) -> str:
        """Return why a visitor may not see the dashboard, in one line; empty if the visitor may.

        `cookies`: of the request; `remote`: the address that it came from; `panels_login`: Panel has let the visitor in by a login
        of its own flags.
        """
        if self.access.wants_login:
            visitor = self._user(cookies)
            if not visitor:
                return "you are logged out; log in again."
            return "" if self.access.allows(visitor) else "you are logged in, but not among those who may see this dashboard."
        if self.access.open_to_everyone or panels_login or is_loopback(remote or ""):
            return ""
        return (
            "this dashboard has no login, so it answers only its own machine; docs/security.md says how its operator can open it."
        )

    def end(self, signed: str) -> None:
        """End the login of this signed cookie: no copy of the cookie is valid any more."""
        if not self._user({"user": signed}):
            return  # not a valid login: forged cookies must not fill the memory
        self._ended[_digest(signed)] = None
        while len(self._ended) > _MOST_ENDED:
            self._ended.popitem(last=False)

    def has_ended(self, signed: str) -> bool:
        """Return whether this login was ended by logging out."""
        return bool(signed) and _digest(signed) in self._ended

    def _user(self, cookies: Mapping[str, Any]) -> str | None:
        """Return the logged-in user by the signed cookie: Panel's own `state.user` trusts an unsigned cookie that names a guest."""
        signed = cookie(cookies)
        if not config.cookie_secret or not signed or self.has_ended(signed):
            return None
        decoded = decode_signed_value(config.cookie_secret, "user", signed, max_age_days=config.oauth_expiry)
        return decoded.decode() if decoded else None


def _digest(signed: str) -> bytes:
    return hashlib.sha256(signed.encode(errors="replace")).digest()
