"""From a snapshot and a view to the figures of one page. Pure functions on polars frames; they know no Panel and no Kafka.

The range ends with the newest window that is held, not with the clock on the wall, so that a page of replayed data is never empty.
Windows at its end that are still provisional are `open`: they count in the figures and stay out of every comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from typing import TypeVar

import msgspec
import numpy as np
import polars as pl

from panel_app import charts, matrix, tables
from panel_app.blocks import floor_to
from panel_app.charts import Cells, Chart, Span, Tile
from panel_app.matrix import Heatmap, Scatter, pair
from panel_app.measures import COUNTS, MEASURES, SUMS, TILES, Sums, added, sums
from panel_app.measures import matrix as as_matrix
from panel_app.snapshot import Snapshot
from panel_app.tables import Numbers
from panel_app.view import FITTING, RANGES, View

_OPEN_LIMIT = 5
_DAY = 86_400
T = TypeVar("T")
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

    What lies before the open minutes is added up once for all views of a minute (`Snapshot.remembered`), so that a refresh costs the
    open ones: a call into polars costs more than the rows of an hour.
    """
    span = span_of(snapshot, view, window)
    source = _Source(snapshot, view, span)
    measure = MEASURES[view.metric]
    settled, opened, earlier = source.settled(), source.opened(), source.before()
    given = [part.total for part in (settled, opened) if len(part.total)]
    now = sum(given[1:], start=given[0]) if given else None
    # A previous period of which only a part is held compares with nothing.
    whole = snapshot.oldest <= span.start - span.length and not snapshot.empty
    before = earlier.total if whole and len(earlier.total) else None
    complete = settled.total if len(settled.total) else None
    parts = (settled, opened, earlier)
    all_campaigns = tables.grouped([part.campaigns for part in parts], snapshot.campaigns, measure, whole=whole)
    all_channels = tables.grouped([part.channels for part in parts], snapshot.channels, measure, whole=whole)
    lines = charts.lines(source.cells(), span)
    return Page(
        version=snapshot.version,
        rows=snapshot.rows,
        oldest=snapshot.oldest,
        newest=snapshot.newest,
        span=span,
        empty=now is None,
        tiles=charts.tiles([MEASURES[name] for name in TILES], lines, span, now=now, complete=complete, before=before),
        chart=charts.chart(snapshot, measure, span, lines, all_channels),
        campaigns=tables.campaigns(all_campaigns, view, source.trends, limit),
        channels=tables.channels(all_channels, view),
        heatmap=matrix.heatmap([settled.pairs, opened.pairs], measure, campaigns=all_campaigns, channels=all_channels),
        scatter=matrix.scatter(all_campaigns, all_channels),
        funnel=dict.fromkeys(COUNTS, 0.0) if now is None else _funnel(now),
        funnel_before={} if before is None else _funnel(before),
    )


