from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflows.contract.event_types import parse
from dataflows.contract.measures import ratios
from dataflows.contract.metrics import Metrics, contributions
from dataflows.contract.schema import event_decoder
from tests.support.records import payload

decode = event_decoder(("add_to_cart", "view", "call", "lead", "renewal", "chargeback")).decode


ADDS = contributions(parse("add_to_cart,view:impression,call:click,lead:conversion,renewal:purchase,chargeback:refund"))


def tally(*events: dict[str, Any]) -> Metrics:
    metrics = Metrics(declared=[0] * 6)
    for number, fields in enumerate(events):
        event = decode(payload(f"e{number}", **fields))
        metrics.add(event, ADDS[event.event_type])
    return metrics


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"event_type": "impression"}, {"impressions": 1}),
        ({"event_type": "click", "cost_micros": 7}, {"clicks": 1, "spend_micros": 7}),
        ({"event_type": "conversion"}, {"conversions": 1}),
        ({"event_type": "purchase", "revenue_micros": 9}, {"conversions": 1, "purchases": 1, "revenue_micros": 9}),
        ({"event_type": "refund", "revenue_micros": 9}, {"refunds": 1, "refund_micros": 9}),
        ({"event_type": "cost", "cost_micros": 5}, {"spend_micros": 5}),
        (
            {"event_type": "impression", "cost_micros": 3, "revenue_micros": 4},
            {"impressions": 1, "spend_micros": 3, "revenue_micros": 4},
        ),
        ({"event_type": "refund", "cost_micros": 2, "revenue_micros": 1}, {"refunds": 1, "refund_micros": 1, "spend_micros": 2}),
    ],
)
def test_each_type_of_event_counts_where_the_contract_says(fields: dict[str, Any], expected: dict[str, int]) -> None:
    assert tally(fields) == Metrics(events=1, declared=[0] * 6, **expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("add_to_cart", {"spend_micros": 5, "revenue_micros": 9}),
        ("view", {"impressions": 1, "spend_micros": 5, "revenue_micros": 9}),
        ("call", {"clicks": 1, "spend_micros": 5, "revenue_micros": 9}),
        ("lead", {"conversions": 1, "spend_micros": 5, "revenue_micros": 9}),
        ("renewal", {"conversions": 1, "purchases": 1, "spend_micros": 5, "revenue_micros": 9}),
        ("chargeback", {"refunds": 1, "spend_micros": 5, "refund_micros": 9}),
    ],
)
def test_a_declared_type_counts_under_its_own_name_and_where_its_role_says(name: str, expected: dict[str, int]) -> None:
    counts = [int(name == other) for other in list(ADDS)[6:]]
    found = tally({"event_type": name, "cost_micros": 5, "revenue_micros": 9})
    assert found == Metrics(events=1, declared=counts, **expected)


numbers = st.integers(-(2**70), 2**70)
sums = st.builds(Metrics, *[numbers] * 9, st.lists(numbers, min_size=2, max_size=2))


@given(sums, sums, sums)
def test_partial_tallies_merge_to_the_same_sums_in_any_order(a: Metrics, b: Metrics, c: Metrics) -> None:
    def merged(*parts: Metrics) -> Metrics:
        total = Metrics(declared=[0, 0])
        for part in parts:
            total.merge(part)
        return total

    assert merged(a, b, c) == merged(c, a, b) == merged(merged(b, a), c)


def test_ratios_are_sum_over_sum_in_units_of_currency() -> None:
    found = ratios(
        Metrics(
            impressions=1000,
            clicks=50,
            conversions=4,
            spend_micros=20_000_000,
            revenue_micros=90_000_000,
            refund_micros=10_000_000,
        )
    )
    assert found == {"ctr": 0.05, "cvr": 0.08, "cpc": 0.4, "cpm": 20.0, "cpa": 5.0, "roas": 4.0}


def test_nothing_over_a_negative_sum_is_zero_without_a_sign() -> None:
    assert str(ratios(Metrics(spend_micros=-5, revenue_micros=3, refund_micros=3))["roas"]) == "0.0"


def test_a_ratio_without_a_denominator_is_none_and_never_zero() -> None:
    assert set(ratios(Metrics(revenue_micros=5)).values()) == {None}
