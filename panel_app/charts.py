"""The points of tiles and chart, as arrays: here the rows are few, and one more pass of polars would cost more than all of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import msgspec
import numpy as np

from panel_app.measures import SUMS, Keys, Measure, Sums
from panel_app.snapshot import Snapshot
from panel_app.tables import Group, Numbers, short

_SHOWN_CHANNELS = 8
COLORS = 8
"""So many colours a page has for channels (`--channel-0` and on in its style sheet)."""
_PALETTE = {name: place for place, name in enumerate(("search", "social", "display", "email", "video"))}


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


Lines = Mapping[int, Sums]
"""Sums of each channel by point: as many of the previous period as of the range, in this order."""


def lines(channels: Keys, t: Keys, rows: Sums, span: Span) -> Lines:
    """Sums by channel and point, out of `rows` of which each has a channel's number and the time of a point."""
    count = 2 * len(span.points)
    numbers, line = np.unique(channels, return_inverse=True)
    filled = np.zeros((len(numbers), count, len(SUMS)), rows.dtype)
    filled[line, (t - (span.start - span.length)) // span.bucket] = rows
    return dict(zip(numbers.tolist(), filled, strict=True))


def _together(parts: Iterable[Sums], span: Span) -> Sums:
    """Several channels' sums by point, added up."""
    return sum(parts, start=np.zeros((2 * len(span.points), len(SUMS)), np.int64))


def tiles(
    measures: Iterable[Measure], lines: Lines, span: Span, *, now: Sums | None, complete: Sums | None, before: Sums | None
) -> list[Tile]:
    """The tiles of `measures`: `now` is the whole range, `complete` its complete minutes, `before` the same ones of the previous period."""
    count = len(span.points)
    points = _together(lines.values(), span)[count:]
    # Complete points only, for an open minute would hang down from the end of a sparkline.
    full = sum(at + span.bucket <= span.settled for at in span.points)
    found: list[Tile] = []
    for measure in measures:
        value, settled, earlier = (_one(measure, part) for part in (now, complete, before))
        change = None if settled is None or not earlier else settled / earlier - 1
        was = earlier if not value or change is None or change == -1 else value / (1 + change)
        spark = [] if complete is None else _values(measure, points[:full], span)
        found.append(Tile(measure.id, value, was, change, spark))
    return found


def _one(measure: Measure, total: Sums | None) -> float | None:
    value = math.nan if total is None else float(measure.of(total))
    return None if math.isnan(value) else value


def _values(measure: Measure, points: Sums, span: Span, shift: int = 0) -> Numbers:
    """The measure at each point; 0 where nothing happened, None where nothing is known or nothing is to divide by."""
    found = measure.of(points)
    start = np.arange(len(points)) * span.bucket + span.start - shift
    found[(start + span.bucket <= span.oldest) | (start >= span.newest_end)] = np.nan
    return short(found)


def palette(channels: list[str]) -> dict[str, int]:
    """A colour number for each channel: the well-known ones have their own, the others take the next in the alphabet."""
    others = sorted(name for name in channels if name.lower() not in _PALETTE)
    found = {name: len(_PALETTE) + place for place, name in enumerate(others)}
    return found | {name: _PALETTE[name.lower()] for name in channels if name.lower() in _PALETTE}


def apart(numbers: dict[str, int], colors: int) -> dict[str, int]:
    """Of what is drawn together, the place of each among so many `colors`: its own number's, or the next that is free."""
    found: dict[str, int] = {}
    free = [*range(colors)]
    for name, number in sorted(numbers.items(), key=lambda pair: pair[1]):
        place = min(free, key=lambda one: (one - number) % colors, default=number % colors)
        found[name] = place
        if place in free:
            free.remove(place)
    return found


def chart(snapshot: Snapshot, measure: Measure, span: Span, lines: Lines, channels: Group) -> Chart:
    """The main chart: at most eight lines, the smaller channels in one. Which are small tells `tables.Group.ranked`."""
    count = len(span.points)
    ranked = channels.numbers[channels.ranked(measure.rank, len(channels))].tolist()
    kept = ranked if len(ranked) <= _SHOWN_CHANNELS else ranked[: _SHOWN_CHANNELS - 1]
    names = snapshot.channels.names
    numbers = palette(names)
    colors = apart({names[number]: numbers[names[number]] for number in kept if number in lines}, COLORS)
    series = [
        Series(names[number], colors[names[number]], _values(measure, lines[number][count:], span))
        for number in kept
        if number in lines
    ]
    series.sort(key=lambda one: one.color)
    if small := [lines[number] for number in ranked[len(kept) :] if number in lines]:
        series.append(Series(None, -1, _values(measure, _together(small, span)[count:], span)))
    past = _together(lines.values(), span)[:count]
    open_, fixed = _marks(snapshot, span)
    return Chart(
        t=list(span.points),
        open=open_,
        fixed=fixed,
        series=series,
        previous=_values(measure, past, span, span.length) if past.any() else [],
    )


def _marks(snapshot: Snapshot, span: Span) -> tuple[list[bool], list[bool]]:
    """Which points hold open windows, and which corrected ones."""
    states = snapshot.states(span.start, span.end)
    places = (states["t"].to_numpy() - span.start) // span.bucket
    found: list[list[bool]] = []
    for kind in ("open", "fixed"):
        marked = np.zeros(len(span.points), bool)
        marked[places[states[kind].to_numpy()]] = True
        found.append(marked.tolist())
    return found[0], found[1]
