"""Both engines count the same cells of every table as the oracle, whatever the bound, and wherever they are started again."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from dataflows.contract.settings import Settings
from tests.support.engines.intakes import both
from tests.support.records import payload
from tests.system.oracle.hostile import crowded, hostile
from tests.system.oracle.readings import DEPLOYMENT, Judged, by_a_restarted_engine, by_the_engine, by_the_oracle


def assert_same(found: Judged, expected: Judged) -> None:
    """What differs is shown in short: a whole reading is too long to look at."""
    assert found[:2] == expected[:2]
    assert {key: sums for key, sums in found[2].items() if expected[2].get(key) != sums} == {}
    assert set(expected[2]) - set(found[2]) == set()


@pytest.mark.parametrize("bound", [1, 20, 10_000])
@pytest.mark.parametrize("seed", range(3))
def test_they_count_the_same_cells_of_every_table_whatever_the_bound(seed: int, bound: int) -> None:
    given = hostile(1500, seed, pace=0.3)
    deployment = replace(DEPLOYMENT, breakdown_cells=bound, dedup=seed != 2)
    expected = by_the_oracle(given, deployment)
    assert len({key[0] for key in expected[2]}) == 5
    for kind in both():
        assert_same(by_the_engine(given, kind, deployment), expected)


@pytest.mark.parametrize("dedup", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_a_restart_restores_the_admitted_cells_exactly_also_without_deduplication(seed: int, dedup: bool) -> None:
    # Some twenty generations of ids: most of the admitted cells are of windows that are over.
    given = hostile(3000, seed, pace=2.0)
    deployment = replace(DEPLOYMENT, breakdown_cells=4, dedup=dedup)
    expected = by_the_oracle(given, deployment)
    for kind in both():
        assert_same(by_a_restarted_engine(given, kind, deployment, seed), expected)


def repeats_from_far_back() -> list[bytes | None]:
    """In each of forty minutes an event, a repeat of one from minutes before, with a value of its own, and much later a third value."""
    sent: list[tuple[float, bytes]] = []
    for minute in range(40):
        start, since = 60.0 * minute, (340.0, 500.0, 640.0)[minute % 3]
        sent.append((start, payload(f"x{minute}", start, device="first")))
        sent.append((start + since, payload(f"x{minute}", start + since, device="of a repeat")))
        sent.append((start + 590, payload(f"late {minute}", start + 1, device="later")))
    return [value for _, value in sorted(sent, key=lambda one: one[0])]


@pytest.mark.parametrize("seed", range(4))
def test_a_repeat_of_an_event_from_before_the_admitted_windows_takes_no_place_after_a_restart(seed: int) -> None:
    given = repeats_from_far_back()
    deployment = replace(DEPLOYMENT, breakdown_cells=2)
    expected = by_the_oracle(given, deployment)
    assert sum(key[0] == 2 and key[4] == '["later"]' for key in expected[2]) == 40
    for kind in both():
        assert_same(by_a_restarted_engine(given, kind, deployment, seed), expected)


@pytest.mark.long
def test_a_hundred_thousand_values_in_a_minute_are_counted_exactly() -> None:
    given: list[bytes | None] = [*crowded(100_000, 100_000)]
    deployment = Settings(breakdowns="device;ad=adgroup_id,ad_id;country", event_types=DEPLOYMENT.event_types)
    expected = by_the_oracle(given, deployment)
    assert sum(key[0] == 1 for key in expected[2]) == 10_002
    for kind in both():
        assert_same(by_the_engine(given, kind, deployment), expected)
