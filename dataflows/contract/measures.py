"""The built-in measures, declared in ``measures.toml``, and what they are for the sums of one cell.

The flow (in Python, and in C by `dataflows.contract.generate`), the store, the API and the pages evaluate these declarations. A rate is
the sum of the numerators over the sum of the denominators in any scope, and None where the denominator is 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files

from dataflows.contract.measure_file import Measure, Terms, read
from dataflows.contract.metrics import SUMS, Metrics

_DECLARED = read(files("dataflows.contract").joinpath("measures.toml").read_text("utf-8"), "measures.toml", SUMS)

TOTALS = tuple(measure for measure in _DECLARED if measure.additive)
"""The measures that add up."""

RATIOS = tuple(measure for measure in _DECLARED if not measure.additive)
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
