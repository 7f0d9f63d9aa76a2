"""The load of a benchmark: its events add up to its stated sums, with duplicate, late and malformed ones among them."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import replace

import pytest

from benchmarks.targets import records, taken
from benchmarks.workload import BROKEN, FLUSH, Load, Truth, messages
from dataflows.contract.settings import Settings
from tests.system.oracle.judge import Message, judge
from tests.system.oracle.terms import Terms

NOW = int(time.time() * 1000)
ODD = Load(6_000, campaigns=5, partitions=2, late=0.02, duplicates=0.03, malformed=0.01)


def judged(load: Load) -> tuple[Truth, Counter[str]]:
    """The truth of a load, and the oracle's counters over its partitions."""
    truth = Truth()
    places: Counter[int] = Counter()
    given: list[Message] = []
    for partition, payload in messages(load, truth):
        given.append(Message(partition, places[partition], NOW, payload))
        places[partition] += 1
    found: Counter[str] = Counter()
    for counters in judge(given, Terms()).counters.values():
        found += counters
    return truth, found


@pytest.mark.parametrize("load", [Load(2000), ODD, replace(ODD, ids="short"), replace(ODD, partitions=1, minutes=40)])
def test_the_truth_of_a_load_is_what_the_oracle_finds_in_it(load: Load) -> None:
    truth, found = judged(load)
    assert found["read"] == load.events + load.partitions
    assert found["counted"] == truth.counted + load.partitions
    assert (found["late"], found["duplicate"], found["malformed"]) == (truth.late, truth.duplicate, truth.malformed)
    assert truth.counted + truth.late + truth.duplicate + truth.malformed == load.events


def test_every_requested_share_is_met() -> None:
    truth, _ = judged(ODD)
    assert truth.late == pytest.approx(0.02 * ODD.events, rel=0.3)
    assert truth.duplicate == pytest.approx(0.03 * ODD.events, rel=0.3)
    assert truth.malformed == pytest.approx(0.01 * ODD.events, rel=0.5)


def test_a_load_is_the_same_again_and_another_with_another_seed() -> None:
    first, again, other = (list(messages(load, Truth())) for load in (ODD, ODD, replace(ODD, seed=8)))
    assert first == again
    assert first != other


def test_sums_by_cell_are_those_of_the_payloads() -> None:
    truth = Truth()
    sums: Counter[tuple[str, str, str]] = Counter()
    for _, payload in messages(Load(3000), truth):
        event = json.loads(payload)
        if event["campaign_id"] != FLUSH:
            sums[event["timestamp"][:16] + ":00Z", event["campaign_id"], event["channel"]] += event["cost_micros"]
    assert {key: cell[3] for key, cell in truth.cells.items()} == sums
    assert truth.totals()["cost_micros"] == sum(sums.values())


def test_a_clean_load_has_no_broken_payload_and_distinct_ids() -> None:
    payloads = [payload for _, payload in messages(Load(3000), Truth())]
    assert BROKEN not in payloads
    assert len({json.loads(payload)["event_id"] for payload in payloads}) == len(payloads)


def test_the_intake_by_itself_counts_a_load_as_its_truth_says() -> None:
    load = replace(ODD, partitions=1)
    truth = Truth()
    list(messages(load, truth))
    counters = taken(records(load), Settings())[1].counters
    assert (counters.counted - 1, counters.late, counters.duplicate) == (truth.counted, truth.late, truth.duplicate)
