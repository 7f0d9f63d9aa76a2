"""The overview: its HTML goes out with the first figures in it; the bridge for the later ones follows."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import msgspec
import panel as pn

from panel_app import assets, pickers
from panel_app.bridge import Bridge, Handler
from panel_app.measures import MEASURES, TILES
from panel_app.service import LATE_SECONDS, Service
from panel_app.talk import common
from panel_app.view import RANGES

TITLE = "adtally"


def request_query() -> str:
    """The query part of the URL under which this page was asked for."""
    arguments = pn.state.session_args or {}
    pairs = [(name, value.decode("utf-8", "replace")) for name, values in arguments.items() for value in values]
    return urlencode(pairs)


def embedded() -> bool:
    """Whether this page was asked for with ``embed=1``: to stand in another page, where nothing can be cleared."""
    return (pn.state.session_args or {}).get("embed", [b""])[-1] == b"1"


def embeddable(data: bytes) -> str:
    """JSON that can stand in a script element: no name in it can end that element."""
    return data.decode().replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def handlers(service: Service, *, read_only: bool = False) -> dict[str, Handler]:
    """What the overview may ask: view, names (of a picker), and what is `common` to pages."""

    def view(number: int, data: dict[str, Any]) -> str:
        return service.answer(str(data.get("query", "")), number=number, have=str(data.get("have", ""))).decode()

    def names(number: int, data: dict[str, Any]) -> str:
        return pickers.reply(service, number, str(data.get("dimension", "")), str(data.get("search", "")))

    return {"view": view, "names": names, **common(service, read_only=read_only)}


def overview(service: Service, explore: str = "?page=explore", data: str = "?page=data") -> pn.Template:
    """A page for one visitor; `explore` and `data` are where its links to the other pages lead."""
    setup = {
        "currency": service.settings.currency,
        "window": service.settings.window_seconds,
        "late": LATE_SECONDS,
        "ranges": list(RANGES),
        "brokers": service.settings.brokers,
        "logsTopic": service.settings.logs_topic,
        "resultsTopic": service.settings.results_topic,
        "explore": explore,
        "data": data,
        "measures": [
            {"id": one.id, "label": one.label, "short": one.short, "kind": one.kind, "good": one.good, "additive": one.additive}
            for one in (MEASURES[name] for name in TILES)
        ],
    }
    first = embeddable(service.answer(request_query()))
    template = assets.template("overview.html", back="?", setup=embeddable(msgspec.json.encode(setup)), first=first)
    template.add_panel("bridge", Bridge(service, handlers(service, read_only=embedded())))
    return template
