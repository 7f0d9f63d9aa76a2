"""The login by password: Panel's own, with a limit of wrong passwords for each address, and cookies that stay on this site.

The limit is on guessing (OWASP Authentication Cheat Sheet, "Login Throttling"): it does not affect visitors who are logged in.
"""

from __future__ import annotations

import ipaddress
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import jinja2
from panel.auth import CODE_COOKIE_NAME, STATE_COOKIE_NAME, BasicLoginHandler
from panel.config import config
from tornado.web import RequestHandler
from typing_extensions import override

from panel_app.server.gate import Gate, cookie
from panel_app.static import TEMPLATES

log = logging.getLogger("adtally.login")

MOST = 10
"""Wrong passwords in `SECONDS` after which logins from an address are refused."""

SECONDS = 600.0

NETWORKS = 10_000
"""Number of addresses whose wrong passwords are remembered; the one whose last attempt is oldest is forgotten first."""


_COOKIES = (
    "user",
    "id_token",
    "access_token",
    "refresh_token",
    "oauth_expiry",
    "is_guest",
    "next_url",
    STATE_COOKIE_NAME,
    CODE_COOKIE_NAME,
)
"""Cookies that a login of Panel leaves in a browser."""

_ANYBODY = "viewer"
"""User name of visitors who enter none, if all of them share one password."""


class WrongPasswords:
    """Times of wrong passwords, by IPv4 address or by the /64 network of an IPv6 address, because one host owns all of it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, networks: int = NETWORKS) -> None:
        self._clock, self._networks = clock, networks
        self._wrong: OrderedDict[str, list[float]] = OrderedDict()

    def wait(self, address: str | None) -> float:
        """Return the seconds until a password from `address` is checked again; 0 if it is now."""
        wrong = self._recent(_network(address))
        return max(0.0, wrong[-MOST] + SECONDS - self._clock()) if len(wrong) >= MOST else 0.0

    def note(self, address: str | None) -> None:
        """Record a wrong password from `address`."""
        network = _network(address)
        self._wrong[network] = [*self._recent(network), self._clock()]
        self._wrong.move_to_end(network)
        if len(self._wrong) > self._networks:
            self._wrong.popitem(last=False)
        if len(self._wrong[network]) == MOST:
            log.warning("%d wrong passwords from %s; logins from there are refused for a while", MOST, network)

    def _recent(self, network: str) -> list[float]:
        return [moment for moment in self._wrong.get(network, ()) if self._clock() - moment < SECONDS]


def _network(address: str | None) -> str:
    try:
        parsed = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return "an unknown address"  # of a socket without one
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


class _Form:
    """Panel's login template with additional variables."""

    def __init__(self, template: Any, **more: Any) -> None:
        self._template, self._more = template, more

    def render(self, **given: Any) -> str:
        """Return the page."""
        return self._template.render(**given, **self._more)


def logout_route(gate: Gate) -> tuple[str, type[RequestHandler]]:
    """Return the route of the log-out, which replaces Panel's own."""
    text = (TEMPLATES / "login.html").read_text(encoding="utf-8")
    page = jinja2.Environment(autoescape=True).from_string(text).render(out=True, provider=gate.access.oauth_provider)

    class Logout(RequestHandler):
        """Ends the login: copies of its cookie are not valid any more, and open pages get no more figures."""

        def get(self) -> None:
            gate.end(cookie(self.request.cookies))
            for name in _COOKIES:
                self.clear_cookie(name, path=config.cookie_path)
            self.set_header("Cache-Control", "no-store")
            self.write(page)

    return r"/logout", Logout


def login_route(*, tls: bool, named: bool) -> tuple[str, type[BasicLoginHandler]]:
    """Return the route of the login form, which replaces Panel's own.

    `tls`: send the cookies only over HTTPS. `named`: users have names, instead of one password for all.
    """
    attempts = WrongPasswords()

    class PasswordLogin(BasicLoginHandler):
        """The login form. Unlike Panel's own, it shows no text from the URL, keeps the target page after a wrong password, and
        accepts an empty user name."""

        @override
        def initialize(self) -> None:
            self._login_template = _Form(self._login_template, named=named)

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
                self._form("Wrong name or password." if named else "Wrong password.")

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

    return r"/login", PasswordLogin


def login_routes(gate: Gate, *, tls: bool) -> list[tuple[str, type[RequestHandler]]]:
    """Return the routes of login and log-out of `gate`; none without a login."""
    if not gate.access.wants_login:
        return []
    login = [login_route(tls=tls, named=bool(gate.access.users))] if gate.access.by_password else []
    return [*login, logout_route(gate)]
