from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from dataflows.contract.constants import SHARDS
from dataflows.contract.errors import RecoveryError
from dataflows.contract.metrics import Cells, Metrics
from dataflows.contract.schema import STATES, WindowResult
from dataflows.contract.settings import Settings
from dataflows.windows.panes import Figures
from dataflows.windows.shards import Partial, split
from dataflows.windows.watermark import SourceClock, Steps
from dataflows.wire.cell_bytes import shard_of
from tests.support.engines.intakes import KINDS
from tests.support.engines.panes import NewPanes, Played, counts, kinds
from tests.support.engines.wire import pack, shares_of, unpack
from tests.support.records import T0, micros

SETTINGS = Settings(emit_seconds=0.2)
NOW = T0.timestamp() + 86_400
"""The machine's clock: a day after the events, as in a replay."""


@pytest.fixture(params=KINDS)
def new(request: pytest.FixtureRequest) -> NewPanes:
    """The panes of a shard, with cells of either kind."""
    return lambda state=None: Played(replace(SETTINGS, native=request.param), state)


def partial(
    partition: int,
    clock: float | None,
    *,
    partitions: int = 1,
    idle: bool = False,
    cells: dict[float, dict[str, int]] | None = None,
    behind: bool = False,
) -> Partial:
    """What `partition` sends: its clock and, by window start (both seconds after T0), events by campaign."""
    windows = {
        (micros(window), 0): pack({(campaign, "x"): counts(number) for campaign, number in of.items()})
        for window, of in (cells or {}).items()
    }
    return Partial(partition, partitions, SourceClock(None if clock is None else micros(clock), idle), windows, behind)


def seen(results: list[WindowResult]) -> list[tuple[str, str, int, str]]:
    return [(result.window_start[11:16], result.campaign_id, result.events, result.state) for result in results]


def test_a_new_cell_is_emitted_at_once_and_its_next_update_when_the_interval_is_over(new: NewPanes) -> None:
    panes = new()
    assert seen(panes.take([partial(0, 10, cells={0: {"a": 1}})], NOW)) == [("12:00", "a", 1, "provisional")]
    assert panes.take([partial(0, 11, cells={0: {"a": 1}})], NOW + 0.1) == []
    assert panes.take([partial(0, 12, cells={0: {"a": 1}})], NOW + 0.15) == []
    due = panes.wake_at()
    assert due is not None
    assert NOW + 0.2 <= due <= NOW + 0.25
    assert panes.tick(due - 0.05) == []
    assert seen(panes.tick(due)) == [("12:00", "a", 3, "provisional")]
    assert panes.wake_at() is None


def test_a_batch_reports_the_result_whose_event_waited_longest_and_its_time(new: NewPanes) -> None:
    panes = new()
    assert panes.waited is None
    panes.take([partial(0, 10, partitions=2, cells={0: {"a": 1}}), partial(1, 7, partitions=2, cells={0: {"b": 1}})], NOW)
    assert panes.waited == (1, micros(7))
    panes.take([partial(0, 11, partitions=2, cells={0: {"a": 1}})], NOW + 0.1)  # it must wait for its next update
    assert panes.waited is None
    panes.take([partial(0, 12, partitions=2, cells={0: {"a": 1, "c": 1}})], NOW + 0.15)
    assert panes.waited == (0, micros(12))  # only c went out
    panes.tick(NOW + 0.3)
    assert panes.waited == (0, micros(11))  # a, since the first event that was not shown
    panes.tick(NOW + 0.4)
    assert panes.waited is None


def test_an_event_of_a_closed_window_is_not_younger_than_its_end_and_a_final_result_without_a_new_one_has_none(
    new: NewPanes,
) -> None:
    panes = new()
    panes.take([partial(0, 10, cells={0: {"a": 1}})], NOW)
    panes.take([partial(0, 64, cells={0: {"b": 1}})], NOW + 1)
    assert panes.waited == (0, micros(60))
    assert seen(panes.take([partial(0, 65)], NOW + 2)) == [("12:00", "a", 1, "final"), ("12:00", "b", 1, "final")]
    assert panes.waited is None
    assert seen(panes.take([partial(0, 200, cells={0: {"a": 1}})], NOW + 3)) == [("12:00", "a", 2, "corrected")]
    assert panes.waited == (0, micros(60))


