"""The overview: its HTML goes out with the first figures in it; the bridge for the later ones follows."""

from __future__ import annotations

from typing import Any

import msgspec
import panel as pn

from dataflows.telemetry.ages import LATE_SECONDS
from figures.service import Service
from figures.views.view import EVERYTHING, RANGES, Scope
from panel_app.api import pickers
from panel_app.pages.talk import common, setup
from panel_app.pages.visit import confines, embedded, request_query
from panel_app.server import assets
from panel_app.server.assets import embeddable
from panel_app.server.bridge import Bridge, Handler
from panel_app.server.dashboard import Dashboard

TITLE = "adtally"


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


def overview(dashboard: Dashboard, explore: str = "?page=explore", data: str = "?page=data") -> pn.Template:
    """Return the page for one visitor; `explore` and `data` are where its links to the other pages lead."""
    scope, service = confines(dashboard.service.settings.breakdown_list), dashboard.service
    given = {
        **setup(dashboard),
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
            {
                "id": measure.id,
                "label": measure.label,
                "short": measure.short,
                "kind": measure.unit,
                "good": measure.good,
                "additive": measure.additive,
            }
            for measure in service.catalogue.measures.values()
        ],
    }
    first = embeddable(service.answer(request_query(), scope=scope))
    template = assets.template("overview.html", back="?", setup=embeddable(msgspec.json.encode(given)), first=first)
    template.add_panel("bridge", Bridge(dashboard, handlers(service, read_only=embedded(), scope=scope)))
    return template
