"""What several pages have in common: the messages that they understand, and the part of their set-up that is the same."""

from __future__ import annotations

from typing import Any

from figures.service import Service
from figures.views.view import EVERYTHING, Scope
from panel_app.api import downloads
from panel_app.server.bridge import Handler
from panel_app.server.dashboard import Dashboard
from panel_app.server.gate import LOGOUT

TASTE = ("tz", "week", "currency")
"""Parameters that a browser remembers for its viewer, and writes into a URL that lacks them."""


def setup(dashboard: Dashboard) -> dict[str, Any]:
    """Return what the scripts of every page read: reporting currency, breakdowns, what is remembered, and the address of the log-out."""
    settings = dashboard.service.settings
    return {
        "currency": settings.currency,
        "breakdowns": [{"name": one.name, "fields": one.fields} for one in settings.breakdown_list],
        "taste": TASTE,
        "logout": LOGOUT if dashboard.gate.asks_for_login else "",
    }


def common(service: Service, *, read_only: bool = False, scope: Scope = EVERYTHING) -> dict[str, Handler]:
    """Return the handlers common to all pages: save the data behind a part of the page, within `scope`.

    Unless `read_only`, also clear the data for all viewers, and undo that.
    """

    def download(number: int, data: dict[str, Any]) -> str:
        return downloads.reply(service, number, data, scope)

    def clear(number: int, _data: dict[str, Any]) -> str:
        return f'{{"id":{number},"rows":{service.clear()}}}'

    def undo(number: int, _data: dict[str, Any]) -> str:
        return f'{{"id":{number},"rows":{service.undo()}}}'

    asking: dict[str, Handler] = {"download": download}
    return asking if read_only else {**asking, "clear": clear, "undo": undo}
