"""The points of tiles and chart, as arrays: the rows are few, and another pass of polars would cost more."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from figures.measures import Keyed, ShownMeasure, Sums, compared
from figures.store.snapshot import Snapshot
from figures.views.grid import Grid
from figures.views.keys import untimed
from figures.views.rankings import Members, Numbers, short
from figures.views.span import TimeSpan

_SHOWN_CHANNELS = 8
COLORS = 8
"""Number of colours for channels (`--channel-0` and on in the style sheet)."""
_PALETTE = {name: color for color, name in enumerate(("search", "social", "display", "email", "video"))}


class Tile(msgspec.Struct, frozen=True):
    """A figure of the range, and what it `was` in the previous period: in the same minutes, as they were counted.

    If minutes are excluded from the comparison, `compared` is the figure of the others, else None. `change` is `measures.compared` of
    the two (0.1 is +10 %); `difference` replaces it where a percentage has no meaning. None if a figure is unknown.
    """

    id: str
    value: float | None
    was: float | None
    change: float | None
    difference: float | None
    compared: float | None
    spark: Numbers


class Series(msgspec.Struct, frozen=True):
    """One line of the chart; `values` has one number per point, None where there is none."""

    name: str | None
    """None stands for all the smaller channels together."""
    color: int
    values: Numbers


class Chart(msgspec.Struct, frozen=True):
    """The main chart: points at `t` (seconds), channels, and the previous period's total, empty if it is not compared.

    By point: `open` contains a window that is provisional or not over; `partial` is not held from its beginning; `fixed` contains a
    corrected window.
    """

    t: list[int]
    open: list[bool]
    partial: list[bool]
    fixed: list[bool]
    series: list[Series]
    previous: Numbers

    def incomplete(self, span: TimeSpan) -> npt.NDArray[np.bool_]:
        """Return the mask of incomplete points, which would look like a drop; `span` is that of the chart."""
        return np.array(self.open) | np.array(self.partial) | span.unheld


Lines = Mapping[int, Sums]
"""Sums of each channel by point: as many of the previous period as of the range, in this order."""


def lines(cells: Keyed, earlier: Keyed, span: TimeSpan) -> Lines:
    """Sums by channel and point, out of those of the range and of the previous period by channel and time (`keys.timed`)."""
    count = len(span.points)
    (now, now_t), (was, was_t) = untimed(cells[0]), untimed(earlier[0])
    numbers = np.union1d(now, was)
    filled = np.zeros((len(numbers), 2 * count, cells[1].shape[1]), np.result_type(cells[1], earlier[1]))
    filled[np.searchsorted(numbers, now), count + span.points.index(now_t)] = cells[1]
    if len(was):
        filled[np.searchsorted(numbers, was), span.earlier.index(was_t)] = earlier[1]
    return dict(zip(numbers.tolist(), filled, strict=True))


def _together(parts: Iterable[Sums], span: TimeSpan, columns: int) -> Sums:
    """Return the total of several channels' sums by point; of none of them as many `columns` of zeros."""
    first, *others = [*parts] or [np.zeros((2 * len(span.points), columns), np.int64)]
    return sum(others, start=first)


def tiles(
    measures: Sequence[ShownMeasure],
    lines: Lines,
    span: TimeSpan,
    shown: Chart,
    *,
    now: Sums | None,
    complete: Sums | None,
    before: Sums | None,
) -> list[Tile]:
    """Return the tiles of `measures`: `now` is the whole range, `complete` its compared minutes, `before` those of the previous period.

    A sparkline has only the complete points of the chart `shown`: an incomplete one would look like a drop.
    """
    count = len(span.points)
    full = int(np.count_nonzero(span.points.instants[1:] <= span.settled))
    points = _together(lines.values(), span, 0 if now is None else len(now))[count : count + full]
    unknown = shown.incomplete(span)[:full]
    value, settled, was = (np.array([_one(measure, part) for measure in measures]) for part in (now, complete, before))
    change, difference = compared(settled, was)
    left_out = before is not None and span.compared < min(span.newest_end, span.end) - span.start
    figures = zip(measures, value.tolist(), was.tolist(), change.tolist(), difference.tolist(), settled.tolist(), strict=True)
    return [
        Tile(
            measure.id,
            _known(figure),
            _known(earlier),
            _known(part),
            _known(apart),
            _known(counted) if left_out else None,
            [] if now is None else _values(measure, points, unknown=unknown),
        )
        for measure, figure, earlier, part, apart, counted in figures
    ]


