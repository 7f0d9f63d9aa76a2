"""What is kept from one refresh to the next, and moved along with the time, equals a computation from scratch."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from dataflows.contract.schema import WindowResult
from figures.store.store import Store
from figures.views.keys import timed, untimed
from figures.views.query import OverviewPage, page
from figures.views.view import View
from tests.support.results import BEGIN, SteppedClock, result

VIEWS = [
    View(),
    View(range="15m", metric="clicks"),
    View(range="3h", metric="cpa", sort="name", all_rows=True),
    View(range="24h", metric="conversions"),
    View(range="15m", campaigns=("a",)),
    View(range="30m", channels=("x",), metric="roas"),
    View(range="7d", campaigns=("a", "b"), channels=("x", "none")),
]


def plain(shown: OverviewPage) -> OverviewPage:
    return msgspec.structs.replace(shown, version=0)


def anew(applied: list[list[WindowResult]], hours: float, days: float) -> Store:
    store = Store(hours, days)
    for batch in applied:
        store.apply(batch)
    return store


cells = st.tuples(st.sampled_from("abc"), st.sampled_from("xy"), st.integers(0, 5), st.integers(-3, 10**9))
steps = st.tuples(
    st.integers(0, 7),  # minutes that pass
    st.lists(cells, max_size=4),  # of the newest minute
    st.lists(st.tuples(st.integers(0, 200), cells), max_size=2),  # of older ones
    st.lists(st.sampled_from(VIEWS), max_size=3),
)


@examples(max_examples=15)
@given(st.lists(steps, min_size=2, max_size=25), st.sampled_from([(24, 0), (1, 0), (2, 3)]), st.integers(0, 3))
def test_moved_sums_equal_sums_from_scratch(
    steps: list[tuple[int, list[tuple[str, str, int, int]], list[tuple[int, tuple[str, str, int, int]]], list[View]]],
    held: tuple[float, float],
    opened: int,
) -> None:
    store = Store(*held)
    # Something leaves each range with each minute.
    applied = [[result(minute, "abc"[minute % 3], "xy"[minute % 2], revision=0) for minute in range(60, 300)]]
    store.apply(applied[0])
    minute, revision = 300, 0
    for passed, newest, older, looked in steps:
        batch: list[WindowResult] = []
        minute += passed
        for at, (campaign, channel, clicks, micros) in [
            *((minute, cell) for cell in newest),
            *((minute - ago, c) for ago, c in older),
        ]:
            revision += 1
            one = result(at, campaign, channel, clicks=clicks, conversions=clicks // 2, spend_micros=micros, revision=revision)
            # Of several shards one may be behind, so that an older minute is still open.
            batch.append(msgspec.structs.replace(one, state="provisional" if minute - at < opened or clicks == 5 else "final"))
        # What was open is final by now: nothing but the state of those minutes changes.
        ended = [one for past in applied for one in past if one.state == "provisional"] if passed >= opened else []
        batch += [msgspec.structs.replace(one, state="final") for one in ended]
        if batch:
            store.apply(batch)
            applied.append(batch)
        for view in looked:
            page(store.snapshot(), view)
    fresh = anew(applied, *held).snapshot()
    for view in VIEWS:
        assert plain(page(store.snapshot(), view)) == plain(page(fresh, view))


def test_a_campaign_whose_last_minute_left_the_range_leaves_the_table() -> None:
    store = Store()
    store.apply([result(minute=0, campaign="old")])
    for minute in range(1, 40):
        store.apply([result(minute=minute, campaign="new")])
        names = {row.name for row in page(store.snapshot(), View(range="15m")).campaigns.rows}
        assert names == ({"old", "new"} if minute < 15 else {"new"})


def test_what_was_cleared_is_not_remembered_and_comes_back_with_undo() -> None:
    store = Store(clock=SteppedClock())
    store.apply([result(minute=minute) for minute in range(30)])
    before = plain(page(store.snapshot(), View(range="15m")))
    store.clear()
    assert page(store.snapshot(), View(range="15m")).empty
    store.undo()
    assert plain(page(store.snapshot(), View(range="15m"))) == before


def test_where_nothing_older_changed_nothing_older_is_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    store.apply([result(minute=minute) for minute in range(200)])
    store.apply([result(minute=200, state="provisional")])
    page(store.snapshot(), View(range="1h"))
    read: list[tuple[int, int]] = []
    between = type(store.snapshot()).between

    def noted(self: object, start: int, end: int, *more: object, **named: object) -> object:
        read.append(((start - BEGIN) // 60, (end - BEGIN) // 60))
        return between(self, start, end, *more, **named)  # pyright: ignore[reportArgumentType]  # as it was called

    monkeypatch.setattr(type(store.snapshot()), "between", noted)
    store.apply([result(minute=200, clicks=7, revision=13, state="provisional")])
    page(store.snapshot(), View(range="1h"))
    assert {start for start, _ in read} == {200}
    read.clear()
    store.apply([result(minute=200, clicks=9, revision=14), result(minute=201, state="provisional")])
    assert page(store.snapshot(), View(range="1h")).funnel["clicks"] == 58 + 9 + 1
    assert all(end - start <= 1 for start, end in read)


@pytest.mark.parametrize("t", [-62_135_596_800, -1, 0, 253_402_300_799])
def test_numbers_and_times_of_any_date_come_out_of_their_key(t: int) -> None:
    numbers, times = np.array([0, 3, 8_000_000]), np.array([t] * 3)
    found = untimed(timed(numbers, times))
    assert [one.tolist() for one in found] == [numbers.tolist(), times.tolist()]
