"""The Explore page: choose measures, what they are split by, and the grain of time; look at them with hvplot, and take them away.

hvplot, pandas and HoloViews take seconds to import: `pages` does it on a thread, or when this page is opened. Plots and table use the
viewer's time zone, downloads UTC.
"""

from __future__ import annotations

from typing import Any

import msgspec
import panel as pn

from figures.views.exploring import GRAINS, KINDS, SPANS, ExploreFigures
from figures.views.result_table import file_stem
from figures.views.selection import SPLITS
from panel_app.api import explore
from panel_app.api.downloads import packed
from panel_app.pages import plots
from panel_app.pages.talk import setup
from panel_app.pages.visit import confines, request_query
from panel_app.server import assets
from panel_app.server.assets import embeddable
from panel_app.server.bridge import Bridge, Handler
from panel_app.server.dashboard import Dashboard


def explorer(dashboard: Dashboard, back: str) -> pn.Template:
    """Return the page for one visitor; `back` is the address of the overview."""
    scope, service = confines(dashboard.service.settings.breakdown_list), dashboard.service

    def find(query: str) -> tuple[ExploreFigures, tuple[str, ...]]:
        return explore.find(service, query, scope)

    # The browser requests the plots once it is connected and its theme is known, so they are drawn only once.
    pane = pn.Column(pn.pane.Str("Drawing …"), sizing_mode="stretch_width", min_height=200)

    def show(number: int, data: dict[str, Any]) -> str:
        figures, notes = find(str(data.get("query", "")))
        zone = plots.zone_of(str(data.get("zone", "UTC")))
        pane.objects = [
            plots.draw(
                figures,
                currency="each in its own currency" if figures.ask.by_currency else figures.currency.money,
                dark=data.get("dark") is True,
                narrow=data.get("narrow") is True,
                zone=zone,
            )
        ]
        return explore.shown(number, figures, notes, zone)

    def download(number: int, data: dict[str, Any]) -> str:
        figures, _notes = find(str(data.get("query", "")))
        name = file_stem("explore", figures.ask.span, figures.ask.zone, str(figures.about["currency"]))
        return packed(number, name, figures.frame, str(data.get("format")), figures.about)

    talk: dict[str, Handler] = {"explore": show, "download": download}
    given = {
        **setup(dashboard),
        "back": back,
        "confines": {"campaign": scope.campaigns, "channel": scope.channels} if scope.filtered else None,
        "measures": [
            {"id": measure.id, "label": measure.label, "short": measure.short} for measure in service.catalogue.measures.values()
        ],
        "splits": SPLITS,
        "grains": list(GRAINS),
        "spans": list(SPANS),
        "kinds": KINDS,
    }
    known = embeddable(explore.shown(0, *find(request_query())).encode())
    template = assets.template("explore.html", back=back, setup=embeddable(msgspec.json.encode(given)), first=known)
    template.add_panel("bridge", Bridge(dashboard, talk))
    template.add_panel("plots", pane)
    return template
