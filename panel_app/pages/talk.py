"""The messages that several pages understand."""

from __future__ import annotations

from typing import Any

from figures.service import Service
from figures.views.view import EVERYTHING, Scope
from panel_app.api import downloads
from panel_app.server.bridge import Handler


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
