"""What is put wrong, by the promise that it breaks. A mutant is a function that patches the modules of the flow before it is built."""

# To put something wrong inside a part is what a mutant is:
# pyright: reportPrivateUsage=false
from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec.structs import replace

import dataflows.flow.operators
import dataflows.flow.sink
import dataflows.intake.decode
import dataflows.intake.partition
import dataflows.intake.reference
import dataflows.windows.cells
from dataflows.contract.measures import ratios
from dataflows.contract.metrics import Cells, Metrics, fold
from dataflows.contract.schema import Event, Rejected, WindowResult, to_micros
from dataflows.flow.operators import ShardLogic
from dataflows.flow.reader import Reader
from dataflows.flow.sink import OutboxPart
from dataflows.intake.partition import Counters, Intake, IntakeState
from dataflows.intake.reference import PythonIntake
from dataflows.intake.rules import Rules
from dataflows.kafka.produce import PythonSender
from dataflows.kafka.record import Record
from dataflows.windows.cells import Cell, CellKey, to_result
from dataflows.windows.panes import Panes, PanesState
from dataflows.windows.watermark import Watermark
from dataflows.wire.records import Records
from tests.system.mutants.stock import StockKafkaSink

MUTANTS: dict[str, Callable[[], None]] = {}
"""By name."""


def mutant(function: Callable[[], None]) -> Callable[[], None]:
    """Give the mutant its name: that of the function, in words."""
    MUTANTS[function.__name__.replace("_", " ")] = function
    return function


def patch(owner: Any, name: str, value: Any) -> None:
    """Put `value` in the place of the attribute `name`, which must be there: a mutant that changes nothing shows nothing."""
    assert hasattr(owner, name), f"{owner} has no {name} any more"
    setattr(owner, name, value)


# Counting.


def _first_event(count: Callable[[Cells, Event], None]) -> None:
    """Have the first event that is counted added to its cells by `count`."""
    first = [count]

    def changed(cells: Cells, event: Event) -> None:
        (first.pop() if first else fold)(cells, event)

    patch(dataflows.intake.reference, "fold", changed)


@mutant
def one_event_dropped() -> None:
    _first_event(lambda _cells, _event: None)


@mutant
def one_event_doubled() -> None:
    def twice(cells: Cells, event: Event) -> None:
        fold(cells, event)
        fold(cells, event)

    _first_event(twice)


@mutant
def one_event_in_the_next_window() -> None:
    left: list[Event] = []
    take = PythonIntake.take

    def moving(self: PythonIntake, records: Sequence[Record]) -> None:
        take(self, records)
        if left:
            event, length = left.pop(), self.rules.window
            fold(self._windows[self.rules.start(to_micros(event.timestamp)) + length], event)

    _first_event(lambda _cells, event: left.append(event))
    patch(PythonIntake, "take", moving)


@mutant
def rounded_into_the_next_window() -> None:
    patch(dataflows.intake.decode, "rounds_up", lambda _value: False)


@mutant
def money_as_float() -> None:
    def rough(window: int, rules: Rules, key: CellKey, cell: Cell) -> WindowResult:
        return replace(to_result(window, rules, key, cell), spend_micros=int(float(cell.metrics.spend_micros)))

    patch(dataflows.windows.cells, "to_result", rough)


@mutant
def ratio_without_its_thousand() -> None:
    def wrong(sums: Metrics) -> dict[str, float | None]:
        right = ratios(sums)
        return {**right, "cpm": (right["cpm"] or 0.0) / 1000 or right["cpm"]}

    patch(dataflows.windows.cells, "ratios", wrong)


@mutant
def revision_is_not_the_events() -> None:
    def wrong(window: int, rules: Rules, key: CellKey, cell: Cell) -> WindowResult:
        right = to_result(window, rules, key, cell)
        return replace(right, revision=right.revision + 1)

    patch(dataflows.windows.cells, "to_result", wrong)


@mutant
def keys_joined_by_a_bar() -> None:
    def joined(start: str, campaign: str, channel: str) -> bytes:
        return f"{start}|{campaign}|{channel}".encode()

    patch(dataflows.windows.cells, "result_key", joined)


# Judging.


@mutant
def late_by_the_wall_clock() -> None:
    def is_late(self: Rules, moment: int, _clock: int) -> bool:
        return moment - moment % self.window + self.window + self.lateness <= time.time() * 1_000_000 - self.out_of_order

    patch(Rules, "is_late", is_late)


