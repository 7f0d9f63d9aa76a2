from __future__ import annotations

from dataflows.dedup import KEPT, IdIndex


def test_an_id_is_known_for_at_least_the_horizon_and_then_forgotten() -> None:
    index = IdIndex(horizon=1000)
    for clock in range(0, 5000, 50):
        index.turn(index.generation(clock))
        index.add(f"id-{clock}", index.generation(clock))
        for age in range(0, min(clock, 1000) + 1, 50):
            known = {event_id for ids in index._generations.values() for event_id in ids}  # pyright: ignore[reportPrivateUsage]  # its content is the claim
            assert f"id-{clock - age}" in known
    assert len(index) <= KEPT * index.span / 50


def test_a_batch_is_taken_whole_or_not_at_all() -> None:
    index = IdIndex(horizon=1000)
    index.turn(0)
    assert index.add_all_new(["a", "b"], 0)
    assert not index.add_all_new(["c", "b"], 0)
    assert not index.add_all_new(["d", "d"], 0)
    assert index.add_all_new(["c", "d"], 0)


def test_a_sighting_renews_an_id() -> None:
    index = IdIndex(horizon=1000)
    for generation in range(10):
        index.turn(generation)
        assert index.add("a", generation) == (generation == 0)
