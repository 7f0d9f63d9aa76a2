"""What is older than the minutes at hand: packed by the hour, and exact whatever comes late, is cleared, brought back or forgotten."""

from __future__ import annotations

import random

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from dataflows.contract.metrics import SUMS
from dataflows.contract.schema import STATES, WindowResult
from figures.measures import sums
from figures.store.blocks import Block, floor_to, joint_state
from figures.store.packed_days import Day, SparseDay
from figures.store.rows import parse_start
from figures.store.store import PACKED_FROM, UNDO_SECONDS, Store
from tests.support.results import BEGIN, SteppedClock, result

HOURS, DAYS = 2, 2
KEY = ["t", "campaign", "channel"]


class PlainStore:
    """The same as a dictionary of the last results, added up by one group-by."""

    def __init__(self) -> None:
        self.rows: dict[tuple[int, str, str], WindowResult] = {}
        self.dropped: dict[tuple[int, str, str], WindowResult] | None = None
        self.newest = self.dropped_newest = 0

    def apply(self, results: list[WindowResult]) -> None:
        self.newest = max([self.newest, *(parse_start(one.window_start) for one in results)])
        self._take(results)

    def _take(self, results: list[WindowResult]) -> None:
        oldest = (self.newest - DAYS * 86_400) // 3600 * 3600
        for one in results:
            key = (parse_start(one.window_start), one.campaign_id, one.channel)
            held = self.rows.get(key)
            rank = (one.revision, STATES.index(one.state))
            if key[0] >= oldest and (held is None or rank >= (held.revision, STATES.index(held.state))):
                self.rows[key] = one
        self.rows = {key: one for key, one in self.rows.items() if key[0] >= oldest}

    def delete(self, cells: list[tuple[int, str, str]]) -> None:
        if any(cell in self.rows for cell in cells):
            self.newest = self.newest if self.rows.keys() - set(cells) else 0
        for rows in (self.rows, self.dropped or {}):
            for cell in cells:
                rows.pop(cell, None)

    def clear(self) -> None:
        self.dropped, self.dropped_newest = self.rows, self.newest
        self.rows, self.newest = {}, 0

    def undo(self) -> None:
        if self.dropped is None:
            return
        since, self.rows, self.dropped = self.rows, self.dropped, None
        self.newest = max(self.newest, self.dropped_newest)
        self._take(list(since.values()))

    def sums(self, start: int, end: int, grain: int) -> list[tuple[object, ...]]:
        rows = [(*key, *(getattr(one, name) for name in SUMS), STATES.index(one.state)) for key, one in self.rows.items()]
        frame = pl.DataFrame(rows, [*KEY, *SUMS, "state"], orient="row").filter(pl.col("t").is_between(start, end, closed="left"))
        return added(frame.with_columns(pl.col("t", *SUMS).cast(pl.Int64)), grain)


def added(rows: pl.DataFrame, grain: int) -> list[tuple[object, ...]]:
    return (
        rows.group_by(floor_to(grain), "campaign", "channel").agg(*sums(SUMS, wide=frozenset()), joint_state()).sort(KEY).rows()
    )


def shown(store: Store, start: int, end: int, grain: int, cuts: tuple[int, ...] = ()) -> list[tuple[object, ...]]:
    snapshot = store.snapshot()
    rows = snapshot.between(start, end, grain, cuts)
    for cut in cuts:  # both sides of a cut can be distinguished
        assert len(rows.filter(pl.col("t") < cut)) + len(rows.filter(pl.col("t") >= cut)) == len(rows)
    named = rows.with_columns(
        pl.Series("campaign", snapshot.campaigns.column(rows["campaign"]), pl.String),
        pl.Series("channel", snapshot.channels.column(rows["channel"]), pl.String),
    )
    return added(named, grain)


minutes = st.integers(0, 3 * 1440)
upserts = st.lists(
    st.builds(
        result,
        minute=minutes,
        campaign=st.sampled_from("abc"),
        channel=st.sampled_from("xy"),
        revision=st.integers(1, 4),
        state=st.sampled_from(STATES),
        clicks=st.integers(0, 50),
        spend_micros=st.integers(-(10**9), 10**9),
    ),
    max_size=40,
).map(lambda made: [one for one in made if one.clicks or one.spend_micros])
deletions = st.builds(tuple, upserts)
steps = st.lists(st.one_of(upserts, deletions, st.sampled_from(["clear", "undo", "look"])), min_size=1, max_size=12)


