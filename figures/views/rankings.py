"""The tables of a page: campaigns and channels, each with its share, change and trend.

Polars has added the rows up by now; for the few remaining ones arrays are faster than another pass of polars.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from figures.measures import UNSIGNED, Floats, Keyed, Keys, ShownMeasure, Sums, compared
from figures.store.names import Names
from figures.store.spelling import folded, matches
from figures.views.keys import untimed
from figures.views.span import TimeSpan
from figures.views.view import ALL_ROWS, PAGE_ROWS, View

SPARE_TRENDS = 100
"""Number of rows of a table whose trends are remembered, though fewer are shown: one of them may soon be."""
_TREND_POINTS = 30
_CHANNEL_ROWS = 50
_TINY = 1e-16
Numbers = list[float | None]


class RankedRow(msgspec.Struct, frozen=True):
    """One campaign or channel: `figures` by measure, `share` of the largest in the chosen one, and how that one changed.

    The last is a `change` (0.1 is +10 %), a `difference` if a percentage has no meaning, or neither (`measures.compared`).
    """

    name: str
    figures: Numbers
    share: float
    change: float | None
    difference: float | None
    trend: Numbers


class RankedTable(msgspec.Struct, frozen=True):
    """The rows shown, how many match the search, and how many there are; `columns` names what is in `figures`."""

    columns: tuple[str, ...]
    rows: list[RankedRow]
    matched: int
    total: int


class Members(msgspec.Struct, frozen=True):
    """The campaigns or the channels of a range; every array has an element for each.

    `figures` by measure, over the range, NaN where there is none; `change` and `difference` compare the complete minutes with the same
    ones of the previous period, in the chosen measure (`measures.compared`).
    """

    numbers: Keys
    names: list[str]
    figures: dict[str, Floats]
    change: Floats
    difference: Floats

    def __len__(self) -> int:
        return len(self.names)

    def only(self, wanted: Callable[[str], bool]) -> Members:
        """Return those whose name is `wanted`."""
        at = [index for index, name in enumerate(self.names) if wanted(name)]
        figures = {name: values[at] for name, values in self.figures.items()}
        names = [self.names[index] for index in at]
        return Members(self.numbers[at], names, figures, self.change[at], self.difference[at])

    def ranked(self, by: str, limit: int, *, descending: bool = True) -> list[int]:
        """Return the indices of the first `limit`, by a measure (or ``name``), then by name; those without a figure come last."""
        names = self.names
        if by == "name":
            return sorted(range(len(names)), key=lambda at: (folded(names[at]), names[at]), reverse=descending)[:limit]
        values = self.figures[by]
        keys = np.where(np.isnan(values), np.inf, -values if descending else values)
        # Names are compared only of those that can be among the first.
        last = np.partition(keys, limit - 1)[limit - 1] if limit < len(keys) else np.inf
        return sorted(np.flatnonzero(keys <= last).tolist(), key=lambda at: (keys[at], names[at]))[:limit]


def grouped(
    parts: Sequence[Keyed], names: Names, measure: ShownMeasure, columns: Sequence[ShownMeasure], *, whole: bool
) -> Members:
    """The campaigns, or channels, of a range, out of their numbers and sums over its complete minutes, its open ones, and the same
    complete ones of the previous period.

    The change is missing where that is not held `whole`.
    """
    numbers = np.union1d(parts[0][0], parts[1][0])
    settled, opened, before = (placed(keys, rows, numbers)[1] for keys, rows in parts)
    total = settled + opened
    change, difference = compared(measure.of(settled), measure.of(before) if whole else np.full(len(numbers), np.nan))
    figures = {each.id: each.of(total) for each in columns}
    return Members(numbers, names.column(numbers.tolist()), figures, change, difference)


def placed(keys: Keys, rows: Sums, wanted: Keys) -> tuple[npt.NDArray[np.bool_], Sums]:
    """Return whether each of `wanted` is among the ascending `keys`, and its sums out of `rows`; 0 if it is not."""
    if not len(keys):
        return np.zeros(len(wanted), bool), np.zeros((len(wanted), rows.shape[1]), rows.dtype)
    indices = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    known = keys[indices] == wanted
    return known, np.where(known[:, None], rows[indices], 0)


def short(values: Floats) -> Numbers:
    """Return six significant digits: more are invisible in a chart, and would double the response. None for NaN and infinity."""
    size = np.abs(values)
    known = np.isfinite(values)
    digits = 5 - np.floor(np.log10(size, out=np.zeros(len(values)), where=known & (size > _TINY)))
    # Powers of ten up to 10^22 are exact, and so is the shortest way to write what comes out.
    up, down = 10.0 ** np.maximum(digits, 0), 10.0 ** np.maximum(-digits, 0)
    rounded = np.rint(values * up / down) * down / up + UNSIGNED
    return [value if is_known else None for value, is_known in zip(rounded.tolist(), known.tolist(), strict=True)]


def campaigns(group: Members, view: View, trends: Callable[[Keys, Keys], list[Numbers]], limit: int = 0) -> RankedTable:
    """The campaigns that match the search: the first `limit`, or else as many as the view wants.

    `trends` gives the trend of each of the campaigns with these numbers; the second ones are those that follow them.
    """
    total = len(group)
    if view.search:
        group = group.only(lambda name: matches(name, view.search))
    limit = limit or (ALL_ROWS if view.all_rows else PAGE_ROWS)
    ranked = group.ranked(view.sorted_by, max(limit, SPARE_TRENDS), descending=view.descending)
    shown = ranked[:limit]
    lines = trends(group.numbers[shown], group.numbers[ranked[limit:]])
    return RankedTable(tuple(group.figures), _rows(group, shown, view.metric, lines), len(group), total)


def channels(group: Members, view: View) -> RankedTable:
    """Return the 50 largest channels."""
    shown = group.ranked(view.metric, _CHANNEL_ROWS)
    return RankedTable(tuple(group.figures), _rows(group, shown, view.metric, [[] for _ in shown]), len(group), len(group))


def _rows(group: Members, shown: list[int], metric: str, trends: list[Numbers]) -> list[RankedRow]:
    figures = np.column_stack([group.figures[name][shown] for name in group.figures])
    largest = float(np.nanmax(group.figures[metric], initial=0.0))
    sizes = np.maximum(np.nan_to_num(group.figures[metric][shown]), 0.0)
    shares = (sizes / largest if largest > 0 else np.zeros(len(shown))).round(4).tolist()
    changes, differences = short(group.change[shown]), short(group.difference[shown])
    rows = zip(shown, figures, shares, changes, differences, trends, strict=True)
    return [RankedRow(group.names[at], short(row), *more) for at, row, *more in rows]


def trends(count: int, keyed: Keyed, *, measure: ShownMeasure, span: TimeSpan, unknown: npt.NDArray[np.bool_]) -> list[Numbers]:
    """The measure of each of `count` rows over the complete part of the range, in at most `_TREND_POINTS` points.

    `keyed` has sums by the index of the row and the time of a point (`keys.timed`); `unknown` is the mask of incomplete points.
    """
    step = max(1, -(-len(span.points) // _TREND_POINTS))
    points = int(np.count_nonzero(span.points.instants[1:] <= span.settled)) // step
    (lines, t), rows = untimed(keyed[0]), keyed[1]
    sums = np.zeros((count, points, rows.shape[1]), rows.dtype)
    buckets = span.points.index(t) // step
    inside = buckets < points
    np.add.at(sums, (lines[inside], buckets[inside]), rows[inside])
    values = measure.of(sums)
    values[:, np.logical_or.reduceat(unknown, np.arange(0, len(unknown), step))[:points]] = np.nan
    return [short(line) for line in values]
