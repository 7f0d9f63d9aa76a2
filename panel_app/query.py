"""From a snapshot and a view to the figures of one page. Pure functions on polars frames; they know no Panel and no Kafka.

The range ends with the newest window that is held, not with the clock on the wall, so that a page of replayed data is never empty.
Windows at its end that are still provisional are `open`: they count in the figures and stay out of every comparison.
"""

from __future__ import annotations

import msgspec

from panel_app import charts, matrix, tables
from panel_app.charts import Chart, Span, Tile
from panel_app.matrix import Heatmap, Scatter
from panel_app.measures import COUNTS, MEASURES, SUMS, TILES, Sums
from panel_app.snapshot import Snapshot
from panel_app.source import Source, untimed
from panel_app.tables import Numbers
from panel_app.view import FITTING, RANGES, View

_OPEN_LIMIT = 5
_FUNNEL = [SUMS.index(name) for name in COUNTS]


class Page(msgspec.Struct, frozen=True):
    """Everything that the overview shows of the data, under one version of the store."""

    version: int
    rows: int
    oldest: int
    newest: int
    span: Span
    empty: bool
    tiles: list[Tile]
    chart: Chart
    campaigns: tables.Table
    channels: tables.Table
    heatmap: Heatmap
    scatter: Scatter
    funnel: dict[str, float]
    funnel_before: dict[str, float]
    """Over the same minutes one period earlier; empty where that period is not held."""


def span_of(snapshot: Snapshot, view: View, window: int) -> Span:
    """Where `view` lies in time, given what is held and the length of a window in seconds."""
    held = snapshot.newest + window - snapshot.oldest
    # Who asks for no range gets one whose figures can be compared: an hour, or less while less is held.
    name = view.range or next((one for one in FITTING if 2 * RANGES[one][0] <= held), FITTING[-1])
    length, bucket = RANGES[name]
    bucket = max(bucket, window)
    newest_end = snapshot.newest + window
    end = -(-newest_end // bucket) * bucket
    length = -(-length // bucket) * bucket
    settled = newest_end
    states = snapshot.states(newest_end - _OPEN_LIMIT * window, newest_end)
    open_ = set(states["t"].filter(states["open"]).to_list())
    while settled - window in open_:
        settled -= window
    return Span(
        start=end - length,
        end=end,
        settled=settled,
        newest_end=newest_end,
        bucket=bucket,
        length=length,
        range=name,
        oldest=snapshot.oldest,
    )


def page(snapshot: Snapshot, view: View, window: int = 60, limit: int = 0) -> Page:
    """The figures of `view`; `window` is the length of a window in seconds, `limit` a number of campaigns other than the view's.

    What lies before the open minutes is remembered (`source`), so that a refresh costs those: a call into polars costs more than
    the rows of an hour.
    """
    span = span_of(snapshot, view, window)
    source = Source(snapshot, view, span)
    measure = MEASURES[view.metric]
    settled, opened, earlier = parts = source.settled(), source.opened(), source.before()
    given = [part.total for part in (settled, opened) if part.total is not None]
    now = sum(given[1:], start=given[0]) if given else None
    # A previous period of which only a part is held compares with nothing.
    whole = snapshot.oldest <= span.start - span.length and not snapshot.empty
    before = earlier.total if whole else None
    all_campaigns = tables.grouped([part.campaigns for part in parts], snapshot.campaigns, measure, whole=whole)
    all_channels = tables.grouped([part.channels for part in parts], snapshot.channels, measure, whole=whole)
    keys, rows = source.cells()
    lines = charts.lines(*untimed(keys), rows, span)

    def trends(numbers: list[int]) -> list[Numbers]:
        keys, rows = source.trends(numbers)
        return tables.trends(numbers, *untimed(keys), rows, measure=measure, span=span)

    return Page(
        version=snapshot.version,
        rows=snapshot.rows,
        oldest=snapshot.oldest,
        newest=snapshot.newest,
        span=span,
        empty=now is None,
        tiles=charts.tiles([MEASURES[name] for name in TILES], lines, span, now=now, complete=settled.total, before=before),
        chart=charts.chart(snapshot, measure, span, lines, all_channels),
        campaigns=tables.campaigns(all_campaigns, view, trends, limit),
        channels=tables.channels(all_channels, view),
        heatmap=matrix.heatmap([settled.pairs, opened.pairs], measure, campaigns=all_campaigns, channels=all_channels),
        scatter=matrix.scatter(all_campaigns, all_channels),
        funnel=dict.fromkeys(COUNTS, 0.0) if now is None else _funnel(now),
        funnel_before={} if before is None else _funnel(before),
    )


def _funnel(total: Sums) -> dict[str, float]:
    return dict(zip(COUNTS, map(float, total[_FUNNEL]), strict=True))
