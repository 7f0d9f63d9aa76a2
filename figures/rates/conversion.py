"""Convert sums of money to one currency: exact integers, rounded half to even once per row, day and currency."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from figures.calendar.calendar import Calendar
from figures.measures import WIDE
from figures.rates.table import Rate, RateTable

DAY, CURRENCY = "rate day", "currency"
"""Columns of a frame to convert: the day whose rates apply (`dated`), and the code of the currency that a row's money is in.

No field of a breakdown can have these names.
"""

_RATE = "number of the rate"
"""Column of a row's rate while rows are converted; no field of a breakdown can have this name either."""

_SAFE = 2**62
"""Products below this are computed in 64 bits, larger ones as Python integers."""

_HUGE = 1e33
"""Amounts beyond this (in millionths) are not converted: sums of them would exceed the 38 digits of `measures.WIDE`."""

Integers = npt.NDArray[np.int64]


class Notes(msgspec.Struct, frozen=True):
    """How figures were converted to `shown`: the rate table's name, and where it had no rate of the day itself."""

    shown: str
    rates: str
    days_from_earlier: int = 0
    """Number of days of which an amount was converted at the rate of an earlier day."""
    last_used: dt.date | None = None
    """The last day whose rate was used; None where nothing had to be converted."""
    without_rate: tuple[str, ...] = ()
    """Currencies whose amounts were not converted, because the table has no rate for their day."""


def dated(frame: pl.DataFrame, calendar: Calendar, at: str = "t") -> pl.DataFrame:
    """Return `frame` with the column `DAY`: the calendar's day of each time in column `at` (seconds since 1970)."""
    days = calendar.dates(frame[at].to_numpy().astype(np.int64))
    return frame.with_columns(pl.Series(DAY, days).cast(pl.Date))


def convert(
    frame: pl.DataFrame,
    table: RateTable,
    to_currency: str,
    *,
    keys: Sequence[str],
    money: Sequence[str],
    totals: Sequence[pl.Expr],
) -> tuple[pl.DataFrame, Notes]:
    """Return `frame` added up by `keys` and `CURRENCY`, with its money in `to_currency`, and how it was converted.

    `frame` has the columns `keys`, `DAY`, `CURRENCY` and those that `totals` add up, of which `money` is money as integers of any width.
    `totals` is applied twice: before the conversion, by day and currency, and after it. Each sum by keys, day and currency is rounded
    once. Currencies without a rate stay rows of their own, as they are.
    """
    own = pl.col(CURRENCY) == to_currency
    if frame.select(own.all()).item():
        return frame.group_by(*keys, CURRENCY).agg(*totals), Notes(to_currency, table.name)
    # What is in that currency already is not split by day.
    rows = frame.with_columns(pl.when(~own).then(pl.col(DAY))).group_by(*keys, DAY, CURRENCY).agg(*totals)
    asked = rows.select(CURRENCY, DAY).filter(pl.col(DAY).is_not_null()).unique()
    rates = [table.rate(currency, to_currency, day) for currency, day in asked.iter_rows()]
    rows = rows.join(asked.with_row_index(_RATE, 1), on=(CURRENCY, DAY), how="left")
    which = rows[_RATE].fill_null(0).to_numpy()
    known = [Rate(1, 1, dt.date.min), *(rate or Rate(1, 1, dt.date.min) for rate in rates)]
    has_rate = np.array([False, *(rate is not None for rate in rates)])[which] & _fits(rows[list(money)], known, which) | (
        which == 0
    )
    rows = rows.with_columns(
        *(_converted(rows[name], known, np.where(has_rate, which, 0)) for name in money),
        pl.when(pl.Series(has_rate)).then(pl.lit(to_currency)).otherwise(CURRENCY).alias(CURRENCY),
    )
    left = rows.filter(pl.Series(~has_rate))[CURRENCY].unique().sort().to_list()
    notes = _notes(table, to_currency, list(zip(asked[DAY].to_list(), rates, strict=True)), left)
    return _narrowed(rows.group_by(*keys, CURRENCY).agg(*totals), money), notes


