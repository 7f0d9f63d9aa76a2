"""The sums of a page whose data has several currencies: kept as they are by currency and day, and converted when they are asked for."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl
from typing_extensions import override

from figures.calendar.calendar import DAY as DAY_SECONDS
from figures.calendar.calendar import Calendar
from figures.calendar.zones import Seconds
from figures.measures import Keyed, Keys, Sums, added
from figures.rates.conversion import CURRENCY, DAY, Notes
from figures.rates.exchange import Exchange, Mask, UsedRates
from figures.rates.table import RateTable
from figures.store.names import Names
from figures.store.snapshot import Snapshot
from figures.views.grid import Grid
from figures.views.keys import PAIRS, KeyCode, Masks, timed, untimed
from figures.views.span import TimeSpan
from figures.views.sums import NO_LIMITS, PageSums, PeriodSums
from figures.views.view import View

_KEY_BITS, _NUMBER_BITS = 62, 23
"""Bits of a `KeyCode`'s key, and of a name's number in `keys.timed`."""


Left = dict[int, tuple[float, float]]
"""Spend and revenue (in micros) that have no rate, by the number of their currency."""


class _Converted(NamedTuple):
    """Sums that were converted under `terms`, the rates that were used, and what had none."""

    terms: tuple[RateTable, str, Names]
    sums: PeriodSums
    used: UsedRates
    left: Left


class _Days:
    """The days of a calendar that a span and what it is compared with touch."""

    def __init__(self, calendar: Calendar, span: TimeSpan) -> None:
        first = min(span.start, span.earlier.start if span.earlier else span.start) - DAY_SECONDS
        self.edges = calendar.first_instants(first, max(span.end, span.newest_end), "day")
        self._dates = calendar.dates(self.edges).astype(np.int64)
        self.bits = int(self._dates[-1] - self._dates[0] + 1).bit_length()

    def begins(self, t: Seconds) -> Seconds:
        """Return the first instant of the day of each of `t`."""
        return self.edges[np.searchsorted(self.edges, t, side="right") - 1]

    def dates(self, t: Seconds) -> Keys:
        """Return the day (since 1970) of each of `t`."""
        return self._dates[np.searchsorted(self.edges, t, side="right") - 1]

    def coded(self, t: Seconds) -> Keys:
        """Return the lowest bits of the day of each of `t`; they tell the days of this span apart, and stay the same as it moves on."""
        return self.dates(t) & ((1 << self.bits) - 1)

    def decoded(self, days: Keys) -> Keys:
        """Return the days that `coded` was given."""
        first = self._dates[0]
        return first + ((days - first) & ((1 << self.bits) - 1))


class ConvertedSums(PageSums):
    """`PageSums` in the currency of `exchange`, at the rates of the days of the view's zone: each key's amount of a day is rounded once.

    What has no rate is left out (`left`). Sums are remembered before they are converted, so that a corrected rate applies at once, and
    that they move along with the time exactly.
    """

    lanes = (CURRENCY,)

    def __init__(self, snapshot: Snapshot, view: View, span: TimeSpan, exchange: Exchange, *, code: KeyCode = PAIRS) -> None:
        self._outer, self._exchange = code, exchange
        self._day = _Days(Calendar(view.zone), span)
        self._lane_bits = _bits(snapshot, CURRENCY)
        bits = *(_bits(snapshot, name) for name in code.dimensions), self._lane_bits, self._day.bits
        has_points = code is not PAIRS or self._lane_bits + max(bits[:2]) <= _NUMBER_BITS
        self.has_room = has_points and sum(bits) <= _KEY_BITS
        """Whether keys have room for currencies and days; nothing can be asked for otherwise."""
        self._money = [snapshot.shape.sums.index(name) for name in ("spend_micros", "revenue_micros")]
        self._left: Left = {}
        super().__init__(snapshot, view, span, None, KeyCode((*code.dimensions, CURRENCY, DAY), bits))
        self._names = code.dimensions

    @override
    def compared(self) -> PeriodSums:
        return self._converted(super().compared(), is_shown=True)

    @override
    def left_out(self) -> PeriodSums:
        return self._converted(super().left_out(), is_shown=True)

    @override
    def before(self) -> PeriodSums:
        return self._converted(super().before(), is_shown=False)

    @override
    def cells(self) -> Keyed:
        return self._converted_points(super().cells(), self._span.points)

    @override
    def earlier_cells(self) -> Keyed:
        return self._converted_points(super().earlier_cells(), self._span.earlier or self._span.points)

    @override
    def trends(self, code: KeyCode, wanted: Keys, spare: Keys) -> Keyed:
        return self._converted_points(super().trends(code, wanted, spare), self._span.points)

    def notes(self) -> Notes:
        """Return how what was asked for was converted."""
        return self._exchange.notes()

    def left(self) -> dict[str, tuple[float, float]]:
        """Return spend and revenue (in micros) that have no rate, by currency: of what was asked for of the range."""
        names = self._snapshot.names[CURRENCY].names
        return {names[number]: amounts for number, amounts in self._left.items()}

    def _converted(self, sums: PeriodSums, *, is_shown: bool) -> PeriodSums:
        """Return `sums` in the shown currency; those of the same minutes are converted once."""
        terms = (self._exchange.table, self._exchange.shown, self._snapshot.names[CURRENCY])
        held = sums.memo if isinstance(sums.memo, _Converted) and sums.memo.terms == terms else None
        if held is None:
            keys, rows = sums.pairs
            exchange = self._exchange.fresh()
            *numbers, currencies, days = self._code.decode(keys)
            rows, has_rate = exchange.converted(rows, currencies, self._day.decoded(days))
            left: Left = {}
            if not has_rate.all():
                left = self._left_of(rows, currencies, ~has_rate)
                numbers, rows = [each[has_rate] for each in numbers], rows[has_rate]
            held = sums.memo = _Converted(terms, PeriodSums(self._outer.pack(numbers), rows), exchange.used, left)
        self._exchange.use(held.used)
        if is_shown:
            for currency, (spend, revenue) in held.left.items():
                known = self._left.get(currency, (0.0, 0.0))
                self._left[currency] = known[0] + spend, known[1] + revenue
        return held.sums

    def _left_of(self, rows: Sums, currencies: Keys, left: Mask) -> Left:
        """Return spend and revenue (in micros) of the rows that are `left`, by the number of their currency."""
        amounts: Left = {}
        for currency in np.unique(currencies[left]).tolist():
            spend, revenue = rows[left & (currencies == currency)][:, self._money].sum(axis=0, dtype=np.float64).tolist()
            amounts[currency] = spend, revenue
        return amounts

    def _converted_points(self, cells: Keyed, points: Grid) -> Keyed:
        keys, rows = cells
        names, t = untimed(keys)
        rows, has_rate = self._exchange.converted(rows, names & ((1 << self._lane_bits) - 1), self._day.dates(t))
        return added(timed(names[has_rate] >> self._lane_bits, points.floor(t[has_rate])), rows[has_rate])

    @override
    def _rows(self, start: int, end: int, grain: int = 60, by: tuple[str, ...] = (), limits: Masks = NO_LIMITS) -> pl.DataFrame:
        cuts = self._day.edges[(self._day.edges > start) & (self._day.edges < end)]
        rows = self._between(start, end, grain, by=by, more=(CURRENCY,), cuts=tuple(cuts.tolist()), limits=limits)
        return rows.with_columns(pl.Series(DAY, self._day.coded(rows["t"].to_numpy()), pl.Int64))

    @override
    def _numbers(self, rows: pl.DataFrame, dimension: str) -> Keys:
        return (super()._numbers(rows, dimension) << self._lane_bits) + rows[CURRENCY].to_numpy()

    @override
    def _floored(self, t: Keys, points: Grid) -> Keys:
        # A point may be of two days, each of which has a rate of its own.
        return np.maximum(points.floor(t), self._day.begins(t))


def _bits(snapshot: Snapshot, dimension: str) -> int:
    return max(len(snapshot.names[dimension].names).bit_length(), 1)