def test_after_a_stop_and_what_waited_is_said_nothing_is_left_to_be_measured(new: NewPanes) -> None:
    panes = new()
    panes.take([partial(0, 10, cells={0: {"a": 1}})], NOW)
    panes.take([partial(0, 11, cells={0: {"a": 1}})], NOW + 0.1)
    panes.flush(NOW + 0.1)
    assert panes.waited == (0, micros(11))
    panes.flush(NOW + 0.1)
    assert panes.waited is None


def test_what_is_held_is_reported(new: NewPanes) -> None:
    panes = new()
    assert panes.figures() == Figures(None, 0, 0, (0,), (0,))
    panes.take([partial(0, 70, cells={0: {"a": 1, "b": 1}, 60: {"a": 1}})], NOW)
    assert panes.figures() == Figures(micros(65), 1, 2, (1,), (3,))


def test_in_a_backlog_a_cell_waits_and_one_whose_minute_is_over_meanwhile_is_emitted_once(new: NewPanes) -> None:
    panes = new()
    assert panes.take([partial(0, 10, cells={0: {"a": 1}, 60: {"b": 1}}, behind=True)], NOW) == []
    assert panes.take([partial(0, 20, cells={0: {"a": 1}}, behind=True)], NOW + 0.3) == []
    assert seen(panes.take([partial(0, 65, behind=True)], NOW + 0.4)) == [("12:00", "a", 2, "final")]
    due = panes.wake_at()
    assert due is not None
    assert NOW + 1 <= due <= NOW + 1.05
    assert seen(panes.tick(due)) == [("12:01", "b", 1, "provisional")]


def test_a_stop_leaves_no_update_unsaid_and_the_window_open(new: NewPanes) -> None:
    panes = new()
    panes.take([partial(0, 10, cells={0: {"a": 1}})], NOW)
    panes.take([partial(0, 11, cells={0: {"a": 1}})], NOW + 0.1)
    assert seen(panes.flush(NOW + 0.1)) == [("12:00", "a", 2, "provisional")]
    assert panes.wake_at() is None
    again = new(panes.state())
    assert again.wake_at() is None
    assert seen(again.take([partial(0, 65)], NOW + 5)) == [("12:00", "a", 2, "final")]


def test_a_window_is_final_once_when_the_watermark_passes_its_end(new: NewPanes) -> None:
    panes = new()
    panes.take([partial(0, 10, cells={0: {"a": 1}})], NOW)
    assert panes.take([partial(0, 64.999)], NOW) == []
    assert seen(panes.take([partial(0, 65)], NOW)) == [("12:00", "a", 1, "final")]
    assert panes.take([partial(0, 70)], NOW) == []


def test_the_slowest_partition_holds_the_watermark_back(new: NewPanes) -> None:
    panes = new()
    panes.take([partial(0, 10, partitions=2, cells={0: {"a": 1}}), partial(1, 5, partitions=2)], NOW)
    assert panes.take([partial(0, 500, partitions=2)], NOW) == []
    assert seen(panes.take([partial(1, 65, partitions=2, cells={0: {"a": 1}})], NOW)) == [("12:00", "a", 2, "final")]


def test_nothing_is_final_before_every_partition_has_a_clock(new: NewPanes) -> None:
    panes = new()
    panes.take([partial(0, 500, partitions=2, cells={0: {"a": 1}})], NOW)
    assert panes.take([partial(0, 900, partitions=2)], NOW) == []


def test_an_idle_partition_does_not_hold_the_watermark_back_and_may_correct_what_is_final(new: NewPanes) -> None:
    panes = new()
    panes.take([partial(0, 10, partitions=2, cells={0: {"a": 1}}), partial(1, 5, partitions=2)], NOW)
    panes.take([partial(1, 5, partitions=2, idle=True)], NOW)
    assert seen(panes.take([partial(0, 500, partitions=2)], NOW)) == [("12:00", "a", 1, "final")]
    back = panes.take([partial(1, 30, partitions=2, cells={0: {"a": 1, "b": 1}})], NOW)
    assert seen(back) == [("12:00", "a", 2, "corrected"), ("12:00", "b", 1, "corrected")]


def test_each_correction_is_emitted_at_once(new: NewPanes) -> None:
    panes = new()
    panes.take([partial(0, 100, cells={0: {"a": 1}})], NOW)
    assert seen(panes.take([partial(0, 100, cells={0: {"a": 1}})], NOW)) == [("12:00", "a", 2, "corrected")]
    assert seen(panes.take([partial(0, 100, cells={0: {"a": 1}})], NOW)) == [("12:00", "a", 3, "corrected")]