def _one(measure: ShownMeasure, total: Sums | None) -> float:
    return math.nan if total is None else float(measure.of(total))


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _values(measure: ShownMeasure, points: Sums, *, unknown: npt.NDArray[np.bool_]) -> Numbers:
    """Return the measure at each point; 0 without events, None if it is `unknown` or its denominator is 0."""
    values = measure.of(points)
    values[unknown] = np.nan
    return short(values)


def palette(channels: list[str]) -> dict[str, int]:
    """A colour number for each channel: the well-known ones have their own, the others take the next in the alphabet."""
    others = sorted(name for name in channels if name.lower() not in _PALETTE)
    numbers = {name: len(_PALETTE) + index for index, name in enumerate(others)}
    return numbers | {name: _PALETTE[name.lower()] for name in channels if name.lower() in _PALETTE}


def apart(numbers: dict[str, int], colors: int) -> dict[str, int]:
    """Return a colour index below `colors` for each of the names drawn together: that of its own number, or the next free one."""
    chosen: dict[str, int] = {}
    free = [*range(colors)]
    for name, number in sorted(numbers.items(), key=lambda pair: pair[1]):
        best = min(free, key=lambda color: (color - number) % colors, default=number % colors)
        chosen[name] = best
        if best in free:
            free.remove(best)
    return chosen


def chart(snapshot: Snapshot, measure: ShownMeasure, span: TimeSpan, lines: Lines, channels: Members) -> Chart:
    """The main chart: at most eight lines, the smaller channels in one. `rankings.Members.ranked` says which are small."""
    count, columns = len(span.points), len(snapshot.shape.sums)
    ranked = channels.numbers[channels.ranked(measure.rank, len(channels))].tolist()
    kept = ranked if len(ranked) <= _SHOWN_CHANNELS else ranked[: _SHOWN_CHANNELS - 1]
    names = snapshot.channels.names
    numbers = palette(names)
    colors = apart({names[number]: numbers[names[number]] for number in kept if number in lines}, COLORS)
    starts, ends, nothing = span.points.instants[:-1], span.points.instants[1:], span.unheld
    series = [
        Series(names[number], colors[names[number]], _values(measure, lines[number][count:], unknown=nothing))
        for number in kept
        if number in lines
    ]
    series.sort(key=lambda line: line.color)
    if small := [lines[number] for number in ranked[len(kept) :] if number in lines]:
        series.append(Series(None, -1, _values(measure, _together(small, span, columns)[count:], unknown=nothing)))
    open_, fixed = (_holding(snapshot, kind, span.points) for kind in ("open", "fixed"))
    past: Numbers = []
    if span.compared:
        begins, stops = span.earlier.instants[:-1], span.earlier.instants[1:]
        unknown = (begins < span.known) | (stops > span.newest_end) | (begins == stops) | _holding(snapshot, "open", span.earlier)
        past = _values(measure, _together(lines.values(), span, columns)[:count], unknown=unknown)
    return Chart(
        t=starts.tolist(),
        open=(open_ | (starts < span.newest_end) & (ends > span.newest_end)).tolist(),
        partial=(~nothing & (starts < span.known)).tolist(),
        fixed=fixed.tolist(),
        series=series,
        previous=past,
    )


def _holding(snapshot: Snapshot, kind: str, points: Grid) -> npt.NDArray[np.bool_]:
    """Return the mask of `points` with windows that are `open` or `fixed`."""
    states = snapshot.states(points.start, points.end)
    marked = np.zeros(len(points), bool)
    marked[points.index(states["t"].filter(states[kind]).to_numpy())] = True
    return marked
