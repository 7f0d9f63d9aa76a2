"""The points of tiles and chart. Here the rows are few, and plain Python is quicker than another pass of polars."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import msgspec
import polars as pl

from panel_app.blocks import floor_to
from panel_app.measures import MEASURES, SUMS, Measure, figure
from panel_app.snapshot import Snapshot
from panel_app.tables import SETTLED, Numbers, short
from panel_app.view import View

_SHOWN_CHANNELS = 8
_PALETTE = {name: place for place, name in enumerate(("search", "social", "display", "email", "video"))}
Points = Mapping[int, Mapping[str, Any]]
"""Rows of sums by start of bucket, in seconds."""


class Span(msgspec.Struct, frozen=True):
    """Where a view lies in time; seconds since 1970. The previous period is the same span, `length` earlier."""

    start: int
    end: int
    """End of the range's last point."""
    settled: int
    """Windows from here on are open."""
    newest_end: int
    bucket: int
    length: int
    range: str
    """Which of `view.RANGES` it is."""
    oldest: int
    """Start of the oldest window that is held; before it nothing is known."""

    @property
    def points(self) -> range:
        """The start of each bucket."""
        return range(self.start, self.end, self.bucket)


class Tile(msgspec.Struct, frozen=True):
    """A figure and what it `was` up to the same point of the previous period; `change` is one to the other, 0.1 is +10 %.

    Counted are the complete minutes of both; the open ones stand in `value`, and in `was` in the same proportion. None where there
    is nothing to divide by, or nothing to compare with.
    """

    id: str
    value: float | None
    was: float | None
    change: float | None
    spark: Numbers


class Series(msgspec.Struct, frozen=True):
    """One line of the chart; `values` has one number per point, None where there is none."""

    name: str | None
    """None stands for all the smaller channels together."""
    color: int
    values: Numbers


class Chart(msgspec.Struct, frozen=True):
    """The main chart: points at `t` (seconds), `open` and `fixed` by point, channels, and the previous period's total."""

    t: list[int]
    open: list[bool]
    fixed: list[bool]
    series: list[Series]
    previous: Numbers


def by_point(by_time: pl.DataFrame, span: Span) -> Points:
    """The range's rows by bucket, open windows left out."""
    return {row["t"]: row for row in by_time.iter_rows(named=True) if row["part"] == SETTLED and row["t"] >= span.start}


Sums = Mapping[str, Any] | None
"""A row of sums, or None where nothing was counted."""


def tile(measure: Measure, points: Points, span: Span, *, now: Sums, complete: Sums, before: Sums) -> Tile:
    """The tile of `measure`: `now` is the whole range, `complete` its complete minutes, `before` the same ones of the previous period."""
    value, settled, earlier = figure(measure, now), figure(measure, complete), figure(measure, before)
    change = None if settled is None or not earlier else settled / earlier - 1
    was = earlier if not value or change is None or change == -1 else value / (1 + change)
    return Tile(measure.id, value, was, change, spark(measure, points, span))


def spark(measure: Measure, points: Points, span: Span) -> Numbers:
    """The sparkline of a tile: complete points only, for an open minute would hang down from its end."""
    shown = [at for at in span.points if at + span.bucket <= span.settled]
    return _values(measure, points, span, shown) if points else []


def _values(measure: Measure, rows: Points, span: Span, at: list[int], shift: int = 0) -> Numbers:
    """The measure at each point; 0 where nothing happened, None where nothing is known or nothing is to divide by."""
    nothing = 0.0 if measure.additive else None
    out: Numbers = []
    for point in at:
        start = point - shift
        if start + span.bucket <= span.oldest or start >= span.newest_end:
            out.append(None)
        else:
            row = rows.get(start)
            out.append(nothing if row is None else figure(measure, row))
    return short(out)


def _add(into: dict[int, dict[str, float]], row: Mapping[str, Any]) -> None:
    held = into.get(row["t"])
    if held is None:
        into[row["t"]] = {name: row[name] for name in SUMS}
    else:
        for name in SUMS:
            held[name] += row[name]


def palette(channels: list[str]) -> dict[str, int]:
    """A colour number for each channel: the well-known ones have their own, the others take the next in the alphabet."""
    others = sorted(name for name in channels if name.lower() not in _PALETTE)
    found = {name: len(_PALETTE) + place for place, name in enumerate(others)}
    return found | {name: _PALETTE[name.lower()] for name in channels if name.lower() in _PALETTE}


def chart(
    snapshot: Snapshot, view: View, span: Span, *, cells: pl.DataFrame, by_time: pl.DataFrame, by_channel: pl.DataFrame
) -> Chart:
    """The main chart of `view`: at most eight lines, the smaller channels in one.

    The frames hold sums by `part` of time, and by `t` and `channel`, by `t`, and by `channel`.
    """
    measure = MEASURES[view.metric]
    points = list(span.points)
    weight = measure.size
    now = by_channel.filter(pl.col("part") >= SETTLED).group_by("channel").agg(pl.col(weight).cast(pl.Float64).sum())
    ranked: list[int] = now.sort(weight, "channel", descending=[True, False])["channel"].to_list()
    kept = set(ranked if len(ranked) <= _SHOWN_CHANNELS else ranked[: _SHOWN_CHANNELS - 1])
    lines: defaultdict[int | None, dict[int, dict[str, float]]] = defaultdict(dict)
    for row in cells.iter_rows(named=True):
        if row["part"] >= SETTLED:
            _add(lines[row["channel"] if row["channel"] in kept else None], row)
    before: dict[int, dict[str, float]] = {}
    for row in by_time.iter_rows(named=True):
        if row["part"] < SETTLED:
            _add(before, row)
    names = snapshot.channels.names
    colors = palette(names)
    series = [
        Series(
            None if number is None else names[number],
            -1 if number is None else colors[names[number]],
            _values(measure, rows, span, points),
        )
        for number, rows in lines.items()
    ]
    open_, fixed = _marks(snapshot, span)
    return Chart(
        t=points,
        open=[at in open_ for at in points],
        fixed=[at in fixed for at in points],
        series=sorted(series, key=lambda one: (one.name is None, one.color)),
        previous=_values(measure, before, span, points, span.length) if before else [],
    )


def _marks(snapshot: Snapshot, span: Span) -> tuple[set[int], set[int]]:
    states = snapshot.states(span.start, span.end).with_columns(floor_to(span.bucket))
    return set(states["t"].filter(states["open"])), set(states["t"].filter(states["fixed"]))
