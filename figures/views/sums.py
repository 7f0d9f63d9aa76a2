"""The sums that one page is made of. What lies before the open minutes is added up once, and then moves along with the time.

When a minute is over, the range has one minute more at its end and one less at its beginning: both are small compared to it, and the sums
are integers, so that adding and subtracting is exact. Where an older minute was corrected, everything is added up again.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import cached_property, partial
from types import MappingProxyType
from typing import NamedTuple, TypeVar

import numpy as np
import polars as pl

from figures.measures import Keyed, Keys, Sums, added, joined, matrix, sums
from figures.store.blocks import block_of
from figures.store.snapshot import Snapshot, bytes_of
from figures.views.grid import Grid
from figures.views.keys import PAIRS, KeyCode, Masks, conditions, only, passing, timed, untimed
from figures.views.span import TimeSpan
from figures.views.view import View

T = TypeVar("T")
Stretches = tuple[tuple[int, int], ...]
"""Parts of time: start and end of each, in seconds since 1970 and in order."""

_DAY = 86_400
_FEW = 1800
"""Up to this many seconds are added up from their minutes; block sums would be out of date at once."""
_STRETCHES = 8
"""More stretches than this are read as one, and the minutes between them dropped."""
_LINES = 200
"""Keys whose sums by point are remembered together; once they are more, only those of the last refresh are."""
NO_LIMITS: Masks = MappingProxyType({})
_INDEX = "index of the key"
"""Column of a row's key while trends are added up; no field of a breakdown can have this name."""


class _Lines(NamedTuple):
    """The sums of some ascending `keys` by point of time, `timed` with the index of the key."""

    keys: Keys
    sums: Keyed


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

    @property
    def bytes(self) -> int:
        """Memory in bytes, twice that of the sums: what is computed from them takes as much at most."""
        return 2 * bytes_of(self.pairs)

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
    """What sums by point are split by besides, and how many bits their number has."""
    _lane_bits = 0

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

    def trends(self, code: KeyCode, wanted: Keys, spare: Keys) -> Keyed:
        """Return the sums of the keys `wanted` of `code` by point of time, over the range without the open minutes at its end.

        They are `timed` with the index of the key. The sums of `spare` keys, and of those that were wanted before, are remembered with
        them, because all rows of the range have to be read for a key that was not there at the last refresh.
        """
        points, every = self._span.points, np.union1d(wanted, spare)

        def fits(held: _Lines) -> bool:
            nonlocal every
            if np.isin(wanted, held.keys).all():
                return True
            if len(held.keys) <= _LINES:
                every = np.union1d(every, held.keys)
            return False

        def few(start: int, end: int, grain: int, keys: Keys) -> Keyed:
            # By the minute the rows themselves are read: sums by key would take as much memory again.
            by = code.dimensions if grain > 60 else self._snapshot.shape.dimensions
            rows = self._rows(start, end, grain, by, only(self._snapshot, code, keys))
            return self._points(_indexed(rows, code, keys), _INDEX, points)

        def make(start: int, end: int) -> _Lines:
            # The newest block changes all the time: to pick these keys out of its rows costs less than its sums.
            edge = max(start, block_of(end))
            return _Lines(every, _together(few(start, edge, points.grain, every), few(edge, end, 60, every)))

        def move(_begun: int, ended: int, held: _Lines) -> _Lines:
            return _Lines(held.keys, _since(points.start, _together(held.sums, few(ended, self._closed, 60, held.keys))))

        held = self._remembered(
            ("trends", code, points.key),
            points.start,
            self._closed,
            make,
            move,
            fits=fits,
        )
        keys, rows = held.sums
        numbers, t = untimed(keys)
        lines = np.full(len(held.keys), -1)
        lines[np.searchsorted(held.keys, wanted)] = np.arange(len(wanted))
        lanes = 2**self._lane_bits
        line = lines[numbers // lanes]
        return timed(line * lanes + numbers % lanes, t)[line >= 0], rows[line >= 0]

    def _part(self, name: str, start: int, end: int) -> PeriodSums:
        def make(start: int, end: int) -> PeriodSums:
            return PeriodSums(*self._summed(start, end))

        def move(begun: int, ended: int, held: PeriodSums) -> PeriodSums:
            came = edge(ended, end)
            gone, rows = edge(begun, start)
            return PeriodSums(*joined(held.pairs, came, (gone, -rows)))

        def edge(start: int, end: int) -> Keyed:
            # What leaves a range mostly comes to the period before it at once: the last one is kept.
            return self._remembered("edge", start, end, lambda start, end: added(*self._pairs(start, end)))

        return self._remembered(name, start, end, make, move)

    def _moving(
        self, key: Hashable, start: int, end: int, make: Callable[[int, int], Keyed], few: Callable[[int, int], Keyed]
    ) -> Keyed:
        """Sums by point of time up to `end`, by `make`, or moved on by what `few` gives; `start` is that of a point."""

        def move(_begun: int, ended: int, held: Keyed) -> Keyed:
            return _since(start, _together(held, few(ended, end)))

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
        *,
        fits: Callable[[T], bool] = lambda _value: True,
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
        return self._snapshot.remembered(key, start, end, partial(make, start, end), move, fits=fits)

    def _rows(self, start: int, end: int, grain: int = 60, by: tuple[str, ...] = (), limits: Masks = NO_LIMITS) -> pl.DataFrame:
        """Return the rows of this part of time that the view wants, split by `by` at least, without it by the names of the code.

        They also pass `limits`, on dimensions that are among `by`.
        """
        return self._between(start, end, grain, by=by, limits=limits)

    def _between(
        self,
        start: int,
        end: int,
        grain: int,
        *,
        by: tuple[str, ...] = (),
        more: tuple[str, ...] = (),
        cuts: tuple[int, ...] = (),
        limits: Masks = NO_LIMITS,
    ) -> pl.DataFrame:
        """Return the rows split by `by`, without it by the names of the code, and always by `more`; cut at `cuts`."""
        names = (*self._names, *more)
        by = (*by, *more) if by else names
        # With filters by all `names`, so that the sums of the blocks are shared by all that is asked under them.
        split = (*names, *by, *self._conditions) if self._conditions else by
        return passing(self._snapshot.between(start, end, grain, cuts, split), limits, self._conditions)

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


def _indexed(rows: pl.DataFrame, code: KeyCode, keys: Keys) -> pl.DataFrame:
    """Return those of `rows` whose key is one of the ascending `keys`, with the index of their key in the column `_INDEX`."""
    found = code.encode(rows)
    at = np.searchsorted(keys, found)
    there = np.flatnonzero(np.append(keys, -1)[at] == found)
    return rows[there].with_columns(pl.Series(_INDEX, at[there]))


def _since(start: int, keyed: Keyed) -> Keyed:
    """Return the sums by time (`timed`) from `start` on."""
    keys, rows = keyed
    there = untimed(keys)[1] >= start
    return keys[there], rows[there]


def _joined(*parts: Keyed) -> Keyed:
    return np.concatenate([keys for keys, _ in parts]), np.concatenate([rows for _, rows in parts])


def _together(*parts: Keyed) -> Keyed:
    return added(*_joined(*parts))
