"""The overview: its HTML goes out with the first figures in it; the bridge for the later ones follows."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlencode

import msgspec
import panel as pn

from figures.measures import MEASURES, TILES
from figures.service import LATE_SECONDS, Service
from figures.views.view import EVERYTHING, RANGES, Scope, from_query
from panel_app.pages import pickers
from panel_app.pages.talk import common
from panel_app.server import access, assets
from panel_app.server.bridge import Bridge, Handler

TITLE = "adtally"


def request_query() -> str:
    """The query part of the URL under which this page was asked for."""
    arguments = pn.state.session_args or {}
    # Bytes that are not UTF-8 are kept: `parameters` decides whether they can be a name.
    return urlencode([(name.encode("latin-1", "replace"), value) for name, values in arguments.items() for value in values])


def embedded() -> bool:
    """Whether this page was asked for with ``embed=1``: to stand in another page, where nothing can be cleared."""
    return (pn.state.session_args or {}).get("embed", [b""])[-1] == b"1"


def confines() -> Scope:
    """Return the scope of this page: for an embed, the filter that it was opened with."""
    return confines_of(request_query())


def confines_of(query: str) -> Scope:
    """Return the scope of a page with the URL's `query`."""
    if parse_qs(query).get("embed", [""])[-1] != "1":
        return EVERYTHING
    view = from_query(query)
    return Scope(campaigns=view.campaigns, channels=view.channels)


def embeddable(data: bytes) -> str:
    """JSON that can stand in a script element: no name in it can end that element."""
    return data.decode().replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def handlers(service: Service, *, read_only: bool = False, scope: Scope = EVERYTHING) -> dict[str, Handler]:
    """Return the handlers of the overview's requests: view, names (of a picker), and those `common` to all pages.

    Answers are limited to `scope`. A picker offers all names, so there is none in a limited scope.
    """

    def view(number: int, data: dict[str, Any]) -> str:
        return service.answer(str(data.get("query", "")), number=number, have=str(data.get("have", "")), scope=scope).decode()

    def names(number: int, data: dict[str, Any]) -> str:
        return pickers.reply(service, number, str(data.get("dimension", "")), str(data.get("search", "")))

    talk: dict[str, Handler] = {"view": view, **common(service, read_only=read_only, scope=scope)}
    return talk if scope.filtered else {**talk, "names": names}


def overview(service: Service, explore: str = "?page=explore", data: str = "?page=data") -> pn.Template:
    """A page for one visitor; `explore` and `data` are where its links to the other pages lead."""
    scope = confines()
    setup = {
        "currency": service.settings.currency,
        "logout": access.LOGOUT if access.in_force() else "",
        "window": service.settings.window_seconds,
        "late": LATE_SECONDS,
        "ranges": list(RANGES),
        "brokers": service.settings.brokers,
        "logsTopic": service.settings.logs_topic,
        "resultsTopic": service.settings.results_topic,
        "explore": explore,
        "data": data,
        "confines": {"campaign": scope.campaigns, "channel": scope.channels} if scope.filtered else None,
        "measures": [
            {"id": one.id, "label": one.label, "short": one.short, "kind": one.kind, "good": one.good, "additive": one.additive}
            for one in (MEASURES[name] for name in TILES)
        ],
    }
    first = embeddable(service.answer(request_query(), scope=scope))
    template = assets.template("overview.html", back="?", setup=embeddable(msgspec.json.encode(setup)), first=first)
    template.add_panel("bridge", Bridge(service, handlers(service, read_only=embedded(), scope=scope)))
    return template
