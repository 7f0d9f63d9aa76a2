"""The Data page: what the dashboard holds and what that costs, how far the dataflow is, what it rejected; and clearing."""

from __future__ import annotations

from typing import Any

import msgspec
import panel as pn

from dataflows.commands.rejected import REASONS
from dataflows.telemetry.ages import LATE_SECONDS
from panel_app.api import stock
from panel_app.pages.talk import common, setup
from panel_app.pages.visit import confines, embedded, request_query
from panel_app.server import assets
from panel_app.server.assets import embeddable
from panel_app.server.bridge import Bridge, Handler
from panel_app.server.dashboard import Dashboard


def data(dashboard: Dashboard, back: str, explore: str, api: str) -> pn.Template | pn.pane.Str:
    """Return the page for one visitor; `back`, `explore` and `api` are where its links lead, the last one empty without such an address."""
    if confines(dashboard.service.settings.breakdown_list).filtered:
        return pn.pane.Str(
            "adtally: this page covers all campaigns and channels, so the filter is not applied and nothing is shown."
        )

    def shown(number: int, request: dict[str, Any]) -> str:
        return stock.shown(dashboard, str(request.get("query", "")), number).decode()

    talk: dict[str, Handler] = {"stock": shown, **common(dashboard.service, read_only=embedded())}
    settings = dashboard.service.settings
    given = {
        **setup(dashboard),
        "late": LATE_SECONDS,
        "back": back,
        "explore": explore,
        "api": api,
        "brokers": settings.brokers,
        "logsTopic": settings.logs_topic,
        "resultsTopic": settings.results_topic,
        "rejectedTopic": settings.rejected_topic,
        "group": settings.group,
        "window": settings.window_seconds,
        "reasons": REASONS,
    }
    first = embeddable(stock.shown(dashboard, request_query()))
    template = assets.template("data.html", back=back, setup=embeddable(msgspec.json.encode(given)), first=first)
    template.add_panel("bridge", Bridge(dashboard, talk))
    return template