def test_when_all_is_read_and_silent_the_last_window_becomes_final_without_an_event(new: NewPanes) -> None:
    panes = new()
    panes.take([partial(0, 10, cells={0: {"a": 1}})], NOW)
    assert seen(panes.take([partial(0, 10, idle=True)], NOW)) == [("12:00", "a", 1, "final")]


def test_a_minute_that_is_not_over_stays_provisional_however_silent_it_is(new: NewPanes) -> None:
    panes = new()
    now = T0.timestamp() + 20
    panes.take([partial(0, 10, cells={0: {"a": 1}})], now)
    assert panes.take([partial(0, 10, idle=True)], now) == []
    end = T0.timestamp() + 60
    assert panes.wake_at() == end
    assert panes.tick(end - 0.001) == []
    assert seen(panes.tick(end)) == [("12:00", "a", 1, "final")]


def test_waiting_makes_nothing_late(new: NewPanes) -> None:
    panes = new()
    panes.take([partial(0, 10, cells={0: {"a": 1}})], NOW)
    panes.take([partial(0, 10, idle=True)], NOW)
    panes.tick(NOW + 86_400)
    assert seen(panes.take([partial(0, 20, cells={0: {"a": 1}})], NOW + 86_400)) == [("12:00", "a", 2, "corrected")]


def test_a_cell_stays_until_every_clock_the_idle_ones_included_has_passed_the_allowed_lateness(new: NewPanes) -> None:
    panes = new()
    panes.take([partial(0, 10, partitions=2, cells={0: {"a": 5}}), partial(1, 5, partitions=2, idle=True)], NOW)
    panes.take([partial(0, 5000, partitions=2)], NOW)
    assert seen(panes.take([partial(1, 6, partitions=2, cells={0: {"a": 1}})], NOW)) == [("12:00", "a", 6, "corrected")]
    panes.take([partial(1, 664.9, partitions=2)], NOW)
    assert micros(0) in panes.state().panes[0]
    panes.take([partial(1, 665, partitions=2)], NOW)
    assert panes.state().panes == [{}]


def test_a_new_partition_holds_cells_until_it_has_a_clock(new: NewPanes) -> None:
    panes = new()
    panes.take([partial(0, 10, cells={0: {"a": 5}})], NOW)
    panes.take([partial(0, 5000, partitions=2)], NOW)
    assert seen(panes.take([partial(1, 6, partitions=2, cells={0: {"a": 1}})], NOW + 1)) == [("12:00", "a", 6, "provisional")]


def test_a_snapshot_with_windows_of_another_length_is_refused(new: NewPanes) -> None:
    panes = new()
    with pytest.raises(RecoveryError, match="windows of 60 s, but ADTALLY_WINDOW_SECONDS is 10"):
        Played(Settings(window_seconds=10), panes.state())


def test_after_a_restart_no_partition_is_idle_before_it_reports_so_again(new: NewPanes) -> None:
    panes = new()
    now = T0.timestamp() + 20
    panes.take([partial(0, 10, partitions=2, idle=True, cells={0: {"a": 1}}), partial(1, 10, partitions=2, idle=True)], now)
    again = new(panes.state())
    assert again.tick(NOW) == []
    assert again.take([partial(0, 10, partitions=2, idle=True)], NOW) == []
    assert seen(again.take([partial(1, 30, partitions=2, cells={0: {"a": 1}})], NOW)) == [("12:00", "a", 2, "provisional")]


def test_a_window_that_is_evicted_while_this_machines_clock_is_far_behind_is_final(new: NewPanes) -> None:
    panes = new()
    behind = T0.timestamp() - 3_600
    panes.take([partial(0, 10, cells={0: {"a": 1}})], behind)
    assert seen(panes.take([partial(0, 10_000, idle=True)], behind + 1)) == [("12:00", "a", 1, "final")]
    assert panes.figures() == Figures(watermark=panes.figures().watermark, open_windows=0, windows=0, open_cells=(0,), cells=(0,))
    assert panes.flush(behind + 2) == []


def test_sums_beyond_64_bits_survive_a_restart(new: NewPanes) -> None:
    panes = new()
    huge = {(micros(0), 0): pack({("a", "x"): Metrics(events=1, spend_micros=2**63 - 1)})}
    for _ in range(3):
        panes.take([Partial(0, 1, SourceClock(micros(10), False), huge)], NOW)
    again = new(panes.state())
    (result,) = again.take([partial(0, 65)], NOW)
    assert result.spend_micros == 3 * (2**63 - 1)