class _Part:
    """Sums over a part of time: `pairs` by campaign and channel (see `pair`), `campaigns`, `channels`, and in `total`."""

    def __init__(self, rows: pl.DataFrame, *, wide: bool) -> None:
        """`rows` are split by both; there may be several of a pair. `wide` as for `measures.matrix`."""
        keys = pair(rows["campaign"].to_numpy().astype(np.int64), rows["channel"].to_numpy())
        self.pairs = added(keys, as_matrix(rows, wide=wide))
        keys, found = self.pairs
        self.campaigns = added(keys // pair(1, 0), found)
        self.channels = added(keys % pair(1, 0), found)
        self.total: Sums = self.channels[1].sum(axis=0) if len(found) else found[:0]


class _Source:
    """The sums that one page is made of, under the filters of its view."""

    def __init__(self, snapshot: Snapshot, view: View, span: Span) -> None:
        self._snapshot, self._view, self._span = snapshot, view, span
        self._closed = max(span.settled, span.start)

    def settled(self) -> _Part:
        """The complete minutes of the range."""
        return self._part(self._span.start, self._closed)

    def before(self) -> _Part:
        """The same minutes of the previous period."""
        return self._part(self._span.start - self._span.length, self._closed - self._span.length)

    def opened(self) -> _Part:
        """The open minutes of the range. They are few: what they are added up from are the rows themselves."""
        wide = self._snapshot.wide
        return self._remembered(
            self._closed, self._span.end, "part", lambda start, end: _Part(self._rows(start, end, 60), wide=wide)
        )

    def cells(self) -> list[Cells]:
        """Sums by channel and point of time, from the beginning of the previous period on; of one point there may be several."""
        span, bucket = self._span, self._span.bucket
        return [
            self._remembered(span.start - span.length, self._closed, ("cells", bucket), self._points),
            self._remembered(
                self._closed, span.end, ("cells", bucket), lambda start, end: self._cells(self._rows(start, end, 60))
            ),
        ]

    def trends(self, numbers: list[int]) -> list[Numbers]:
        """The chosen measure of some campaigns over the complete part of the range, in at most `tables.TREND_POINTS` points."""
        span = self._span
        step = span.bucket * max(1, -(-len(span.points) // tables.TREND_POINTS))

        def places(start: int, end: int) -> pl.DataFrame:
            # By the minute the rows themselves are read: sums by campaign would take as much memory again.
            rows = self._rows(start, end, span.bucket, "campaign" if span.bucket > 60 else "both")
            place = ((pl.col("t") - span.start) // step).alias("place")
            return self._added(rows.lazy().filter(pl.col("campaign").is_in(numbers)), "campaign", place)

        cells = self._remembered(span.start, self._closed, ("trends", span.bucket, step, tuple(numbers)), places)
        points = (self._closed - span.start) // step
        known = max((span.oldest - span.start) // step, 0)
        return tables.trends(cells, numbers, MEASURES[self._view.metric], points=points, known=known)

    def _part(self, start: int, end: int) -> _Part:
        def make(start: int, end: int) -> _Part:
            # Only the parts of time matter, and not its points: whole days will do.
            return _Part(self._added(self._rows(start, end, _DAY).lazy(), "campaign", "channel"), wide=self._snapshot.wide)

        return self._remembered(start, end, "part", make)

    def _points(self, start: int, end: int) -> Cells:
        bucket = self._span.bucket
        return self._cells(self._added(self._rows(start, end, bucket, "channel").lazy(), floor_to(bucket), "channel"))

    def _cells(self, rows: pl.DataFrame) -> Cells:
        channels = rows["channel"].to_numpy().astype(np.int64)
        return Cells(rows["t"].to_numpy(), channels, as_matrix(rows, wide=self._snapshot.wide))

    def _remembered(self, start: int, end: int, key: Hashable, make: Callable[[int, int], T]) -> T:
        key = (key, self._view.campaigns, self._view.channels)
        return self._snapshot.remembered(start, end, key, partial(make, start, end))

    def _rows(self, start: int, end: int, grain: int, by: str = "both") -> pl.DataFrame:
        """The rows of this part of time that the view wants, split by `by` at least."""
        snapshot, view = self._snapshot, self._view
        rows = snapshot.between(start, end, grain, by="both" if view.filtered else by)
        if view.campaigns:
            rows = rows.filter(pl.col("campaign").is_in(snapshot.campaigns.known(view.campaigns)))
        if view.channels:
            rows = rows.filter(pl.col("channel").is_in(snapshot.channels.known(view.channels)))
        return rows

    def _added(self, rows: pl.LazyFrame, *keys: str | pl.Expr) -> pl.DataFrame:
        return rows.group_by(*keys).agg(sums(wide=self._snapshot.wide)).collect()


def _funnel(total: Sums) -> dict[str, float]:
    return dict(zip(COUNTS, map(float, total[_FUNNEL]), strict=True))
