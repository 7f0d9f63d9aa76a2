"""The pages that are open in a browser: how many there are, and how they are informed at once that the data changed."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Protocol

from bokeh.document import Document
from bokeh.server.session import ServerSession


class OpenPage(Protocol):
    """What a page's bridge offers."""

    def documents(self) -> Iterable[Document]:
        """Return the documents of live sessions; one, or none once the visitor has left."""
        ...

    def announce(self) -> None:
        """Inform the browser that the data changed, so that it asks now and not at its next tick."""


class OpenPages:
    """The pages of one dashboard; each leaves by itself when its session is gone."""

    def __init__(self) -> None:
        self._pages: weakref.WeakSet[OpenPage] = weakref.WeakSet()

    def add(self, page: OpenPage) -> None:
        """Count `page` from now on."""
        self._pages.add(page)

    def viewers(self) -> int:
        """Return the number of pages that are open in a browser now.

        Bokeh keeps a session for half a minute after its browser has gone, so it is the connections that count.
        """
        return sum(any(map(_is_connected, page.documents())) for page in list(self._pages))

    def announce(self) -> None:
        """Inform every page that the data changed."""
        for page in list(self._pages):
            for document in page.documents():
                # In that session's own turn, under its own lock.
                document.add_next_tick_callback(page.announce)


def _is_connected(document: Document) -> bool:
    session: ServerSession | None = getattr(document.session_context, "session", None)
    return session is not None and session.connection_count > 0
