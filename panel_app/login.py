"""The login by password: Panel's own, which hears only so many wrong ones from a place, and whose cookies stay on this site.

The limit is on guessing (OWASP Authentication Cheat Sheet, "Login Throttling"): who is logged in already does not notice it.
"""

from __future__ import annotations

import ipaddress
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from panel.auth import BasicLoginHandler
from typing_extensions import override

log = logging.getLogger("adtally.login")

MOST = 10
"""Wrong passwords in `SECONDS` after which nothing more is heard from a place."""

SECONDS = 600.0

PLACES = 10_000
"""Of so many places the wrong passwords are remembered; the one that was heard of longest ago is forgotten first."""


_ANYBODY = "viewer"
"""The name of who gives none, where one password lets everybody in."""


class Attempts:
    """When wrong passwords came, by place: an IPv4 address, or the /64 network of an IPv6 address, for one host has all of that."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong: OrderedDict[str, list[float]] = OrderedDict()

    def wait(self, address: str | None) -> float:
        """Seconds until a password from `address` is heard; 0 if it is now."""
        wrong = self._recent(_place(address))
        return max(0.0, wrong[-MOST] + SECONDS - self._clock()) if len(wrong) >= MOST else 0.0

    def note(self, address: str | None) -> None:
        """A wrong password came from `address`."""
        place = _place(address)
        self._wrong[place] = [*self._recent(place), self._clock()]
        self._wrong.move_to_end(place)
        if len(self._wrong) > PLACES:
            self._wrong.popitem(last=False)
        if len(self._wrong[place]) == MOST:
            log.warning("%d wrong passwords from %s: none is heard from there for a while", MOST, place)

    def _recent(self, place: str) -> list[float]:
        return [moment for moment in self._wrong.get(place, ()) if self._clock() - moment < SECONDS]


def _place(address: str | None) -> str:
    try:
        found = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return "an unknown address"  # of a socket without one
    if isinstance(found, ipaddress.IPv6Address):
        return str(found.ipv4_mapped or ipaddress.ip_network((found, 64), strict=False))
    return str(found)


def login_route(*, tls: bool) -> tuple[str, type[BasicLoginHandler]]:
    """The route that stands before Panel's own; `tls`: the cookies go over HTTPS alone."""
    attempts = Attempts()

    class Login(BasicLoginHandler):
        """Unlike Panel's own it shows no text out of the URL, knows after a wrong password where somebody wanted to go, and lets in
        who gives no name."""

        @override
        def get(self) -> None:
            self.request.arguments.pop("error", None)
            if self.get_argument("next", ""):
                super().get()  # which remembers it
            else:
                self._form()

        @override
        def post(self) -> None:
            wait = attempts.wait(self.request.remote_ip)
            if wait:
                self.set_status(429)
                self.set_header("Retry-After", str(round(wait) + 1))
                self._form(f"Too many wrong passwords came from your address; try again in {int(wait // 60) + 1} min.")
            elif self._validate(self.get_argument("username", ""), self.get_argument("password", "")):
                super().post()
            else:
                self.set_status(401)
                self._form("Wrong name or password.")

        def _form(self, message: str = "") -> None:
            self.write(self._login_template.render(login_endpoint=self._login_endpoint, errormessage=message))

        @override
        def set_current_user(self, user: str) -> None:
            super().set_current_user(user or _ANYBODY)

        @override
        def _validate(self, username: str, password: str) -> bool:
            right = bool(super()._validate(username, password))
            if not right:
                attempts.note(self.request.remote_ip)
            return right

        @override
        def set_cookie(self, *args: Any, **kwargs: Any) -> None:
            super().set_cookie(*args, **{"samesite": "Lax", "secure": tls, **kwargs})

    return r"/login", Login
