"""What the Data page shows: what is held and what that costs, how far the dataflow is, what it rejected."""

from __future__ import annotations

import msgspec

from dataflows.commands.rejected import REASONS
from dataflows.telemetry.ages import Recent
from figures.pipeline.rejects import Rejects
from figures.pipeline.status import PipelinePart
from figures.pipeline.watch import Pipeline
from figures.service import Live
from figures.views.held_breakdowns import HeldBreakdown
from figures.views.parameters import Parameters
from panel_app.server.dashboard import Dashboard
from panel_app.server.process_memory import resident_bytes


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


class DataAnswer(msgspec.Struct, frozen=True):
    """The reply to a browser."""

    id: int
    live: Live
    stock: Stock
    pipeline: Pipeline
    rejects: Rejects
    parts: list[PipelinePart]
    """The state of each part of the pipeline, from an event to this page."""
    breakdowns: list[HeldBreakdown]
    """Those of the settings, in their order."""
    reason: str
    """The only reason of which rejected events are listed; empty for all."""
    notes: tuple[str, ...]
    """Parameters of the URL that are not applied, one line each."""


def shown(dashboard: Dashboard, query: str, number: int = 0) -> bytes:
    """Return JSON of a `DataAnswer` for the URL's `query`, of which `reason` applies.

    The first call starts the readers that run only while the page is open: of the rejected events, and of the dataflow's progress.
    """
    service = dashboard.service
    service.rejected.start()
    url_parameters = Parameters(query)
    reason = url_parameters.one("reason", REASONS)
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
        viewers=dashboard.open_pages.viewers(),
        store_hours=settings.store_hours,
        history_days=settings.history_days,
        ages=service.ages.recent(),
    )
    live = service.live(snapshot)
    rejects, parts = service.rejected.rejects(reason), service.parts(snapshot)
    notes = url_parameters.ended()
    return msgspec.json.encode(
        DataAnswer(number, live, stock, service.watch.pipeline(), rejects, parts, service.held_breakdowns(), reason, notes)
    )
