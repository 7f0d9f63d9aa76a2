"""The Data page: what the dashboard holds and what that costs, how far the dataflow is, what it rejected; and clearing."""

from __future__ import annotations

from typing import Any

import msgspec
import panel as pn

from dataflows.commands.rejected import REASONS
from dataflows.telemetry.ages import Recent
from figures.pipeline.operations import Pipeline, Rejects
from figures.pipeline.status import Part
from figures.service import LATE_SECONDS, Live, Service
from figures.store.memory import resident_bytes
from figures.views.parameters import Parameters
from panel_app.pages.overview import confines, embeddable, embedded, request_query
from panel_app.pages.talk import common
from panel_app.server import access, assets
from panel_app.server.bridge import Bridge, Handler, viewers


class Stock(msgspec.Struct, frozen=True):
    """What is held; times in seconds since 1970, memory in bytes."""

    rows: int
    packed: int
    oldest: int
    newest_end: int
    campaigns: int
    channels: int
    held_bytes: int
    process_bytes: int
    viewers: int
    store_hours: float
    history_days: float
    ages: Recent


class Shown(msgspec.Struct, frozen=True):
    """The reply to a browser."""

    id: int
    live: Live
    stock: Stock
    pipeline: Pipeline
    rejects: Rejects
    parts: list[Part]
    """The state of each part of the pipeline, from an event to this page."""
    reason: str
    """The only reason of which rejected events are listed; empty for all."""
    notes: tuple[str, ...]
    """Parameters of the URL that are not applied, one line each."""


def shown(service: Service, query: str, number: int = 0) -> bytes:
    """JSON of a `Shown` under the URL's `query`, of which `reason` counts. Looking begins what is only done while somebody looks."""
    service.rejected.start()
    given = Parameters(query)
    reason = given.one("reason", REASONS)
    snapshot, settings = service.snapshot(), service.settings
    stock = Stock(
        rows=snapshot.rows,
        packed=snapshot.packed,
        oldest=snapshot.oldest,
        newest_end=snapshot.newest + settings.window_seconds if snapshot.rows else 0,
        campaigns=len(snapshot.campaigns.names) if snapshot.rows else 0,
        channels=len(snapshot.channels.names) if snapshot.rows else 0,
        held_bytes=snapshot.bytes,
        process_bytes=resident_bytes(),
        viewers=viewers(service),
        store_hours=settings.store_hours,
        history_days=settings.history_days,
        ages=service.ages.recent(),
    )
    live = service.live(snapshot)
    rejects, parts = service.rejected.rejects(reason), service.parts(snapshot)
    return msgspec.json.encode(Shown(number, live, stock, service.watch.pipeline(), rejects, parts, reason, given.ended()))


def data(service: Service, back: str, explore: str, api: str) -> pn.Template | pn.pane.Str:
    """A page for one visitor; `back`, `explore` and `api` are where its links lead, the last one empty where there is no such address."""
    if confines().filtered:
        return pn.pane.Str(
            "adtally: this page covers all campaigns and channels, so the filter is not applied and nothing is shown."
        )

    def stock(number: int, asked: dict[str, Any]) -> str:
        return shown(service, str(asked.get("query", "")), number).decode()

    talk: dict[str, Handler] = {"stock": stock, **common(service, read_only=embedded())}
    settings = service.settings
    setup = {
        "currency": settings.currency,
        "logout": access.LOGOUT if access.in_force() else "",
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
    first = embeddable(shown(service, request_query()))
    template = assets.template("data.html", back=back, setup=embeddable(msgspec.json.encode(setup)), first=first)
    template.add_panel("bridge", Bridge(service, talk))
    return template
