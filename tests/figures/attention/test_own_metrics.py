"""Own metrics that are counts are watched by the same exact test as the built-in ones."""

from __future__ import annotations

import random
from typing import Any

import pytest

from dataflows.contract.measure_file import read
from dataflows.contract.measures import RATIOS, TOTALS
from dataflows.contract.metrics import SUMS
from figures.attention.comparisons import CHECKS, number_of_tests, own_checks
from figures.attention.engine import Attention, Report
from figures.store.store import Store
from tests.support.results import BEGIN, result

MINUTES, CHANGED = 200, 150
OWN = """
[[metric]]
name = "buyers"
numerator = "purchases"
denominator = "clicks + 2 * refunds"
unit = "percent"
good = "up"

[[metric]]
name = "cost_per_purchase"
numerator = "spend"
denominator = "purchases"
unit = "price"
good = "down"
"""


def report(purchases_then: float) -> Report:
    """Return what is found in traffic whose clicks buy `purchases_then` times as often in one campaign from minute `CHANGED` on."""
    draw = random.Random(5)
    store = Store()
    for minute in range(MINUTES):
        for name in ("c0", "c1", "c2", "c3", "c4", "c5"):
            clicks = sum(draw.random() < 0.5 for _ in range(60))
            often = purchases_then if name == "c0" and minute >= CHANGED else 1.0
            purchases = sum(draw.random() < 0.3 * often for _ in range(clicks))
            sums: dict[str, Any] = {"impressions": 150, "clicks": clicks, "conversions": 4, "purchases": purchases}
            store.apply([result(minute=minute, campaign=name, spend_micros=10_000_000, **sums)])
    own = read(OWN, "metrics.toml", SUMS, (*TOTALS, *RATIOS))
    return Attention(own=own).report(store.snapshot(), BEGIN + 60 * MINUTES)


def test_an_own_metric_that_falls_is_found_with_its_figures() -> None:
    found = {finding.metric: finding for finding in report(0.4).findings}
    assert found.keys() == {"buyers", "cost_per_purchase"}
    buyers, cost = found["buyers"], found["cost_per_purchase"]
    assert (buyers.kind, buyers.campaign, cost.kind) == ("own_down", "c0", "own_up")
    assert buyers.now == pytest.approx(0.12, rel=0.2)
    assert buyers.usual == pytest.approx(0.3, rel=0.1)
    assert cost.now == pytest.approx(10 / 3.6, rel=0.2)
    assert abs(buyers.since - BEGIN - 60 * CHANGED) <= 180


def test_steady_own_metrics_need_no_attention() -> None:
    assert report(1.0).findings == []


@pytest.mark.parametrize(
    ("numerator", "denominator", "unit", "watched"),
    [
        ("purchases + refunds", "impressions", "percent", True),
        ("purchases", "", "count", True),
        ("spend", "purchases + refunds", "price", True),
        ("2 * purchases", "clicks", "multiple", False),
        ("purchases - refunds", "", "count", False),
        ("revenue", "purchases", "price", False),
        ("revenue", "spend", "multiple", False),
        ("clicks", "events", "percent", False),
    ],
)
def test_only_metrics_whose_noise_is_known_are_watched(numerator: str, denominator: str, unit: str, watched: bool) -> None:
    below = f'denominator = "{denominator}"\n' if denominator else ""
    text = f'[[metric]]\nname = "own"\nnumerator = "{numerator}"\n{below}unit = "{unit}"\ngood = "up"\n'
    checks, further = own_checks(read(text, "metrics.toml", SUMS, (*TOTALS, *RATIOS)))
    assert bool(checks) == watched
    assert set(further) <= {"purchases", "refunds"}
    # Each further test makes every other one stricter, so that the number of false alarms stays.
    assert number_of_tests((*CHECKS, *checks)) == number_of_tests(CHECKS) + sum(len(check.spans) for check in checks)