@mutant
def late_by_the_clock_of_other_partitions() -> None:
    right = Reader.__init__

    def ahead(self: Reader, *given: Any, **more: Any) -> None:
        right(self, *given, **more)
        take = self._position.take

        def taken(records: Sequence[Record]) -> None:
            newest, offset = self._topology.newest(), records[0].offset()
            if newest is not None and offset is not None:
                self._intake.advance(newest, offset)
            take(records)

        patch(self._position, "take", taken)

    patch(Reader, "__init__", ahead)


@mutant
def repeats_are_not_recognised() -> None:
    right = Rules.of.__func__  # pyright: ignore[reportFunctionMemberAccess] # of the class method

    def of(cls: type[Rules], settings: Any) -> Rules:
        return replace(right(cls, settings), dedup=False)

    patch(Rules, "of", classmethod(of))


@mutant
def counters_off_by_one() -> None:
    take = PythonIntake.take

    def wrong(self: PythonIntake, records: Sequence[Record]) -> None:
        take(self, records)
        if self.counters.read == len(records):
            self.counters.counted += 1

    patch(PythonIntake, "take", wrong)


@mutant
def rejected_events_are_dropped() -> None:
    patch(dataflows.flow.operators, "rejected_records", lambda _poll: [])


@mutant
def rejected_events_are_not_kept_as_they_came() -> None:
    right = dataflows.intake.decode.rejected

    def cut(*given: Any, value: bytes | None, **more: Any) -> Rejected:
        return right(*given, value=value.strip(b"{") if value else value, **more)

    patch(dataflows.intake.partition, "rejected", cut)


# Time.


@mutant
def watermark_ignores_the_slowest_partition() -> None:
    advance = Watermark.advance

    def hasty(self: Watermark, ends: Iterable[int], now: float) -> None:
        right = self.clocks
        newest = max((clock.time for clock in right.values() if clock.time is not None), default=None)
        self.clocks = {number: replace(clock, time=newest) for number, clock in right.items()}
        advance(self, ends, now)
        self.clocks = right

    patch(Watermark, "advance", hasty)


@mutant
def windows_go_without_the_idle_partitions() -> None:
    evict_before = Watermark.evict_before

    def hasty(self: Watermark) -> int | None:
        right, partitions = self.clocks, self.partitions
        self.clocks = {number: clock for number, clock in right.items() if not clock.idle}
        self.partitions = len(self.clocks)
        before = evict_before(self) if self.clocks else None
        self.clocks, self.partitions = right, partitions
        return before

    patch(Watermark, "evict_before", hasty)


# Stopping and starting again.


def _resume(shift: int) -> None:
    right = Reader.__init__

    def shifted(self: Reader, *given: Any, **more: Any) -> None:
        right(self, *given, **more)
        if self._position.offset is not None:
            self._position.offset += shift

    patch(Reader, "__init__", shifted)


@mutant
def resumes_one_message_early() -> None:
    _resume(-1)


@mutant
def resumes_one_message_late() -> None:
    _resume(1)


@mutant
def index_of_ids_is_empty_after_a_restart() -> None:
    patch(Intake, "rewind", lambda _self: None)


@mutant
def counters_restart_from_zero() -> None:
    state = Intake.state

    def forgetful(self: Intake) -> IntakeState:
        return replace(state(self), counters=Counters())

    patch(Intake, "state", forgetful)


@mutant
def windows_restart_from_zero() -> None:
    right = Panes.__init__

    def forgetful(self: Panes, settings: Any, cells: Any, _state: PanesState | None = None) -> None:
        right(self, settings, cells, None)

    patch(Panes, "__init__", forgetful)


@mutant
def stop_leaves_the_last_updates_unsaid() -> None:
    patch(ShardLogic, "on_eof", lambda _self: ([], False))


@mutant
def stop_discards_the_windows() -> None:
    on_eof = ShardLogic.on_eof

    def discarding(self: ShardLogic) -> tuple[Iterable[Records], bool]:
        return on_eof(self)[0], True

    patch(ShardLogic, "on_eof", discarding)


# The broker.


@mutant
def stock_KafkaSink() -> None:  # noqa: N802 - its name
    patch(dataflows.flow.sink, "TopicSink", StockKafkaSink)


@mutant
def sink_without_delivery_callbacks() -> None:
    patch(PythonSender, "_heard", lambda *_: None)


@mutant
def snapshot_before_the_acknowledgements() -> None:
    patch(OutboxPart, "snapshot", lambda _self: None)
