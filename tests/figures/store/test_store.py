"""The store: upserts converge whatever their order, snapshots never change, clearing and its undo reach everyone."""

from __future__ import annotations

import itertools
import random

import polars as pl
import pytest

from dataflows.contract.schema import State
from figures.store.extent import NOTHING_READ, ReadExtent
from figures.store.rows import parse_start
from figures.store.store import UNDO_SECONDS, Store
from tests.support.results import BEGIN, SteppedClock, held, result


def test_the_highest_revision_wins_whatever_the_order_of_arrival() -> None:
    updates = [result(revision=1, clicks=1), result(revision=2, clicks=2), result(revision=3, clicks=3)]
    for order in itertools.permutations(updates):
        store = Store()
        for one in order:
            store.apply([one])
        assert held(store) == [(0, 3)]
        together = Store()
        together.apply(list(order))
        assert held(together) == [(0, 3)]


def test_at_equal_revision_the_later_state_wins() -> None:
    states: list[State] = ["corrected", "provisional", "final"]
    for order in itertools.permutations(states):
        store = Store()
        for state in order:
            store.apply([result(state=state)])
            store.snapshot()
        (row,) = store.snapshot().states(0, 2**40).rows(named=True)
        assert row["fixed"]
        assert not row["open"]


def test_a_snapshot_does_not_change_when_more_arrives() -> None:
    store = Store()
    store.apply([result(clicks=1)])
    before = store.snapshot()
    store.apply([result(clicks=9, revision=13), result(minute=1)])
    assert before.rows == 1
    assert before.between(0, 2**40, 60)["clicks"].to_list() == [1]
    assert store.snapshot().rows == 2


def test_snapshots_within_max_age_are_shared() -> None:
    clock = SteppedClock()
    store = Store(clock=clock)
    store.apply([result()])
    first = store.snapshot()
    store.apply([result(minute=1)])
    clock.now = 0.5
    assert store.snapshot(max_age=1.0) is first
    clock.now = 1.5
    assert store.snapshot(max_age=1.0).rows == 2


def test_the_first_rows_are_shown_at_once_even_where_an_older_snapshot_would_do() -> None:
    store = Store(clock=SteppedClock())
    assert store.snapshot().empty
    store.apply([result()])
    assert store.snapshot(max_age=60).rows == 1


def test_rows_older_than_the_span_leave_when_time_goes_on() -> None:
    store = Store(hours=1)
    store.apply([result(minute=0), result(minute=50)])
    store.apply([result(minute=200)])
    assert held(store) == [(200, 1)]
    store.apply([result(minute=0, revision=99)])
    assert held(store) == [(200, 1)]


def test_a_random_stream_of_upserts_equals_a_plain_dictionary_of_the_last_ones() -> None:
    draw = random.Random(7)
    store, wanted = Store(hours=100), {}
    for _ in range(60):
        batch = []
        for _ in range(draw.randint(1, 40)):
            key = (draw.randint(0, 40), f"c{draw.randint(0, 3)}")
            revision = draw.randint(1, 50)
            batch.append(result(*key, revision=revision, clicks=revision, spend_micros=revision * 7))
            wanted[key] = max(wanted.get(key, 0), revision)
        store.apply(batch)
        if draw.random() < 0.3:
            store.snapshot()
    rows = store.snapshot().between(0, 2**40, 60)
    assert len(rows) == len(wanted)
    assert rows["clicks"].sum() == sum(wanted.values())
    assert rows["spend_micros"].sum() == 7 * sum(wanted.values())


@pytest.mark.parametrize("grain", [60, 300, 900])
def test_rollups_add_up_to_the_same_sums_as_minutes(grain: int) -> None:
    store = Store()
    store.apply([result(minute=minute, campaign=f"c{minute % 3}") for minute in range(70)])
    snapshot = store.snapshot()
    assert snapshot.between(BEGIN, BEGIN + 70 * 60, grain)["clicks"].sum() == 70
    assert snapshot.between(BEGIN + 600, BEGIN + 1260, grain)["clicks"].sum() == 11


def test_clear_drops_every_row_and_says_how_many() -> None:
    store = Store()
    store.apply([result(minute=minute) for minute in range(5)])
    assert store.clear() == 5
    assert store.snapshot().empty
    store.apply([result(minute=5)])
    assert held(store) == [(5, 1)]


def test_undo_brings_the_rows_back_under_what_has_come_since() -> None:
    store = Store()
    store.apply([result(minute=0), result(minute=1)])
    store.clear()
    store.apply([result(minute=1, revision=20, clicks=8), result(minute=2)])
    assert store.undoable()[0] == 2
    assert store.undo() == 2
    assert held(store) == [(0, 1), (1, 8), (2, 1)]
    assert store.undoable() == (0, 0.0)


