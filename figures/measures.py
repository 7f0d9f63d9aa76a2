"""What can be shown: each measure as sum over sum, how it is written, and which direction is good.

A measure is additive (spend, clicks, conversions: `den` is empty) or a rate (CPC, CPA, CTR, ROAS). Rates are always the sum of the
numerators over the sum of the denominators in one scope, and None where the denominator is 0.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

COUNTS = ("impressions", "clicks", "conversions", "purchases", "refunds")
MONEY = ("spend_micros", "revenue_micros", "refund_micros")
SUMS = (*COUNTS, *MONEY, "events")
"""The columns that add up; money in micros of the deployment's currency."""

SIZE = "spend_micros"
"""What campaigns and channels are ranked by where no additive measure says otherwise."""

MICROS = 1e6

UNSIGNED = 0.0
"""Added to a quotient, it turns the -0.0 of 0 divided by a negative sum into 0.0."""

MOST = 10.0
"""Largest change that is shown (10 is +1,000 %); a larger one only says that the base is small, so the difference is shown instead."""

Wide = frozenset[str]
"""Columns of `SUMS` whose total could exceed 64 bits."""

WIDE = pl.Decimal(38, 0)
"""Type in which such a column is added up: exact, and supported by Parquet, Arrow and CSV."""

SAFE_SUM = 2.0**62
"""If the absolute values of a column add up to less than this, neither its sums nor the difference of two columns exceed 64 bits."""

Sums = npt.NDArray[Any]
"""Sums by column, the last axis being `SUMS`: integers, or floats where they could overflow."""

Keys = npt.NDArray[np.int64]
"""What sums are split by, as numbers: of campaigns, of channels, of pairs of them."""

Keyed = tuple[Keys, Sums]
"""Keys, and the sums of each."""

Floats = npt.NDArray[np.float64]

_NAMES = list(SUMS)
_COLUMN = {name: at for at, name in enumerate(SUMS)}

Kind = Literal["money", "price", "count", "percent", "multiple"]
"""How figures are formatted: money is a total in the currency, price an average of it."""
Good = Literal["up", "down", "neither"]


class Measure(msgspec.Struct, frozen=True):
    """One measure: `scale * num / den`, or `scale * num` where `den` is empty."""

    id: str
    label: str
    short: str
    kind: Kind
    good: Good
    num: tuple[str, ...]
    den: str = ""
    scale: float = 1.0

    @property
    def additive(self) -> bool:
        """Whether the figures of parts add up to that of the whole, so that they can be stacked."""
        return not self.den

    @property
    def rank(self) -> str:
        """The measure that tells which campaign or channel is the largest: this one if it adds up, for a rate the spend."""
        return self.id if self.additive else "spend"

    def expr(self, prefix: str = "") -> pl.Expr:
        """The measure of one row of sums, in currency units where it is money; null where nothing is to divide by.

        `prefix` precedes the names of the columns that hold the sums.
        """
        top = pl.col(prefix + self.num[0])
        for less in self.num[1:]:
            top = top - pl.col(prefix + less)
        top = top.cast(pl.Float64)
        if not self.den:
            return (top * self.scale).alias(self.id)
        below = pl.col(prefix + self.den).cast(pl.Float64)
        return quotient(top * self.scale, below).alias(self.id)

    def of(self, rows: Sums) -> Floats:
        """The measure of each row of sums, as `expr` gives it; NaN where nothing is to divide by."""
        top = rows[..., _COLUMN[self.num[0]]]
        for less in self.num[1:]:
            top = top - rows[..., _COLUMN[less]]
        top = top.astype(np.float64) * self.scale
        if not self.den:
            return top
        below = rows[..., _COLUMN[self.den]].astype(np.float64)
        return np.divide(top, below, out=np.full(below.shape, np.nan), where=below != 0) + UNSIGNED


