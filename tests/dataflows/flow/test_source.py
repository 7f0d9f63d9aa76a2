from __future__ import annotations

import pytest
from msgspec.structs import replace

from dataflows.contract.settings import Settings
from dataflows.flow.context import FlowContext
from dataflows.flow.idle import Rest
from dataflows.flow.position import ReaderState
from dataflows.flow.reader import Reader
from dataflows.flow.source import SETTLE_SECONDS, SLOTS, Slot, SlotState
from dataflows.flow.state import load
from dataflows.flow.telemetry import LOOK_SECONDS
from dataflows.intake.partition import IntakeState
from dataflows.wire.cell_bytes import Share
from tests.support.engines.panes import cells_of
from tests.support.flows import send, wait_for
from tests.support.readers import FakeTopology, ManualTime
from tests.support.records import micros, payload


def kept(one: Slot) -> SlotState:
    """What a snapshot of `one` keeps."""
    state = load(one.snapshot(), SlotState, Settings())
    assert state is not None
    return state


def slot(
    settings: Settings, topology: FakeTopology, number: int, state: SlotState | None = None, clock: ManualTime | None = None
) -> Slot:
    return Slot(FlowContext(settings, topology=topology, monotonic=clock or ManualTime()), number, state)


def rejected_and_counted(one: Slot, messages: int = 1) -> tuple[int, int]:
    """Poll until `messages` have come; return the numbers rejected and counted."""
    rejected = counted = 0

    def enough() -> bool:
        nonlocal rejected, counted
        for poll in one.next_batch():
            rejected += len(poll.rejected)
            for shard, part in poll.partials:
                shares = [Share(int(shard), window, table, cells) for (window, table), cells in part.cells.items()]
                counted += sum(metrics.events for _, _, metrics in cells_of(shares))
        return rejected + counted >= messages

    wait_for(enough, f"{messages} messages")
    return rejected, counted


def test_a_slot_without_partitions_reads_nothing_until_there_is_one(settings: Settings) -> None:
    topology = FakeTopology(0)
    one = slot(settings, topology, 1)
    assert one.next_batch() == []
    assert one.next_awake() is not None
    send(settings, [payload("a", 1)], partition=1)
    topology.count = 2
    assert rejected_and_counted(one) == (0, 1)
    one.close()


def test_a_partition_that_appears_later_waits_and_then_begins_with_the_clock_of_the_others(
    settings: Settings,
) -> None:
    topology = FakeTopology(1, micros(5000))
    clock = ManualTime()
    one = slot(settings, topology, 1, clock=clock)
    assert one.next_batch() == []
    send(settings, [payload("old", 10), payload("new", 5001)], partition=1)
    topology.count = 2
    assert one.next_batch() == []
    assert kept(one) == SlotState(1, {})
    clock.seconds += SETTLE_SECONDS
    assert rejected_and_counted(one, 2) == (1, 1)
    assert kept(one).partitions == 2
    one.close()


def test_after_a_restart_a_partition_that_is_new_is_read_from_its_beginning_also_with_start_latest(
    settings: Settings,
) -> None:
    latest = replace(settings, start="latest")
    send(latest, [payload("a", 1)], partition=1)
    clock = ManualTime()
    one = slot(latest, FakeTopology(2), 1, SlotState(1, {}), clock)
    one.next_batch()
    clock.seconds += SETTLE_SECONDS
    assert rejected_and_counted(one) == (0, 1)
    one.close()


@pytest.mark.native
def test_a_reader_whose_bell_is_silent_is_polled_only_where_time_may_have_changed_something(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualTime()
    rest = Rest()
    send(settings, [payload("a", 1)], partition=1)
    one = Slot(FlowContext(settings, topology=FakeTopology(2), monotonic=clock), 1, None, rest=rest)
    assert rejected_and_counted(one) == (0, 1)
    polls: list[float] = []
    monkeypatch.setattr(Reader, "poll", lambda _self: polls.append(clock()))
    for _ in range(40):
        clock.seconds += 0.025
        one.next_batch()
    assert len(polls) <= 1 / LOOK_SECONDS + 2, "the end of the log rings too"
    polls.clear()
    rest.bell.ring(1)
    wait_for(lambda: one.next_batch() or polls, "a poll after the bell")
    one.close()


def test_a_slot_reads_every_partition_that_falls_to_it(settings: Settings) -> None:
    state = SlotState(SLOTS + 4, {SLOTS + 3: ReaderState(settings.logs_topic, 7, IntakeState())})
    one = slot(settings, FakeTopology(4), 3, state)
    one.next_batch()
    assert kept(one).readers[SLOTS + 3].offset == 7
    one.close()
