"""The one Panel component of a page: it carries messages between a browser and what answers it.

The page draws itself (`static/js`); the browser asks when it is due and visible, so a hidden tab costs nothing here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import panel as pn
from bokeh.document import Document
from panel.custom import JSComponent

from panel_app.server.dashboard import Dashboard
from panel_app.server.gate import cookie

log = logging.getLogger("adtally.dashboard")

_ESM = """
// Hands the connection of this session to the page's own modules, whichever of the two comes first.
export function render({ model }) {
  window.adtallyModel = model;
  document.dispatchEvent(new Event("adtally:model"));
}
"""

Handler = Callable[[int, dict[str, Any]], str]
"""From the number and the fields of a message to the JSON text of its reply."""


class Bridge(JSComponent):
    """Answers the messages of one session.

    A message is an object with `kind`, which picks the handler, and `id`, which comes back in the reply. A reply is JSON text: a
    string passes Bokeh's serializer untouched, however large. After a log-out, in this tab or another, the only answer is that it happened.
    """

    _esm: ClassVar[str] = _ESM  # pyright: ignore[reportIncompatibleVariableOverride]  # Panel's own annotation is broader

    def __init__(self, dashboard: Dashboard, handlers: Mapping[str, Handler], login: str | None = None, **params: Any) -> None:
        """`login`: the signed cookie of the visitor's login; by default that of the request that Panel answers now."""
        super().__init__(**params)
        self._handlers = handlers
        self._refreshes = dashboard.telemetry.refreshes
        self._gate = dashboard.gate
        self._login = cookie(pn.state.cookies) if login is None else login
        dashboard.open_pages.add(self)

    def _handle_msg(self, data: Any) -> None:
        if not isinstance(data, dict):
            return
        number = data.get("id")
        number = number if isinstance(number, int) else 0
        if self._gate.has_ended(self._login):
            self._send_msg('{"ended":true}')
            return
        handler = self._handlers.get(str(data.get("kind")))
        try:
            with self._refreshes.time():
                reply = handler(number, data) if handler else f'{{"id":{number},"error":true}}'
        except Exception:  # one viewer's malformed request must not end the session
            log.exception("answering a viewer's message failed; the page shows an error and asks again")
            reply = f'{{"id":{number},"error":true}}'
        self._send_msg(reply)

    def documents(self) -> list[Document]:
        """The documents of live sessions that contain this bridge; one, or none once its visitor has left."""
        drawn: list[Document | None] = [model.document for model, _parent in list(self._models.values())]
        return [document for document in drawn if document is not None and document.session_context is not None]

    def announce(self) -> None:
        """Inform this session's browser that the data changed, so that it sends its request now and not at its next tick."""
        self._send_msg('{"changed":true}')
