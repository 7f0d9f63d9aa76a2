"""The sums that one page is made of. What lies before the open minutes is added up once, and then moves along with the time.

When a minute is over, the range has one minute more at its end and one less at its beginning: both are small compared to it, and the sums
are integers, so that adding and subtracting is exact. Where an older minute was corrected, everything is added up again.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from functools import cached_property, partial
from typing import TypeVar

import numpy as np
import polars as pl

from dataflows.contract.breakdowns import Value
from figures.measures import Keyed, Keys, Sums, added, joined, matrix, sums
from figures.store.blocks import block_of
from figures.store.names import Names
from figures.store.shape import column_of
from figures.store.snapshot import Snapshot
from figures.views.breakdown_filter import condition
from figures.views.grid import Grid
from figures.views.keys import PAIRS, KeyCode
from figures.views.span import TimeSpan
from figures.views.view import Filtered, View

T = TypeVar("T")
Stretches = tuple[tuple[int, int], ...]
"""Parts of time: start and end of each, in seconds since 1970 and in order."""

_DAY = 86_400
_FEW = 1800
"""Up to this many seconds are added up from their minutes; block sums would be out of date at once."""
_STRETCHES = 8
"""More stretches than this are read as one, and the minutes between them dropped."""
_INDEX = "index of the key"
"""Column of a row's key while trends are added up; no field of a breakdown can have this name."""
_TIMES = 2**40
_EARLIEST = -(2**38)
"""Seconds since 1970; no date that a result can have lies before it, or `_TIMES` after it."""


def timed(numbers: Keys, t: Keys) -> Keys:
    """Return one number for a name's number and a time (seconds since 1970)."""
    return numbers * _TIMES + (t - _EARLIEST)


def untimed(keys: Keys) -> tuple[Keys, Keys]:
    """Return the names' numbers and the times that `timed` combined."""
    return keys // _TIMES, keys % _TIMES + _EARLIEST


def conditions(snapshot: Snapshot, wanted: Filtered, currency: str | None) -> dict[str, pl.Expr]:
    """Return what rows of `snapshot` must satisfy, by the dimension that is tested: the filter `wanted`, and one currency.

    A filter on the values of a breakdown needs a snapshot of it. There is no condition on the currency if it is None, or if nothing else
    is held.
    """
    tested: dict[str, pl.Expr] = {}
    for dimension, names in (("campaign", wanted.campaigns), ("channel", wanted.channels)):
        if names:
            tested[dimension] = _is_one_of(dimension, snapshot.names[dimension], names)
    currencies = snapshot.names["currency"]
    if currency is not None and currencies.names not in ([], [currency]):
        tested["currency"] = _is_one_of("currency", currencies, [currency])
    for one in wanted.filters:
        dimension = column_of(one.field)
        passes = condition(one, dimension, snapshot.names[dimension])
        # A page that is embedded with a filter may have a second one on the same field.
        tested[dimension] = tested[dimension] & passes if dimension in tested else passes
    return tested


def _is_one_of(dimension: str, known: Names, names: Iterable[Value]) -> pl.Expr:
    return pl.col(dimension).is_in(known.known(names))


class PeriodSums:
    """Sums over a part of time: by `KeyCode` in `pairs`, which are campaign and channel unless said otherwise, and in `total`."""

    def __init__(self, keys: Keys, rows: Sums) -> None:
        """`keys` may have several rows of one."""
        keys, sums = added(keys, rows)
        # A result has at least one event, so a row without events is no longer in the range.
        there = sums.any(axis=1)
        self.pairs = (keys, sums) if there.all() else (keys[there], sums.T[:, there].T)
        keys, sums = self.pairs
        self.total: Sums | None = sums.sum(axis=0) if len(sums) else None
        self.memo: object = None
        """What was computed from these sums last; what keeps it here also keeps what it depends on."""

    @cached_property
    def campaigns(self) -> Keyed:
        """Sums by campaign, out of `pairs` of campaign and channel."""
        keys, sums = self.pairs
        return added(PAIRS.decode(keys)[0], sums)

    @cached_property
    def channels(self) -> Keyed:
        """Sums by channel, out of `pairs` of campaign and channel."""
        keys, sums = self.pairs
        return added(PAIRS.decode(keys)[1], sums)


