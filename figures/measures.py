"""What can be shown: each measure as sum over sum, how it is written, and which direction is good.

`figures.catalogue` lists them; here they are evaluated for whole columns, by polars and by numpy.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from dataflows.contract import measure_file as declared
from dataflows.contract.metrics import SUMS

SIZE = "spend_micros"
"""Measure by which campaigns and channels are ranked if the chosen one is not additive."""

UNSIGNED = 0.0
"""Added to a quotient, it turns the -0.0 of 0 divided by a negative sum into 0.0."""

MOST = 10.0
"""Largest change that is shown (10 is +1,000 %); a larger one only says that the base is small, so the difference is shown instead."""

Wide = frozenset[str]
"""Columns of sums whose total could exceed 64 bits."""

WIDE = pl.Decimal(38, 0)
"""Type in which such a column is added up: exact, and supported by Parquet, Arrow and CSV."""

SAFE_SUM = 2.0**62
"""If the absolute values of a column add up to less than this, neither its sums nor the difference of two columns exceed 64 bits."""

Sums = npt.NDArray[Any]
"""Sums by column, the last axis being `Shape.sums`, of which the first are `SUMS`: integers, or floats where they could overflow.

In memory a column follows the other (Fortran's order): most of what is computed is about one or two columns of many rows.
"""

Keys = npt.NDArray[np.int64]
"""What sums are split by, as numbers: of campaigns, of channels, of pairs of them."""

Keyed = tuple[Keys, Sums]
"""Keys, and the sums of each."""

Floats = npt.NDArray[np.float64]

_DENSE = 8
"""Keys whose range is up to this many times their number are put in order by counting them, which is faster than sorting."""


class ShownMeasure(declared.Measure, frozen=True):
    """A measure, evaluated for rows of sums; `columns` names these, in their order in an array (`Shape.sums`)."""

    columns: tuple[str, ...] = SUMS

    @property
    def rank(self) -> str:
        """The measure that tells which campaign or channel is the largest: this one if it adds up, for a rate the spend."""
        return self.id if self.additive else "spend"

    def expr(self, prefix: str = "") -> pl.Expr:
        """Return the measure of one row of sums, in currency units where it is money; null if the denominator is 0.

        `prefix` precedes the names of the columns that hold the sums. It is `dataflows.contract.measures.ratios` to the last digit.
        """
        over = _total(prefix, self.numerator)
        if self.additive:
            return (over / self.micros).alias(self.id)
        return quotient(over, _total(prefix, self.denominator) * self.micros).alias(self.id)

    def of(self, rows: Sums) -> Floats:
        """Return the measure of each row of sums, as `expr`; NaN if the denominator is 0."""
        over = _totals(rows, self.columns, self.numerator)
        if self.additive:
            return over * (1 / self.micros)  # as polars divides by a constant
        under = _totals(rows, self.columns, self.denominator) * self.micros
        return np.divide(over, under, out=np.full(under.shape, np.nan), where=under != 0) + UNSIGNED


def _total(prefix: str, terms: declared.Terms) -> pl.Expr:
    """Return the weighted sum of `terms` as a float. Terms without a weight are added up exactly, as the integers that they are."""
    columns = [(pl.col(prefix + name), weight) for name, weight in terms]
    if all(abs(weight) == 1 for _, weight in columns):
        return reduce(add, [column if weight > 0 else -column for column, weight in columns]).cast(pl.Float64)
    return reduce(add, [column.cast(pl.Float64) * weight for column, weight in columns])


def _totals(rows: Sums, names: tuple[str, ...], terms: declared.Terms) -> Floats:
    columns = [(rows[..., names.index(name)], weight) for name, weight in terms]
    if all(abs(weight) == 1 for _, weight in columns):
        return reduce(add, [column if weight > 0 else -column for column, weight in columns]).astype(np.float64)
    return reduce(add, [column.astype(np.float64) * weight for column, weight in columns])


def compared(now: Floats, was: Floats) -> tuple[Floats, Floats]:
    """Return change and difference between each figure `now` and what it `was`; NaN for the one that is not shown.

    The change is (now - was) / |was|, so that its sign is always that of the difference. If a percentage has no meaning - the base is 0
    or has the opposite sign, or the change is beyond `MOST` - the difference is returned instead. If a figure is unknown, neither is.
    """
    difference = now - was
    size = np.abs(was)
    change = np.divide(difference, size, out=np.full(np.shape(difference), np.nan), where=size > 0)
    change[(now * np.sign(was) < 0) | (np.abs(change) > MOST)] = np.nan
    return change, np.where(np.isnan(change), difference, np.nan)


def quotient(top: pl.Expr, below: pl.Expr) -> pl.Expr:
    """Return `top` divided by `below`, both floats; null if `below` is 0, and 0 if `top` is 0.

    0 divided by a negative sum would be -0.0, and polars optimises away the `+ 0.0` (`UNSIGNED`) that works in numpy.
    """
    return pl.when(below == 0).then(None).when(top == 0).then(0.0).otherwise(top / below)


def matrix(rows: pl.DataFrame, columns: Sequence[str], *, wide: Wide) -> Sums:
    """Return the `columns` of `rows` as an array; as floats if any is `wide`, for numpy has no integers beyond 64 bits."""
    return rows.select(pl.col(columns).cast(pl.Float64)).to_numpy() if wide else rows.select(columns).to_numpy()


def sizes(rows: pl.DataFrame, columns: Sequence[str]) -> Floats:
    """Return the sum of absolute values of each of `columns` in `rows`, an upper bound for the sum of any subset of the rows."""
    return rows.select(pl.col(columns).cast(pl.Float64).abs().sum()).to_numpy()[0]


def wide_of(sizes: Floats, columns: Sequence[str]) -> Wide:
    """Return those of `columns` that are wide, by the `sizes` of all rows."""
    return frozenset(name for name, size in zip(columns, sizes.tolist(), strict=True) if size >= SAFE_SUM)


def added(keys: Keys, rows: Sums) -> Keyed:
    """Return the distinct keys, in order, and the sum of the `rows` of each; exact for integers."""
    if (keys[1:] < keys[:-1]).any():
        order = _order(keys, is_stable=rows.dtype.kind == "f")
        keys, rows = keys[order], rows.T[:, order].T
    first = np.flatnonzero(np.diff(keys, prepend=keys[:1] - 1))
    return (keys, rows) if len(first) == len(keys) else (keys[first], np.add.reduceat(rows.T, first, axis=1).T)


def _order(keys: Keys, *, is_stable: bool) -> Keys:
    """Return the indices that put `keys` in order. Integers of equal keys add up to the same in any order: `is_stable` costs time."""
    numbers = keys - keys.min()
    if int(numbers.max()) < _DENSE * len(keys):
        counts = np.bincount(numbers)
        if counts.max() == 1:
            places = np.empty(len(counts), np.int64)
            places[numbers] = np.arange(len(numbers))
            return places[counts > 0]
    return np.argsort(keys, kind="stable" if is_stable else None)


def joined(*parts: Keyed) -> Keyed:
    """Return what `added` gives of all `parts` together."""
    distinct = [added(*part) for part in parts]
    keys = united(*(part for part, _ in distinct))
    columns = np.zeros((parts[0][1].shape[1], len(keys)), np.result_type(*(rows for _, rows in distinct)))
    for part, rows in distinct:
        at = places(part, keys)
        for column, more in zip(columns, rows.T, strict=True):
            column[at] += more
    return keys, columns.T


def places(part: Keys, keys: Keys) -> Keys | slice:
    """Return where the keys of `part` are among `keys`, which has all of them; both are distinct and in order."""
    return slice(None) if len(part) == len(keys) else np.searchsorted(keys, part)


def united(*parts: Keys) -> Keys:
    """Return the distinct keys of `parts`, each of which has distinct ones in order, in order.

    Mostly the largest part has all keys, and nothing is put in order then.
    """
    keys, *others = sorted(parts, key=len, reverse=True)
    new = [part[~_among(part, keys)] for part in others if not np.array_equal(part, keys)]
    if any(map(len, new)):
        keys = np.sort(np.concatenate([keys, *new]), kind="stable")  # which merges what is in order
        keys = keys[np.flatnonzero(np.diff(keys, prepend=keys[:1] - 1))]
    return keys


def _among(wanted: Keys, keys: Keys) -> npt.NDArray[np.bool_]:
    """Return whether each of `wanted` is among the ascending `keys`."""
    if not len(keys):
        return np.zeros(len(wanted), bool)
    return keys[np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)] == wanted


def sums(columns: Sequence[str], *, wide: Wide) -> list[pl.Expr]:
    """Return the sum of each of `columns`, exact to the micro: 64-bit integers, or the type `WIDE` for the columns in `wide`."""
    return [pl.col(name).cast(WIDE).sum() if name in wide else pl.col(name).sum() for name in columns]


def narrowed(rows: pl.DataFrame, wide: Wide) -> pl.DataFrame:
    """Return `rows` with those `wide` columns as 64-bit integers whose values all fit."""
    fitting = [name for name in rows.columns if name in wide and rows[name].is_between(-(2**63), 2**63 - 1).all()]
    return rows.with_columns(pl.col(fitting).cast(pl.Int64))
