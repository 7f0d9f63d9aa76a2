"""The one Panel component of a page: it carries messages between a browser and what answers it.

The page draws itself (`static/js`); the browser asks when it is due and visible, so a hidden tab costs nothing here.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

import panel as pn
from bokeh.document import Document
from bokeh.server.session import ServerSession
from panel.custom import JSComponent

from figures.service import Service
from panel_app.server import access

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

    def __init__(self, service: Service, handlers: Mapping[str, Handler], **params: Any) -> None:
        super().__init__(**params)
        self._handlers = handlers
        self._refreshes = service.refreshes
        self._login = access.cookie(pn.state.cookies)
        _sessions(service).add(self)

    def _handle_msg(self, data: Any) -> None:
        if not isinstance(data, dict):
            return
        number = data.get("id")
        number = number if isinstance(number, int) else 0
        if access.has_ended(self._login):
            self._send_msg('{"ended":true}')
            return
        handler = self._handlers.get(str(data.get("kind")))
        try:
            with self._refreshes.time():
                reply = handler(number, data) if handler else f'{{"id":{number},"error":true}}'
        except Exception:  # one viewer's odd request must not end his session
            log.exception("a message of a viewer could not be answered")
            reply = f'{{"id":{number},"error":true}}'
        self._send_msg(reply)

    def documents(self) -> list[Document]:
        """The documents of live sessions that this bridge stands in; one, or none once its visitor has left."""
        found: list[Document | None] = [model.document for model, _parent in list(self._models.values())]
        return [document for document in found if document is not None and document.session_context is not None]

    def announce(self) -> None:
        """Tell this session's browser that the data changed at one stroke, so that it asks now and not at its next tick."""
        self._send_msg('{"changed":true}')


_by_service: weakref.WeakKeyDictionary[Service, weakref.WeakSet[Bridge]] = weakref.WeakKeyDictionary()


def _sessions(service: Service) -> weakref.WeakSet[Bridge]:
    found = _by_service.get(service)
    if found is None:
        found = _by_service[service] = weakref.WeakSet()
        service.store.on_cleared(partial(_announce, found))
    return found


def viewers(service: Service) -> int:
    """Pages of `service` that are open in a browser now.

    Bokeh keeps a session for half a minute after its browser has gone, so it is the connections that count.
    """
    return sum(any(_connected(document) for document in bridge.documents()) for bridge in list(_sessions(service)))


def _connected(document: Document) -> bool:
    session: ServerSession | None = getattr(document.session_context, "session", None)
    return session is not None and session.connection_count > 0


def _announce(sessions: weakref.WeakSet[Bridge]) -> None:
    for bridge in list(sessions):
        for document in bridge.documents():
            # On that session's own turn, under its own lock.
            document.add_next_tick_callback(bridge.announce)
