"""The measures that are shown of the sums of a cell, each defined once as sum over sum.

The flow (in Python, and in C by `dataflows.contract.generate`), the store, the API and the pages evaluate these declarations. A rate is
the sum of the numerators over the sum of the denominators in any scope, and None where the denominator is 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from dataflows.contract.constants import MICROS
from dataflows.contract.metrics import Metrics

Unit = Literal["money", "price", "count", "percent", "multiple"]
"""Money is a total in the currency, price an average of it; both are summed in micros and shown in currency units."""

Good = Literal["up", "down", "neither"]
"""The direction in which a change is good."""

Terms = tuple[tuple[str, int], ...]
"""Names of sums (fields of `Metrics`), each with an integer weight."""


class Measure(msgspec.Struct, frozen=True):
    """`numerator` over `denominator`, or `numerator` alone where that is empty; `label` and `short` name it on pages."""

    id: str
    label: str
    short: str
    unit: Unit
    good: Good
    numerator: Terms
    denominator: Terms = ()

    @property
    def additive(self) -> bool:
        """Whether the figures of parts add up to that of the whole, so that they can be stacked."""
        return not self.denominator

    @property
    def micros(self) -> int:
        """Factor of the denominator (1 where it is empty) that turns micros into currency units."""
        return MICROS if self.unit in ("money", "price") else 1


TOTALS = (
    Measure("spend", "Spend", "", "money", "neither", (("spend_micros", 1),)),
    Measure("clicks", "Clicks", "", "count", "up", (("clicks", 1),)),
    Measure("conversions", "Conversions", "", "count", "up", (("conversions", 1),)),
    Measure("impressions", "Impressions", "", "count", "up", (("impressions", 1),)),
    Measure("purchases", "Purchases", "", "count", "up", (("purchases", 1),)),
    Measure("refunds", "Refunds", "", "count", "down", (("refunds", 1),)),
    Measure("revenue", "Revenue", "", "money", "up", (("revenue_micros", 1),)),
)
"""The measures that add up."""

RATIOS = (
    Measure("ctr", "Click rate", "CTR", "percent", "up", (("clicks", 1),), (("impressions", 1),)),
    Measure("cvr", "Conversion rate", "CVR", "percent", "up", (("conversions", 1),), (("clicks", 1),)),
    Measure("cpc", "Cost per click", "CPC", "price", "down", (("spend_micros", 1),), (("clicks", 1),)),
    Measure("cpm", "Cost per 1,000 impressions", "CPM", "price", "down", (("spend_micros", 1000),), (("impressions", 1),)),
    Measure("cpa", "Cost per conversion", "CPA", "price", "down", (("spend_micros", 1),), (("conversions", 1),)),
    Measure(
        *("roas", "Return on spend", "ROAS", "multiple", "up"),
        (("revenue_micros", 1), ("refund_micros", -1)),
        (("spend_micros", 1),),
    ),
)
"""The rates, in the order of the fields of `dataflows.contract.schema.WindowResult`."""


def total(sums: Metrics, terms: Terms) -> int:
    """Return the weighted sum of `terms`."""
    return sum([weight * getattr(sums, name) for name, weight in terms])


def ratios(sums: Metrics, measures: Iterable[Measure] = RATIOS) -> dict[str, float | None]:
    """Return the rates of `sums` by id, each rounded once; None where the denominator is 0."""
    rates: dict[str, float | None] = {}
    for measure in measures:
        under = measure.micros * total(sums, measure.denominator)
        # 0 divided by a negative sum is -0.0 in floating point; a figure must not be a negative zero.
        rates[measure.id] = total(sums, measure.numerator) / under or 0.0 if under else None
    return rates