class PageSums:
    """The sums of `snapshot` under the filters of `view`, in and before the range `span`, split by the names of `code`.

    They are of the rows in `currency`; None for all rows, whatever their currency.
    """

    lanes: tuple[str, ...] = ()
    """What sums by channel and point are split by besides."""

    def __init__(self, snapshot: Snapshot, view: View, span: TimeSpan, currency: str | None, code: KeyCode = PAIRS) -> None:
        self._currency = currency
        self._code, self._names = code, code.dimensions
        self._snapshot, self._view, self._span = snapshot, view, span
        self._conditions = conditions(snapshot, view, currency)
        self._sums = snapshot.shape.sums
        self._closed = span.closed

    def compared(self) -> PeriodSums:
        """Return the sums over the minutes of the range that are compared with the previous period."""
        return self._compared("settled", self._span.start, self._closed, self._span.apart)

    def before(self) -> PeriodSums:
        """Return the sums over the same minutes of the previous period; of none without a comparison."""
        span = self._span
        if not span.earlier:
            return PeriodSums(*self._pairs(span.start, span.start))
        return self._compared("before", span.earlier.start, span.earlier_closed, span.earlier_apart)

    def left_out(self) -> PeriodSums:
        """Return the sums over the other minutes of the range: the open ones at its end, and the `apart` ones."""
        tail = self._tail(
            "open",
            lambda start, end: PeriodSums(*self._summed(start, end)),
            lambda start, end: PeriodSums(*self._pairs(start, end)),
        )
        return PeriodSums(*joined(tail.pairs, self._apart(self._span.apart).pairs)) if self._span.apart else tail

    def _compared(self, name: str, start: int, end: int, apart: Stretches) -> PeriodSums:
        """Return the sums from `start` to `end`, without the stretches `apart`."""
        if not apart:
            return self._part(name, start, end)
        if not self._snapshot.wide:
            return self._remembered((name, "without", apart), start, end, lambda *_: self._without(name, start, end, apart))
        # Floats can't be subtracted exactly, so the stretches that are kept are added up instead.
        edges = [start, *(edge for stretch in apart for edge in stretch), end]
        kept = tuple(zip(edges[::2], edges[1::2], strict=True))
        return self._remembered((name, apart), start, end, lambda *_: self._over(kept))

    def _without(self, name: str, start: int, end: int, apart: Stretches) -> PeriodSums:
        keys, rows = self._apart(apart).pairs
        return PeriodSums(*joined(self._part(name, start, end).pairs, (keys, -rows)))

    def _apart(self, stretches: Stretches) -> PeriodSums:
        """Return the sums of `stretches` that are excluded from the comparison."""
        return self._remembered(("apart", stretches), stretches[0][0], stretches[-1][1], lambda *_: self._over(stretches))

    def _over(self, stretches: Stretches) -> PeriodSums:
        """Return the sums over several stretches of time."""
        if len(stretches) <= _STRETCHES:
            return PeriodSums(*_joined(*(self._summed(start, end) for start, end in stretches)))
        rows = self._rows(stretches[0][0], stretches[-1][1])
        edges = np.array(stretches).ravel()
        # A moment is inside a stretch if the number of edges before it is not even.
        return PeriodSums(*self._paired(rows.filter(np.searchsorted(edges, rows["t"].to_numpy(), side="right") % 2 == 1)))

    def cells(self) -> Keyed:
        """Sums by channel and point of time (`timed`) of the range."""
        points = self._span.points
        make, few = self._makers(points)
        closed = self._moving(("cells", points.key), points.start, self._closed, make, few)
        return _together(closed, self._tail(("open cells", points.key), make, few))

    def earlier_cells(self) -> Keyed:
        """Sums by channel and point of time (`timed`) of the previous period."""
        points = self._span.earlier
        if not points:
            return self._points(self._rows(0, 0), "channel", self._span.points)
        make, few = self._makers(points)
        return self._moving(("earlier cells", points.key), points.start, points.end, make, few)

    def _makers(self, points: Grid) -> tuple[Callable[[int, int], Keyed], Callable[[int, int], Keyed]]:
        """Return two functions that add up a part of time by channel and point: a long one, and one of few minutes."""

        def make(start: int, end: int) -> Keyed:
            rows = self._rows(start, end, points.grain, ("channel",))
            rows = rows.with_columns(t=self._floored(rows["t"].to_numpy(), points))
            return self._points(self._added(rows, "t", "channel", *self.lanes), "channel", points)

        def few(start: int, end: int) -> Keyed:
            return self._points(self._rows(start, end), "channel", points)

        return make, few

    def trends(self, numbers: list[int]) -> Keyed:
        """Return the sums of some campaigns by point of time (`timed`), over the range without the open minutes at its end."""
        wanted = pl.col("campaign").is_in(numbers)
        key = ("trends", *sorted(numbers))
        return self._trends(key, ("campaign",), PAIRS.dimensions, lambda rows: rows.filter(wanted), "campaign")

    def key_trends(self, code: KeyCode, keys: Keys) -> Keyed:
        """Return, like `trends`, the sums of the ascending `keys` of `code` by point of time, `timed` with the index of the key."""
        key = ("key trends", code, keys.tobytes())
        return self._trends(key, code.dimensions, self._snapshot.shape.dimensions, partial(_only, code=code, keys=keys), _INDEX)

    def _trends(
        self,
        key: Hashable,
        by: tuple[str, ...],
        minutes_by: tuple[str, ...],
        choose: Callable[[pl.DataFrame], pl.DataFrame],
        dimension: str,
    ) -> Keyed:
        """Return the sums of the rows that `choose` keeps, by the number in the column `dimension` and point of time.

        Rows are read split by `by`, those of minutes by `minutes_by`.
        """
        points = self._span.points

        def few(start: int, end: int, grain: int = 60) -> Keyed:
            # By the minute the rows themselves are read: sums by campaign would take as much memory again.
            return self._points(choose(self._rows(start, end, grain, by if grain > 60 else minutes_by)), dimension, points)

        def make(start: int, end: int) -> Keyed:
            # The newest block changes all the time: to pick these names out of its rows costs less than its sums.
            edge = max(start, block_of(end))
            return _together(few(start, edge, points.grain), few(edge, end))

        return self._moving((key, points.key), points.start, self._closed, make, few)

    def _part(self, name: str, start: int, end: int) -> PeriodSums:
        def make(start: int, end: int) -> PeriodSums:
            return PeriodSums(*self._summed(start, end))

        def move(begun: int, ended: int, held: PeriodSums) -> PeriodSums:
            gone, rows = self._pairs(begun, start)
            return PeriodSums(*joined(held.pairs, self._pairs(ended, end), (gone, -rows)))

        return self._remembered(name, start, end, make, move)

    def _moving(
        self, key: Hashable, start: int, end: int, make: Callable[[int, int], Keyed], few: Callable[[int, int], Keyed]
    ) -> Keyed:
        """Sums by point of time up to `end`, by `make`, or moved on by what `few` gives; `start` is that of a point."""

        def move(_begun: int, ended: int, held: Keyed) -> Keyed:
            keys, rows = _together(held, few(ended, end))
            there = untimed(keys)[1] >= start
            return keys[there], rows[there]

        return self._remembered(key, start, end, make, move)

    def _tail(self, key: Hashable, make: Callable[[int, int], T], few: Callable[[int, int], T]) -> T:
        """Return `few` of the open minutes at the end of the range, or `make` if a slow partition keeps many of them open."""
        return self._remembered(key, self._closed, self._span.end, make if self._span.newest_end - self._closed > _FEW else few)

    def _remembered(
        self,
        key: Hashable,
        start: int,
        end: int,
        make: Callable[[int, int], T],
        move: Callable[[int, int, T], T] | None = None,
    ) -> T:
        view = self._view
        key = (
            key,
            self._span.length,
            self._span.comparison.how,
            view.zone,
            view.campaigns,
            view.channels,
            view.filters,
            self._currency,
            self._code,
        )
        return self._snapshot.remembered(key, start, end, partial(make, start, end), move)

    def _rows(self, start: int, end: int, grain: int = 60, by: tuple[str, ...] = ()) -> pl.DataFrame:
        """Return the rows of this part of time that the view wants, split by `by` at least, without it by the names of the code."""
        return self._between(start, end, grain, by=by)

    def _between(
        self,
        start: int,
        end: int,
        grain: int,
        *,
        by: tuple[str, ...] = (),
        more: tuple[str, ...] = (),
        cuts: tuple[int, ...] = (),
    ) -> pl.DataFrame:
        """Return the rows split by `by`, without it by the names of the code, and always by `more`; cut at `cuts`."""
        names = (*self._names, *more)
        by = (*by, *more) if by else names
        tested = self._conditions
        if not tested:
            return self._snapshot.between(start, end, grain, cuts, by)
        # With filters by all `names`, so that the sums of the blocks are shared by all that is asked under them.
        return self._snapshot.between(start, end, grain, cuts, (*names, *by, *tested)).filter(*tested.values())

    def _added(self, rows: pl.DataFrame, *keys: str | pl.Expr) -> pl.DataFrame:
        return rows.group_by(*keys).agg(sums(self._sums, wide=self._snapshot.wide))

    def _summed(self, start: int, end: int) -> Keyed:
        """As `_pairs` for a longer stretch: its points do not matter, so the sums of whole days can be used."""
        return self._paired(self._added(self._rows(start, end, _DAY), *self._code.dimensions))

    def _pairs(self, start: int, end: int) -> Keyed:
        return self._paired(self._rows(start, end))

    def _paired(self, rows: pl.DataFrame) -> Keyed:
        return self._code.encode(rows), matrix(rows, self._sums, wide=self._snapshot.wide)

    def _points(self, rows: pl.DataFrame, dimension: str, points: Grid) -> Keyed:
        keys = timed(self._numbers(rows, dimension), self._floored(rows["t"].to_numpy(), points))
        return added(keys, matrix(rows, self._sums, wide=self._snapshot.wide))

    def _numbers(self, rows: pl.DataFrame, dimension: str) -> Keys:
        """Return what the sums by point are split by, as a number."""
        return rows[dimension].to_numpy().astype(np.int64)

    def _floored(self, t: Keys, points: Grid) -> Keys:
        """Return the beginning of what each of `t` is added up with."""
        return points.floor(t)


def _only(rows: pl.DataFrame, *, code: KeyCode, keys: Keys) -> pl.DataFrame:
    """Return those of `rows` whose key is one of the ascending `keys`, with the column `_INDEX`."""
    wanted = zip(code.dimensions, code.decode(keys), strict=True)
    rows = rows.filter(pl.col(dimension).is_in(np.unique(numbers).tolist()) for dimension, numbers in wanted)
    found = code.encode(rows)
    at = np.searchsorted(keys, found)
    is_wanted = np.append(keys, -1)[at] == found
    return rows.filter(is_wanted).with_columns(pl.Series(_INDEX, at[is_wanted]))


def _joined(*parts: Keyed) -> Keyed:
    return np.concatenate([keys for keys, _ in parts]), np.concatenate([rows for _, rows in parts])


def _together(*parts: Keyed) -> Keyed:
    return added(*_joined(*parts))
