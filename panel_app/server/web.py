"""What the dashboard's own HTTP answers have in common: plain, never stored, never guessed at, and never a page."""

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
        """Nothing of these answers is kept, taken for another type, run, or shown in a frame of another site."""
        self.clear_header("Server")
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
        self.set_header("Referrer-Policy", "no-referrer")

    @override
    def write_error(self, status_code: int, **_kwargs: Any) -> None:
        """Tornado's own errors (405, 500) in the same form, without what was asked."""
        words = {405: "this address answers GET and HEAD only."}.get(
            status_code, "the dashboard could not answer; its log says why."
        )
        self.fail(status_code, words)

    def fail(self, status: int, words: str) -> None:
        """End with an HTTP `status` and one line; `words` never repeat what was given."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.clear_header("Content-Disposition")
        self.finish(msgspec.json.encode({"error": words}) + b"\n")


class Guarded(PlainHandler):
    """The same for who may see the dashboard; where it asks for no login, that is who comes from this machine."""

    @override
    async def prepare(self) -> None:
        """401 for who is not logged in, for a script can't follow a redirection to a form; 403 for who may not see it."""
        await super().prepare()
        if self.current_user is None:
            self.set_header("WWW-Authenticate", 'Cookie realm="adtally"')
            self.fail(401, "log in at the dashboard first, and send its cookie.")
            return
        panels_login = not isinstance(getattr(self.application, "auth_provider", None), NullAuth)
        if reason := self.dashboard.gate.refusal(self.request.cookies, self.request.remote_ip, panels_login=panels_login):
            self.fail(403, reason)
