from __future__ import annotations

import random
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflows.intake.dedup import Fingerprints, IdIndex
from dataflows.intake.rules import KEPT, span

if TYPE_CHECKING:
    from dataflows.intake.dedup import Words


def new_ones(index: IdIndex, ids: list[str]) -> list[str]:
    """Those of `ids` that the index takes for new."""
    new = index.add(ids)
    return ids if new is None else [one for one, is_new in zip(ids, new.tolist(), strict=True) if is_new]


def test_an_id_is_known_for_at_least_the_horizon_and_then_forgotten() -> None:
    def filled(until: int) -> IdIndex:
        index = IdIndex()
        for clock in range(0, until + 1, 50):
            index.turn(clock // span(1000))
            index.add([f"id-{clock}"])
        return index

    for age in range(0, 1001, 50):
        assert new_ones(filled(3000), [f"id-{3000 - age}"]) == []
    assert new_ones(filled(3000), ["id-0", f"id-{3000 - (KEPT + 1) * 500}"]) == ["id-0", "id-1000"]
    assert len(filled(3000)) <= KEPT * 500 / 50


def test_the_first_of_those_that_stand_twice_in_a_chunk_is_new() -> None:
    index = IdIndex()
    index.turn(0)
    assert new_ones(index, ["a", "b"]) == ["a", "b"]
    assert new_ones(index, ["c", "b", "c", "d", "a", "d"]) == ["c", "d"]
    assert index.add([]) is None


def test_ids_that_differ_in_the_last_of_the_bits_alone_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def alike(_self: Fingerprints, ids: Sequence[str]) -> tuple[Words, Words]:
        return np.full(len(ids), 7, np.uint64), np.array([int(one) for one in ids], np.uint64)

    monkeypatch.setattr(Fingerprints, "of", alike)
    index = IdIndex()
    index.turn(0)
    assert new_ones(index, ["1", "2", "1", "3"]) == ["1", "2", "3"]
    assert new_ones(index, ["3", "4", "1", "4", "2"]) == ["4"]
    assert len(index) == 4


def test_a_sighting_renews_an_id() -> None:
    index = IdIndex()
    for generation in range(600):
        index.turn(generation)
        assert new_ones(index, ["a"]) == (["a"] if generation == 0 else [])


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9)
chunks = st.lists(st.tuples(st.integers(0, 4), st.lists(names, max_size=8)), max_size=12)


@given(chunks)
def test_it_says_what_sets_of_strings_would_say(steps: list[tuple[int, list[str]]]) -> None:
    index = IdIndex()
    seen: dict[str, int] = {}
    generation = 0
    index.turn(generation)
    for ahead, ids in steps:
        generation += ahead
        index.turn(generation)
        expected: list[str] = []
        for one in ids:
            if generation - seen.get(one, -KEPT) >= KEPT:
                expected.append(one)
            seen[one] = generation
        assert new_ones(index, ids) == expected
    assert len(index) == sum(generation - last < KEPT for last in seen.values())


def test_no_id_is_lost_while_the_table_grows() -> None:
    index = IdIndex()
    index.turn(0)
    ids = [
        str(uuid.UUID(int=number)) if number % 3 else f"id-{number}" for number in random.Random(1).sample(range(10**9), 60_000)
    ]
    for start in range(0, len(ids), 777):
        assert index.add(ids[start : start + 777]) is None
    for start in range(0, len(ids), 777):
        assert new_ones(index, ids[start : start + 777]) == []
    assert len(index) == len(ids)


def test_an_id_takes_less_than_fifty_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    # Fixed coefficients: with random ones a small table doubles twice in a row now and then, once in thousands of runs.
    monkeypatch.setattr("dataflows.intake.dedup.os.urandom", random.Random(1).randbytes)
    index = IdIndex()
    index.turn(0)
    for start in range(0, 200_000, 500):
        index.add([f"{number:032x}" for number in range(start, start + 500)])
        if start >= 20_000:
            assert index.nbytes < 50 * (start + 500)
    assert len(index) == 200_000


def test_after_a_rush_the_table_gets_small_again() -> None:
    index = IdIndex()
    index.turn(0)
    for start in range(0, 100_000, 500):
        index.add([f"{number:x}" for number in range(start, start + 500)])
    large = index.nbytes
    for generation in range(1, 8):
        index.turn(generation)
        kept = [f"{generation}-{number}" for number in range(200)]
        assert new_ones(index, kept) == kept
        for _ in range(200):
            assert new_ones(index, kept) == []
    assert index.nbytes < large / 8


@given(st.lists(names, min_size=1, max_size=20))
def test_an_id_has_one_fingerprint_whatever_stands_beside_it(ids: list[str]) -> None:
    fingerprints = Fingerprints()
    together = np.stack(fingerprints.of(ids))
    alone = np.hstack([np.stack(fingerprints.of([one])) for one in ids])
    assert (together == alone).all()
    assert len({(int(first), int(rest)) for first, rest in together.T}) == len(set(ids))


def test_another_process_has_other_fingerprints() -> None:
    assert Fingerprints().of(["a"])[0] != Fingerprints().of(["a"])[0]