MEASURES: dict[str, Measure] = {
    measure.id: measure
    for measure in (
        Measure("spend", "Spend", "", "money", "neither", ("spend_micros",), "", 1 / MICROS),
        Measure("clicks", "Clicks", "", "count", "up", ("clicks",)),
        Measure("conversions", "Conversions", "", "count", "up", ("conversions",)),
        Measure("cpc", "Cost per click", "CPC", "price", "down", ("spend_micros",), "clicks", 1 / MICROS),
        Measure("cpa", "Cost per conversion", "CPA", "price", "down", ("spend_micros",), "conversions", 1 / MICROS),
        Measure("ctr", "Click rate", "CTR", "percent", "up", ("clicks",), "impressions"),
        Measure("roas", "Return on spend", "ROAS", "multiple", "up", ("revenue_micros", "refund_micros"), "spend_micros"),
    )
}
"""In the order of the tables' columns."""

TILES = ("spend", "clicks", "conversions", "cpa", "ctr", "roas")
"""The headline figures, in their order; each can be what the page is about."""

EXTRA: dict[str, Measure] = {
    measure.id: measure
    for measure in (
        Measure("impressions", "Impressions", "", "count", "up", ("impressions",)),
        Measure("purchases", "Purchases", "", "count", "up", ("purchases",)),
        Measure("refunds", "Refunds", "", "count", "down", ("refunds",)),
        Measure("revenue", "Revenue", "", "money", "up", ("revenue_micros",), "", 1 / MICROS),
        Measure("cvr", "Conversion rate", "CVR", "percent", "up", ("conversions",), "clicks"),
        Measure("cpm", "Cost per 1,000 impressions", "CPM", "price", "down", ("spend_micros",), "impressions", 1000 / MICROS),
    )
}
"""What the Explore page and the downloads offer besides the tiles."""

ALL: dict[str, Measure] = {**MEASURES, **EXTRA}


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


def matrix(rows: pl.DataFrame, *, wide: Wide) -> Sums:
    """Return the columns `SUMS` of `rows` as an array; as floats if any is `wide`, for numpy has no integers beyond 64 bits."""
    return rows.select(pl.col(_NAMES).cast(pl.Float64)).to_numpy() if wide else rows[_NAMES].to_numpy()


def sizes(rows: pl.DataFrame) -> Floats:
    """Return the sum of absolute values of each of `SUMS` in `rows`, an upper bound for the sum of any subset of the rows."""
    return rows.select(pl.col(_NAMES).cast(pl.Float64).abs().sum()).to_numpy()[0]


def wide_of(sizes: Floats) -> Wide:
    """Return the columns that are wide, by the `sizes` of all rows."""
    return frozenset(name for name, size in zip(SUMS, sizes.tolist(), strict=True) if size >= SAFE_SUM)


def added(keys: Keys, rows: Sums) -> Keyed:
    """The keys there are, in their order, and for each the sum of its `rows`; exact where they are integers."""
    order = np.argsort(keys, kind="stable")
    keys, rows = keys[order], rows[order]
    first = np.flatnonzero(np.diff(keys, prepend=keys[:1] - 1))
    return (keys, rows) if len(first) == len(keys) else (keys[first], np.add.reduceat(rows, first, axis=0))


def sums(*, wide: Wide) -> list[pl.Expr]:
    """Return the sum of every additive column, exact to the micro: 64-bit integers, or the type `WIDE` for the columns in `wide`."""
    return [pl.col(name).cast(WIDE).sum() if name in wide else pl.col(name).sum() for name in SUMS]


def narrowed(rows: pl.DataFrame, wide: Wide) -> pl.DataFrame:
    """Return `rows` with those `wide` columns as 64-bit integers whose values all fit."""
    fitting = [name for name in SUMS if name in wide and rows[name].is_between(-(2**63), 2**63 - 1).all()]
    return rows.with_columns(pl.col(fitting).cast(pl.Int64))