def test_undo_is_over_after_its_time() -> None:
    clock = SteppedClock()
    store = Store(clock=clock)
    store.apply([result()])
    store.clear()
    clock.now = UNDO_SECONDS + 1
    assert store.undo() == 0
    assert store.snapshot().empty


def test_what_was_read_before_a_clear_lies_behind_a_fence_until_it_is_undone() -> None:
    store = Store()
    store.apply([result()], {0: ReadExtent(17, 500), 3: ReadExtent(4, 600)})
    store.clear()
    assert store.fence() == {0: ReadExtent(17, 500), 3: ReadExtent(4, 600)}
    store.undo()
    assert store.fence() == {}


def test_records_read_again_do_not_move_the_position_and_a_recreated_log_does() -> None:
    store = Store()
    store.apply([result()], {0: ReadExtent(17, 500), 1: ReadExtent(8, 500)})
    store.apply([], {0: ReadExtent(5, 450), 1: ReadExtent(5, 501)})
    store.clear()
    assert store.fence() == {0: ReadExtent(17, 500), 1: ReadExtent(5, 501)}


@pytest.mark.parametrize(
    ("offset", "time", "known"),
    [(16, 500, True), (0, 1, True), (17, 500, False), (17, 400, False), (16, 501, False), (0, 501, False)],
)
def test_a_record_is_known_by_its_offset_and_its_time(offset: int, time: int, known: bool) -> None:
    assert NOTHING_READ.onward(3, 500).onward(16, 300).covers(offset, time) is known


def test_listeners_hear_of_a_clear_and_of_its_undo() -> None:
    heard: list[str] = []
    store = Store()
    store.on_cleared(lambda: heard.append("changed"))
    store.apply([result()])
    assert heard == []
    store.clear()
    store.undo()
    assert heard == ["changed", "changed"]


def test_values_beyond_64_bits_are_held_exactly_and_only_their_columns_are_decimals() -> None:
    store = Store()
    store.apply([result(campaign=f"c{at}", spend_micros=2**80 + at, revenue_micros=-(2**80)) for at in range(3)])
    store.apply([result(campaign="c3", spend_micros=5)])
    snapshot = store.snapshot()
    assert snapshot.wide == {"spend_micros", "revenue_micros"}
    rows = snapshot.between(0, 2**40, 60)
    assert sum(map(int, rows["spend_micros"])) == 3 * 2**80 + 3 + 5
    assert sum(map(int, rows["revenue_micros"])) == -3 * 2**80
    assert rows.schema["clicks"] == rows.schema["refund_micros"] == pl.Int64
    store.apply([result(campaign=f"c{at}", revision=13) for at in range(3)])
    assert not store.snapshot().wide


def test_a_column_is_wide_by_what_it_adds_up_to_and_not_by_its_largest_value() -> None:
    store = Store()
    store.apply([result(minute=at, spend_micros=2**60 if at == 7 else 10**9) for at in range(300)])
    assert not store.snapshot().wide
    store.apply([result(minute=at, spend_micros=2**60) for at in range(8)])
    assert store.snapshot().wide == {"spend_micros"}


@pytest.mark.parametrize("text", ["2026-11-23T08:00:00", "yesterday", ""])
def test_a_start_without_a_zone_or_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_start(text)


@pytest.mark.parametrize(("hours", "days", "packed_from"), [(24.0, 0.0, 1), (0.0, 30.0, 1), (0.0, 30.0, 10**6), (2.0, 30.0, 1)])
def test_of_too_many_rows_the_oldest_are_dropped_and_stay_out(hours: float, days: float, packed_from: int) -> None:
    store = Store(hours, days, packed_from=packed_from, pending=50, most_rows=400)
    for minute in range(1200):
        store.apply([result(minute)])
        if not minute % 97:
            store.apply([result(minute // 2, revision=99)])
    kept = held(store)
    packed = store.snapshot().packed
    assert len(kept) - packed + packed // 10 <= 400
    assert len(kept) >= (350 if packed_from == 1 and not packed else 300)
    assert [minute for minute, _ in kept] == list(range(1200 - len(kept), 1200))
    store.apply([result(0, revision=1000)])
    assert held(store) == kept


def test_the_newest_block_is_kept_even_if_it_alone_has_too_many_rows() -> None:
    store = Store(most_rows=10)
    store.apply([result(0)])
    store.apply([result(100, f"campaign {at}") for at in range(50)])
    assert store.snapshot().rows == 50