@examples(max_examples=60)
@given(steps, minutes, minutes, st.sampled_from([60, 300, 900, 3600, 10_800, 86_400]), st.sampled_from([0, 8, PACKED_FROM]))
def test_sums_equal_a_plain_group_by_after_any_corrections_evictions_deletions_clears_and_undos(
    steps: list[object], first: int, second: int, grain: int, packed_from: int
) -> None:
    store, plain = Store(hours=HOURS, days=DAYS, packed_from=packed_from), PlainStore()
    for step in steps:
        if isinstance(step, list):
            if step:
                # The last of equal rank wins in both: one at a time, so that both see the same order.
                store.apply(step)
                plain.apply(step)
        elif isinstance(step, tuple):
            cells = [(parse_start(one.window_start), one.campaign_id, one.channel) for one in step]
            store.delete([(*cell, "USD") for cell in cells])
            plain.delete(cells)
        elif step == "clear":
            store.clear()
            plain.clear()
        elif step == "undo":
            store.undo()
            plain.undo()
        else:
            store.snapshot()
    start, end = sorted((BEGIN + 60 * first, BEGIN + 60 * second))
    assert store.snapshot().rows == len(plain.rows)
    assert shown(store, 0, 2**40, grain) == plain.sums(0, 2**40, grain)
    assert shown(store, start, end, grain, cuts=((start + end) // 120 * 60,)) == plain.sums(start, end, grain)


def long_ago(hours: float = 2, days: float = 30, packed_from: int = 0) -> Store:
    """A store in which the first minute is a day old, and packed."""
    store = Store(hours=hours, days=days, packed_from=packed_from)
    store.apply([result(minute=minute, clicks=2) for minute in range(0, 1440, 10)])
    return store


@pytest.mark.parametrize("packed_from", [0, PACKED_FROM])
def test_a_corrected_minute_changes_its_hour_and_its_day(packed_from: int) -> None:
    store = long_ago(packed_from=packed_from)
    before = store.snapshot()
    store.apply([result(minute=0, revision=13, clicks=9, state="corrected")])
    assert before.between(BEGIN, BEGIN + 3600, 3600)["clicks"].sum() == 12
    assert store.snapshot().between(BEGIN, BEGIN + 3600, 3600)["clicks"].sum() == 19
    assert store.snapshot().between(0, 2**40, 86_400)["clicks"].sum() == 2 * 144 + 7
    assert store.snapshot().states(BEGIN, BEGIN + 60)["fixed"].to_list() == [True]


def test_an_older_revision_that_comes_again_changes_no_hour() -> None:
    store = long_ago()
    store.apply([result(minute=0, revision=11, clicks=9)])
    assert store.snapshot().between(BEGIN, BEGIN + 3600, 3600)["clicks"].sum() == 12


def test_what_is_packed_takes_a_tenth_of_the_memory() -> None:
    store = Store(hours=1, days=30)
    store.apply([result(minute=minute, campaign=f"c{at}", clicks=at) for minute in range(240) for at in range(100)])
    snapshot = store.snapshot()
    assert snapshot.packed == 100 * 120
    packed = [part for part in snapshot.parts if part.length > 3600]
    assert sum(part.bytes for part in packed) < 25 * snapshot.packed


def test_a_day_of_few_rows_is_not_packed_until_it_has_many() -> None:
    store = Store(hours=1, days=30)
    days = [minute for day in range(3) for minute in range(1440 * day, 1440 * day + 600, 2)]
    store.apply([result(minute=minute) for minute in [*days, 1440 * 4]])
    assert store.snapshot().packed == 0
    assert [type(part) for part in store.snapshot().parts] == [SparseDay] * 3 + [Block]
    store.apply([result(minute=minute, campaign=f"c{at}") for minute in range(1440, 2000) for at in range(10)])
    assert [type(part) for part in store.snapshot().parts] == [SparseDay, Day, SparseDay, Block]
    assert store.snapshot().packed == 300 + 5600
    assert store.snapshot().between(0, 2**40, 86_400)["clicks"].sum() == 3 * 300 + 1 + 5600


def test_rows_that_come_in_no_order_of_time_are_held_as_those_that_come_in_order() -> None:
    rows = [result(minute=minute, campaign=f"c{minute % 3}", clicks=minute) for minute in range(0, 5 * 1440, 23)]
    mixed = random.Random(3).sample(rows, len(rows))
    held: list[list[tuple[object, ...]]] = []
    for arriving in (rows, mixed):
        store = Store(hours=2, days=30, packed_from=40, pending=50)
        for at in range(0, len(arriving), 40):
            store.apply(arriving[at : at + 40])
        held.append(shown(store, 0, 2**40, 60))
    assert held[0] == held[1]
    assert len(held[0]) == len(rows)


def test_hours_beyond_the_history_are_forgotten() -> None:
    store = Store(hours=1, days=1)
    store.apply([result(minute=0), result(minute=1440)])
    assert store.snapshot().rows == 2
    store.apply([result(minute=1440 + 60)])
    assert store.snapshot().oldest == BEGIN + 1440 * 60


def test_names_that_no_row_has_any_more_are_forgotten_and_the_others_keep_theirs() -> None:
    clock = SteppedClock()
    store = Store(hours=1, days=1, clock=clock)
    store.apply([result(minute=minute, campaign=f"gone {minute} {at}") for minute in range(10) for at in range(300)])
    store.apply([result(minute=minute, campaign=f"kept {minute // 100}", clicks=minute) for minute in range(60, 1440 * 3, 7)])
    snapshot = store.snapshot()
    assert len(snapshot.campaigns.names) < 100
    rows = snapshot.between(0, 2**40, 60)
    for number, clicks, at in rows.select("campaign", "clicks", "t").rows():
        assert snapshot.campaigns.names[number] == f"kept {(at - BEGIN) // 60 // 100}"
        assert clicks == (at - BEGIN) // 60
    assert snapshot.between(0, 2**40, 86_400)["clicks"].sum() == rows["clicks"].sum()


def test_a_snapshot_taken_before_names_were_forgotten_reads_on_in_them() -> None:
    store = Store(hours=1)
    store.apply([result(campaign=f"c{at}") for at in range(3000)])
    before = store.snapshot()
    store.apply([result(minute=600, campaign="new")])
    assert store.snapshot().campaigns.names == ["new"]
    assert sorted(before.campaigns.column(before.between(0, 2**40, 60)["campaign"])) == sorted(f"c{at}" for at in range(3000))


def test_names_are_kept_while_an_undo_may_bring_their_rows_back() -> None:
    clock = SteppedClock()
    store = Store(hours=1, clock=clock)
    store.apply([result(campaign=f"c{at}") for at in range(3000)])
    store.clear()
    store.apply([result(minute=minute, campaign="new") for minute in (1, 300)])
    store.undo()
    assert len(store.snapshot().campaigns.names) <= 3001
    assert store.snapshot().campaigns.column(store.snapshot().between(0, 2**40, 60)["campaign"]) == ["new"]
    clock.now = UNDO_SECONDS + 1
    store.apply([result(minute=900, campaign="new")])
    assert store.snapshot().campaigns.names == ["new"]


@pytest.mark.parametrize("packed_from", [0, PACKED_FROM])
@pytest.mark.parametrize("grain", [60, 3600, 86_400])
def test_sums_beyond_64_bits_are_exact_when_they_are_packed(grain: int, packed_from: int) -> None:
    store = Store(hours=1, days=30, packed_from=packed_from)
    store.apply([result(minute=minute, spend_micros=2**62 + minute, revenue_micros=-(2**80)) for minute in range(300)])
    store.apply([result(minute=300), result(minute=3, revision=13, spend_micros=2**80, revenue_micros=1)])
    rows = store.snapshot().between(0, 2**40, grain)
    assert sum(map(int, rows["spend_micros"])) == 299 * 2**62 + sum(range(300)) - 3 + 2**80 + 1_000_000
    assert sum(map(int, rows["revenue_micros"])) == -299 * 2**80 + 1
    assert rows.schema["clicks"] == pl.Int64
