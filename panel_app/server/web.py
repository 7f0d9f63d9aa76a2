"""The base of the dashboard's own HTTP answers: plain, never cached, without content sniffing, and never a page."""

from __future__ import annotations

from typing import Any

import msgspec
from bokeh.server.auth_provider import NullAuth
from bokeh.server.views.auth_request_handler import AuthRequestHandler
from typing_extensions import override

from panel_app.server.dashboard import Dashboard, FindDashboard


class PlainHandler(AuthRequestHandler):
    """A request that is answered with data, or with `{"error": "one line"}`."""

    @override
    def initialize(self, find: FindDashboard) -> None:
        """`find` returns the dashboard that answers."""
        self._find = find

    @property
    def dashboard(self) -> Dashboard:
        """The dashboard that answers; raises `SettingsError`."""
        return self._find()

    @override
    def set_default_headers(self) -> None:
        """Forbid browsers to cache these answers, to sniff their type, to run them, and to frame them in another site."""
        self.clear_header("Server")
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
        self.set_header("Referrer-Policy", "no-referrer")

    @override
    def write_error(self, status_code: int, **_kwargs: Any) -> None:
        """Send Tornado's own errors (405, 500) in the same form, without any part of the request."""
        words = {405: "this address answers GET and HEAD only."}.get(
            status_code, "the dashboard could not answer; its log says why."
        )
        self.fail(status_code, words)

    def fail(self, status: int, words: str) -> None:
        """End with an HTTP `status` and one line; `words` never repeat any part of the request."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.clear_header("Content-Disposition")
        self.finish(msgspec.json.encode({"error": words}) + b"\n")


class Guarded(PlainHandler):
    """A `PlainHandler` for visitors with access to the dashboard; without a login only visitors from this machine have access."""

    @override
    async def prepare(self) -> None:
        """Send 401 without a login, because a script can't follow a redirect to a form, and 403 without access."""
        await super().prepare()
        if self.current_user is None:
            self.set_header("WWW-Authenticate", 'Cookie realm="adtally"')
            self.fail(401, "log in at the dashboard first, and send its cookie.")
            return
        panels_login = not isinstance(getattr(self.application, "auth_provider", None), NullAuth)
        if reason := self.dashboard.gate.refusal(self.request.cookies, self.request.remote_ip, panels_login=panels_login):
            self.fail(403, reason)
