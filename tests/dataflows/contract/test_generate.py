"""What C knows of the contract is what the contract says, and the record of a result holds exactly its sums and ratios."""

from __future__ import annotations

from typing import get_args

from dataflows.contract.generate import HEADER, header
from dataflows.contract.measures import RATIOS, TOTALS
from dataflows.contract.metrics import CONTRIBUTIONS, COUNTS, MONEY, SUMS
from dataflows.contract.schema import EventType, WindowResult


def test_the_header_of_c_is_current() -> None:
    assert HEADER.read_text() == header(), "run: python -m dataflows.contract.generate"


def test_every_event_type_says_what_it_adds() -> None:
    assert set(CONTRIBUTIONS) == set(get_args(EventType))
    for adds in CONTRIBUTIONS.values():
        assert set(adds.counts) <= set(COUNTS)
        assert adds.revenue in MONEY


def test_a_result_has_the_sums_and_the_ratios_in_their_order() -> None:
    middle = (*COUNTS, *MONEY, "counts", *(measure.id for measure in RATIOS))
    assert WindowResult.__struct_fields__ == (
        *("window_start", "window_end", "campaign_id", "channel"),
        *middle,
        *("currency", "events", "revision", "state"),
    )


def test_measures_are_made_of_sums_that_there_are() -> None:
    for measure in (*TOTALS, *RATIOS):
        assert {name for name, _ in (*measure.numerator, *measure.denominator)} <= set(SUMS)
        assert measure.additive == (measure in TOTALS)
