"""What snapshots remember is bounded by its bytes."""

from __future__ import annotations

import numpy as np

from figures.store.snapshot import Kept, Memory, bytes_of


def test_the_least_recently_used_values_are_evicted_once_there_are_too_many_bytes() -> None:
    memory = Memory(most_bytes=100_000)
    for key in "abc":
        memory.put(key, Kept(0, 60, 1, np.zeros(5_000)))
        memory.get("a")
    assert [key for key in "abc" if memory.get(key)] == ["a", "c"]
    memory.put("a", Kept(0, 60, 2, np.zeros(6_000)))
    assert [key for key in "abc" if memory.get(key)] == ["a", "c"]
    memory.put("large", Kept(0, 60, 1, (np.zeros(1), np.zeros(50_000))))
    assert [key for key in ("a", "c", "large") if memory.get(key)] == ["large"]
    memory.put("a", Kept(0, 60, 1, np.zeros(5_000)))
    assert [key for key in ("a", "large") if memory.get(key)] == ["a"]
    for key in range(1000):
        memory.put(key, Kept(0, 60, 1, 1.0))
    assert 10 <= sum(memory.get(key) is not None for key in range(1000)) <= 100


def test_bytes_are_those_of_arrays_and_of_what_says_how_many() -> None:
    assert bytes_of((np.zeros(3), (np.zeros(2, np.int32), "name"), None, 7)) == 32
