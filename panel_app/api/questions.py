"""The requests of a page over HTTP: `/api/view`, `/api/names`, `/api/stock`, `/api/table` and `/api/sheet`.

A page shows its figures seconds before Bokeh's scripts and WebSocket are ready, and some networks block WebSockets. Until then its
controls send their requests here. The answers are the same as over the WebSocket, with the same limits for embeds. These endpoints
are read-only.
"""

from __future__ import annotations

from abc import abstractmethod
from zlib import crc32

import msgspec
from typing_extensions import override

from dataflows.contract.errors import InputError
from figures.views import parameters
from figures.views.view import scope_of
from panel_app.api import downloads, explore, pickers, stock
from panel_app.server.dashboard import Dashboard
from panel_app.server.web import Guarded


class JsonAnswer(Guarded):
    """A GET request that is answered with JSON."""

    async def get(self) -> None:
        """Send the answer, 304 if `If-None-Match` matches it, or 400 and one line for an invalid query."""
        dashboard = self.dashboard
        self.set_header("Cache-Control", "private, no-cache")
        try:
            with dashboard.telemetry.refreshes.time():
                answer = self.reply(dashboard, self.request.query)
        except InputError as error:
            self.fail(400, str(error))
            return
        self.finish(answer)

    head = get

    @abstractmethod
    def reply(self, dashboard: Dashboard, query: str) -> bytes | str:
        """Return JSON of the answer to the URL's `query`; raises `InputError` if it is invalid."""


class ViewAnswer(JsonAnswer):
    """`/api/view`: what the overview shows under the same query."""

    _tag = ""

    @override
    def reply(self, dashboard: Dashboard, query: str) -> bytes:
        answer = dashboard.service.answered(query, scope=scope_of(query, dashboard.service.settings.breakdown_list))
        live = answer.live
        # The part of the state that does not change with time alone.
        state = msgspec.json.encode((live.feed, live.cleared, live.undo_rows, answer.notes))
        self._tag = f'W/"{answer.token}-{crc32(state):x}"'
        return msgspec.json.encode(answer)

    @override
    def compute_etag(self) -> str | None:
        return self._tag


class NamesAnswer(JsonAnswer):
    """`/api/names`: what a picker offers for `dimension` under `search`."""

    @override
    def reply(self, dashboard: Dashboard, query: str) -> str:
        if scope_of(query, dashboard.service.settings.breakdown_list).filtered:
            raise InputError("an embed with a filter offers no names.")
        last_values = {name: values[-1] for name, values in parameters.parsed(query).items()}
        return pickers.reply(
            dashboard.service,
            0,
            last_values.get("dimension", ""),
            last_values.get("search", "").encode(errors="replace").decode(),
        )


class StockAnswer(JsonAnswer):
    """`/api/stock`: what the Data page shows under the same query."""

    @override
    def reply(self, dashboard: Dashboard, query: str) -> bytes:
        return stock.shown(dashboard, query)


class TableAnswer(JsonAnswer):
    """`/api/table`: the table of the Explore page under the same query; its plots are sent only over the WebSocket."""

    @override
    def reply(self, dashboard: Dashboard, query: str) -> str:
        service = dashboard.service
        figures, notes = explore.find(service, query, scope_of(query, service.settings.breakdown_list))
        return explore.shown(0, figures, notes)


class SheetAnswer(JsonAnswer):
    """`/api/sheet`: the file of a card of the overview, by `what` and `format` (`downloads.reply`), under the page's query."""

    @override
    def reply(self, dashboard: Dashboard, query: str) -> str:
        last_values = {name: values[-1] for name, values in parameters.parsed(query).items()}
        request = {"what": last_values.get("what"), "format": last_values.get("format"), "query": query}
        return downloads.reply(dashboard.service, 0, request, scope_of(query, dashboard.service.settings.breakdown_list))


QUESTIONS = [
    (r"/api/view", ViewAnswer),
    (r"/api/names", NamesAnswer),
    (r"/api/stock", StockAnswer),
    (r"/api/table", TableAnswer),
    (r"/api/sheet", SheetAnswer),
]
"""Routes for Tornado."""
