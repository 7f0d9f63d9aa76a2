"""Convert arrays of sums to the currency of a page, and keep account of the rates that were used."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from figures.measures import Keys, Sums
from figures.rates.conversion import Notes, converted_integers
from figures.rates.table import Rate, RateTable

_EPOCH = dt.date(1970, 1, 1).toordinal()
_NO_RATE = Rate(1, 1, dt.date.min)

UsedRates = dict[tuple[int, int], Rate | None]
"""Rates by the number of a currency and the day (since 1970); None where there is none."""

Mask = npt.NDArray[np.bool_]


class Exchange:
    """Converts sums to the currency `shown` at the rates of `table`, for one answer.

    `currencies` are the codes that numbers of currencies stand for, `money` the columns of the sums that are money.
    """

    def __init__(self, table: RateTable, shown: str, currencies: Sequence[str], money: Sequence[int]) -> None:
        self.table, self.shown = table, shown
        self._currencies = currencies
        self._money = list(money)
        self._rates: UsedRates = {}

    def converted(self, rows: Sums, currencies: Keys, days: Keys) -> tuple[Sums, Mask]:
        """Return `rows` with their money in the shown currency, and the mask of those that have a rate; the others are left as they are.

        Each row is in the currency of its number in `currencies`, and of its day in `days` (days since 1970). Each amount is rounded
        once, half to even; sums are floats where integers could overflow.
        """
        lanes, which = _distinct(currencies, days)
        rates = [self._rate(currency, day) for currency, day in lanes]
        has_rate = np.array([rate is not None for rate in rates], bool)[which]
        factors = [rate or _NO_RATE for rate in rates]
        result = rows.copy()
        # What is in that currency already is left out: a division takes longer than everything else.
        others = np.flatnonzero(
            np.array([rate is not None and rate.numerator != rate.denominator for rate in rates], bool)[which]
        )
        for at in self._money:
            column = converted_integers(rows[others, at], factors, which[others])
            if column is None:
                result = result.astype(np.float64)
                column = result[others, at] * np.array([rate.numerator / rate.denominator for rate in factors])[which[others]]
            result[others, at] = column
        return result, has_rate

    def fresh(self) -> Exchange:
        """Return one for the same answer that has used no rate yet."""
        return Exchange(self.table, self.shown, self._currencies, self._money)

    @property
    def used(self) -> UsedRates:
        """The rates that were used until now."""
        return dict(self._rates)

    def use(self, rates: UsedRates) -> None:
        """Account for the `used` rates of an earlier conversion, whose result is shown again."""
        self._rates |= rates

    def notes(self) -> Notes:
        """Return what has been converted until now."""
        used = [
            (day, rate)
            for (currency, day), rate in self._rates.items()
            if rate is not None and self._currencies[currency] != self.shown
        ]
        without = {self._currencies[currency] for (currency, _), rate in self._rates.items() if rate is None}
        return Notes(
            shown=self.shown,
            rates=self.table.name,
            days_from_earlier=len({day for day, rate in used if rate.day_used.toordinal() - _EPOCH != day}),
            last_used=max((rate.day_used for _, rate in used), default=None),
            without_rate=tuple(sorted(without)),
        )

    def _rate(self, currency: int, day: int) -> Rate | None:
        key = currency, day
        if key not in self._rates:
            date = dt.date.fromordinal(min(max(day + _EPOCH, 1), dt.date.max.toordinal()))
            self._rates[key] = self.table.rate(self._currencies[currency], self.shown, date)
        return self._rates[key]


def _distinct(currencies: Keys, days: Keys) -> tuple[list[tuple[int, int]], Keys]:
    """Return the distinct pairs of a currency and a day, and the index of each row's pair in them; without sorting the rows."""
    if not len(days):
        return [], days
    first, count = int(days.min()), int(days.max() - days.min()) + 1
    numbers = currencies * count + (days - first)
    present = np.bincount(numbers) > 0
    pairs = [(number // count, number % count + first) for number in np.flatnonzero(present).tolist()]
    return pairs, (np.cumsum(present) - 1)[numbers]