def test_every_shard_hears_the_clock_and_gets_its_own_cells() -> None:
    cells: Cells = {(f"c{n}", "x"): counts(n) for n in range(100)}
    parts = split(3, 4, SourceClock(7, False), shares_of(0, cells))
    assert [shard for shard, _ in parts] == [str(shard) for shard in range(SHARDS)]
    assert all((part.partition, part.partitions, part.clock.time) == (3, 4, 7) for _, part in parts)
    found = [(shard, key) for shard, part in parts for key, _ in unpack(part.cells.get((0, 0), b""))]
    assert len(found) == 100
    assert all(str(shard_of(*map(str, key))) == shard for shard, key in found)


def test_several_shares_of_a_shard_and_window_arrive_as_one_and_a_cell_in_two_of_them_is_their_sum(new: NewPanes) -> None:
    cells: Cells = {("autumn", "search"): counts(2)}
    shares = [*shares_of(micros(0), cells), *shares_of(micros(60), cells), *shares_of(micros(0), cells)]
    ((_, only),) = split(0, 1, SourceClock(micros(10), False), shares, to_all=False)
    assert seen(new().take([only], NOW)) == [("12:00", "autumn", 4, "provisional"), ("12:01", "autumn", 2, "provisional")]


def test_a_shard_without_cells_gets_the_clock_only_where_that_can_end_a_window() -> None:
    cells: Cells = {("autumn", "search"): counts(1)}
    (only,) = split(3, 4, SourceClock(7, False), shares_of(0, cells), to_all=False)
    assert only[0] == str(shard_of("autumn", "search"))
    assert len(split(3, 4, SourceClock(7, False), shares_of(0, cells), to_all=True)) == SHARDS
    steps = Steps(out_of_order=300_000)
    passed = [
        steps.passes(2, SourceClock(time, False)) for time in (None, 100, 299_999, 300_000, 1_299_999, 1_300_000, 1_300_000)
    ]
    assert passed == [True, True, False, True, False, True, False]
    assert steps.passes(2, SourceClock(1_300_000, True)), "it has become silent"
    assert steps.passes(2, SourceClock(1_300_000, False))
    assert steps.passes(3, SourceClock(1_300_000, False)), "a partition was added"


def test_the_shard_of_a_name_is_the_same_in_every_run() -> None:
    assert [shard_of("autumn", "search"), shard_of("a", "b"), shard_of("", "")] == [6, 1, 5]


steps = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(0, 40),
        st.integers(0, 4),
        st.sampled_from("abc"),
        st.booleans(),
        st.sampled_from([0.0, 0.1, 0.3]),
    ),
    max_size=60,
)


@given(steps, st.sets(st.integers(0, 60)))
def test_whatever_the_order_restarts_and_silences_the_last_value_of_each_cell_is_the_sum_of_what_was_accepted(
    given: list[tuple[int, int, int, str, bool, float]], restarts: set[int]
) -> None:
    both = kinds(SETTINGS)
    panes, now = Played(both[0]), NOW
    clocks: dict[int, float | None] = dict.fromkeys(range(3))
    truth: Counter[tuple[str, str]] = Counter()
    last: dict[tuple[str, str], WindowResult] = {}

    def on_error(results: list[WindowResult]) -> None:
        for result in results:
            key = (result.window_start, result.campaign_id)
            old = last.get(key)
            if old is not None:
                order: Any = (result.revision, STATES.index(result.state))
                assert order >= (old.revision, STATES.index(old.state))
            last[key] = result

    for number, (partition, ahead, back, campaign, idle, pause) in enumerate(given):
        if number in restarts:
            both.reverse()  # the other kind of cells must resume from what one kind has saved
            panes = Played(both[0], panes.state())
        now += pause
        clock = (clocks[partition] or 0.0) + ahead * 20.0
        clocks[partition] = clock
        window = max(0.0, clock // 60 * 60 - back * 60)
        accepted = window + 60 + 600 > clock - 5
        cells = {window: {campaign: 1}} if accepted else None
        on_error(panes.take([partial(partition, clock, partitions=3, idle=idle, cells=cells)], now))
        if accepted:
            at = f"{T0.hour + int(window) // 3600:02}:{int(window) // 60 % 60:02}"
            truth[f"2026-01-01T{at}:00Z", campaign] += 1
    for partition in range(3):
        on_error(panes.take([partial(partition, clocks[partition], partitions=3, idle=True)], now))
    on_error(panes.tick(now + 10))
    assert {key: result.events for key, result in last.items()} == truth
    assert all(result.state != "provisional" for result in last.values())
