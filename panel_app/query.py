"""From a snapshot and a view to the figures of one page. Pure functions on polars frames; they know no Panel and no Kafka.

The range ends with the newest window that is held, not with the clock on the wall, so that a page of replayed data is never empty.
Windows at its end that are still provisional are `open`: they count in the figures and stay out of every comparison.
"""

from __future__ import annotations

from typing import Any

import msgspec
import polars as pl

from panel_app import charts, matrix, tables
from panel_app.blocks import floor_to
from panel_app.charts import Chart, Span, Tile
from panel_app.matrix import Heatmap, Scatter
from panel_app.measures import COUNTS, MEASURES, TILES, sums
from panel_app.snapshot import Snapshot
from panel_app.tables import BEFORE, BEFORE_OPEN, OPEN, SETTLED
from panel_app.view import FITTING, RANGES, View

_OPEN_LIMIT = 5
_DAY = 86_400
_LEVELS = (["t", "part"], ["channel", "part"], ["part"])
Row = dict[str, Any]


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
    length = max(length, bucket)
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

    One frame holds the range and the period before it. Every row is marked with the part of time that it lies in, so that one
    pass over the rows, and few over what is left, give everything: a call into polars costs more than the rows of an hour.
    """
    span = span_of(snapshot, view, window)
    add = sums(wide=snapshot.wide)
    cells, pairs = pl.collect_all(
        [
            _marked(_chosen(snapshot, view, span, by, grain), span).group_by(*keys, "part").agg(add)
            for by, grain, keys in (("channel", span.bucket, ("t", "channel")), ("both", _DAY, ("campaign", "channel")))
        ]
    )
    by_time, by_channel, by_part, campaigns = pl.collect_all(
        [*(cells.lazy().group_by(keys).agg(add) for keys in _LEVELS), pairs.lazy().group_by("campaign", "part").agg(add)]
    )
    parts: dict[int, Row] = {row["part"]: row for row in by_part.iter_rows(named=True)}
    now = _sum(parts.get(SETTLED), parts.get(OPEN))
    # A previous period of which only a part is held compares with nothing.
    whole = snapshot.oldest <= span.start - span.length and not snapshot.empty
    before = parts.get(BEFORE) if whole else None
    by_measure = msgspec.structs.replace(view, sort="", descending=True)
    all_campaigns, all_channels = pl.collect_all(
        [
            tables.ordered(campaigns, snapshot.campaigns, view, dimension="campaign", whole=whole),
            tables.ordered(by_channel, snapshot.channels, by_measure, dimension="channel", whole=whole),
        ]
    )
    points = charts.by_point(by_time, span)
    # Worked out only for the campaigns that are shown: the trends of the others are nobody's.
    rows = _marked(_chosen(snapshot, view, span, "both", span.bucket), span)
    return Page(
        version=snapshot.version,
        rows=snapshot.rows,
        oldest=snapshot.oldest,
        newest=snapshot.newest,
        span=span,
        empty=now is None,
        tiles=[charts.tile(MEASURES[name], points, span, now=now, complete=parts.get(SETTLED), before=before) for name in TILES],
        chart=charts.chart(snapshot, view, span, cells=cells, by_time=by_time, by_channel=by_channel),
        campaigns=tables.campaigns(all_campaigns, view, rows, span, wide=snapshot.wide, limit=limit),
        channels=tables.channels(all_channels, view),
        heatmap=matrix.heatmap(pairs, snapshot, view, campaigns=all_campaigns, channels=all_channels),
        scatter=matrix.scatter(all_campaigns, all_channels),
        funnel=_funnel(now) or dict.fromkeys(COUNTS, 0.0),
        funnel_before=_funnel(before),
    )


def _chosen(snapshot: Snapshot, view: View, span: Span, by: str, grain: int) -> pl.LazyFrame:
    """The rows of the range and the period before it at `grain` seconds, split by `by` if no filter needs the other one too.

    Where only the parts of time matter, and not its points, whole days will do.
    """
    cuts = (span.start, span.settled, span.settled - span.length)
    rows = snapshot.between(span.start - span.length, span.end, grain, cuts, "both" if view.filtered else by).lazy()
    if view.campaigns:
        rows = rows.filter(pl.col("campaign").is_in(snapshot.campaigns.known(view.campaigns)))
    if view.channels:
        rows = rows.filter(pl.col("channel").is_in(snapshot.channels.known(view.channels)))
    return rows


def _marked(rows: pl.LazyFrame, span: Span) -> pl.LazyFrame:
    """`rows` with `part`, and `t` brought down to its bucket."""
    t = pl.col("t")
    part = (
        pl.when(t >= span.settled)
        .then(OPEN)
        .when(t >= span.start)
        .then(SETTLED)
        .when(t >= span.settled - span.length)
        .then(BEFORE_OPEN)
        .otherwise(BEFORE)
        .cast(pl.UInt8)
        .alias("part")
    )
    return rows.with_columns(part, floor_to(span.bucket))


def _sum(*rows: Row | None) -> Row | None:
    given = [row for row in rows if row is not None]
    return {name: sum(row[name] for row in given) for name in given[0]} if given else None


def _funnel(row: Row | None) -> dict[str, float]:
    return {name: float(row[name]) for name in COUNTS} if row else {}
