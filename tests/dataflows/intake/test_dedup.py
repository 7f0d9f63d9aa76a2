from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from dataflows.intake.dedup import IdIndex
from dataflows.intake.rules import KEPT, span


def new_ids(index: IdIndex, ids: list[str]) -> list[str]:
    return [event_id for event_id in ids if index.add(event_id)]


def test_an_id_is_known_for_at_least_the_horizon_and_then_forgotten() -> None:
    def filled(until: int) -> IdIndex:
        index = IdIndex()
        for clock in range(0, until + 1, 50):
            index.turn(clock // span(1000))
            index.add(f"id-{clock}")
        return index

    for age in range(0, 1001, 50):
        assert new_ids(filled(3000), [f"id-{3000 - age}"]) == []
    assert new_ids(filled(3000), ["id-0", f"id-{3000 - (KEPT + 1) * 500}"]) == ["id-0", "id-1000"]
    assert len(filled(3000)) <= KEPT * 500 / 50


def test_an_id_that_is_seen_again_is_known_for_another_horizon() -> None:
    index = IdIndex()
    for generation in range(600):
        index.turn(generation)
        assert new_ids(index, ["a"]) == (["a"] if generation == 0 else [])
    assert len(index) == 1


def test_going_back_for_a_refill_forgets_nothing() -> None:
    index = IdIndex()
    for generation in (5, 6, 7, 5):
        index.turn(generation)
        index.add(f"of {generation}")
    assert new_ids(index, ["of 5", "of 6", "of 7"]) == []


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9)


@given(st.lists(st.tuples(st.integers(0, 4), st.lists(names, max_size=8)), max_size=12))
def test_an_id_is_new_unless_it_was_seen_in_the_generations_kept(steps: list[tuple[int, list[str]]]) -> None:
    index = IdIndex()
    seen: dict[str, int] = {}
    generation = 0
    for ahead, ids in steps:
        generation += ahead
        index.turn(generation)
        expected: list[str] = []
        for event_id in ids:
            if generation - seen.get(event_id, -KEPT) >= KEPT:
                expected.append(event_id)
            seen[event_id] = generation
        assert new_ids(index, ids) == expected
    assert len(index) == sum(generation - last < KEPT for last in seen.values())


def test_ids_of_any_length_are_kept_apart_in_great_number() -> None:
    index = IdIndex()
    index.turn(0)
    ids = [str(uuid.UUID(int=number)) if number % 3 else f"id-{number}" for number in range(10_000)]
    assert new_ids(index, ids) == ids
    assert new_ids(index, ids) == []