def converted(amount: int, rate: Rate) -> int:
    """Return `amount` at `rate`, rounded half to even."""
    quotient, rest = divmod(amount * rate.numerator, rate.denominator)
    return quotient + (2 * rest > rate.denominator or (2 * rest == rate.denominator and quotient % 2 == 1))


def _fits(rows: pl.DataFrame, rates: Sequence[Rate], which: Integers) -> npt.NDArray[np.bool_]:
    """Return the mask of rows whose converted money fits into `measures.WIDE`, also in a sum of many of them."""
    factors = np.array([min(rate.numerator / rate.denominator, _HUGE) for rate in rates])[which]
    sizes = rows.select(pl.max_horizontal(pl.all().cast(pl.Float64).abs())).to_series().to_numpy()
    return sizes * factors < _HUGE


def _converted(values: pl.Series, rates: Sequence[Rate], which: Integers) -> pl.Series:
    """Return each of `values` at the rate of `rates` that `which` gives for it; of the type `WIDE` where 64 bits may not do."""
    if values.dtype == pl.Int64 and (amounts := converted_integers(values.to_numpy(), rates, which)) is not None:
        return pl.Series(values.name, amounts)
    exact = [converted(int(amount), rates[at]) for amount, at in zip(values.to_list(), which.tolist(), strict=True)]
    return pl.Series(values.name, list(map(Decimal, exact)), WIDE)


def converted_integers(amounts: Integers, rates: Sequence[Rate], which: Integers) -> Integers | None:
    """Return `converted` of each amount at the rate of `rates` that `which` gives for it; None where 64 bits may not do for their sum.

    None also for amounts that are floats, because their integers did not fit.
    """
    sizes = np.array([rate.numerator / rate.denominator for rate in rates])[which] * np.abs(amounts.astype(np.float64))
    if amounts.dtype.kind == "f" or sizes.sum() >= _SAFE / 2:
        return None
    small = [rate.numerator * rate.denominator < _SAFE for rate in rates]
    if not all(small):
        exact = [converted(amount, rates[at]) for amount, at in zip(amounts.tolist(), which.tolist(), strict=True)]
        return np.array(exact, np.int64)
    tops, bottoms = np.array([(rate.numerator, rate.denominator) for rate in rates], np.int64).reshape(-1, 2).T
    return _in_64_bits(amounts, tops[which], bottoms[which])


def _in_64_bits(amounts: Integers, tops: Integers, bottoms: Integers) -> Integers:
    """Return `converted` of each amount, where neither `tops * bottoms` nor the result exceeds `_SAFE`."""
    whole, rest = np.divmod(amounts, bottoms)
    more, rest = np.divmod(rest * tops, bottoms)
    quotients = whole * tops + more
    return quotients + ((2 * rest > bottoms) | ((2 * rest == bottoms) & (quotients % 2 == 1)))


def _narrowed(rows: pl.DataFrame, money: Sequence[str]) -> pl.DataFrame:
    """Return `rows` with those columns of `money` as 64-bit integers whose values all fit."""
    wide = [name for name in money if rows.schema[name] != pl.Int64]
    fitting = [name for name in wide if rows[name].is_between(-(2**63), 2**63 - 1).all()]
    return rows.with_columns(pl.col(fitting).cast(pl.Int64))


def _notes(table: RateTable, shown: str, rates: Sequence[tuple[dt.date, Rate | None]], left: Sequence[str]) -> Notes:
    used = [(day, rate.day_used) for day, rate in rates if rate is not None]
    return Notes(
        shown=shown,
        rates=table.name,
        days_from_earlier=len({day for day, day_used in used if day_used != day}),
        last_used=max((day_used for _, day_used in used), default=None),
        without_rate=tuple(left),
    )
