"""What is put wrong, by the promise that it breaks, but for the promises of contract 2, which are in `breakdowns`."""

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
import dataflows.windows.cells
import dataflows.windows.reference
from dataflows.contract.measures import ratios
from dataflows.contract.metrics import CellKey, Metrics
from dataflows.contract.schema import Event, Rejected, WindowResult, rfc3339
from dataflows.flow.operators import ShardLogic
from dataflows.flow.reader import Reader
from dataflows.flow.sink import OutboxPart
from dataflows.intake.partition import Counters, Intake, IntakeState
from dataflows.intake.reference import PythonIntake
from dataflows.intake.rules import Rules
from dataflows.intake.tables import Tables
from dataflows.kafka.produce import PythonSender
from dataflows.kafka.record import Record
from dataflows.windows.cells import Cell, TableRules, to_record, to_result
from dataflows.windows.panes import Panes, PanesState
from dataflows.windows.watermark import Watermark
from dataflows.wire.records import Records
from tests.system.mutants.registry import Catalogue, patch
from tests.system.mutants.stock import StockKafkaSink

MUTANTS = Catalogue()
"""By name."""

mutant = MUTANTS.mutant


# Counting.


Add = Callable[[Tables, int, list[CellKey], Event], None]
"""Adds an event to the cells of a window that the keys name."""


def _first_event(change: Callable[[Add], Add]) -> None:
    """Have the first event that is counted added to its cells by `change` of how it is done."""
    right = Tables.add
    first = [change(right)]

    def changed(self: Tables, window: int, keys: list[CellKey], event: Event) -> None:
        (first.pop() if first else right)(self, window, keys, event)

    patch(Tables, "add", changed)


@mutant
def one_event_dropped() -> None:
    _first_event(lambda _add: lambda _tables, _window, _keys, _event: None)


@mutant
def one_event_doubled() -> None:
    def twice(add: Add) -> Add:
        def changed(tables: Tables, window: int, keys: list[CellKey], event: Event) -> None:
            add(tables, window, keys, event)
            add(tables, window, keys, event)

        return changed

    _first_event(twice)


@mutant
def one_event_in_the_next_window() -> None:
    _first_event(lambda add: lambda tables, window, keys, event: add(tables, window + 60_000_000, keys, event))


@mutant
def rounded_into_the_next_window() -> None:
    patch(dataflows.intake.decode, "rounds_up", lambda _value: False)


@mutant
def money_as_float() -> None:
    def rough(window: int, rules: TableRules, key: CellKey, cell: Cell) -> WindowResult:
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
    def wrong(window: int, rules: TableRules, key: CellKey, cell: Cell) -> WindowResult:
        right = to_result(window, rules, key, cell)
        return replace(right, revision=right.revision + 1)

    patch(dataflows.windows.cells, "to_result", wrong)


@mutant
def keys_joined_by_a_bar() -> None:
    def joined(window: int, rules: TableRules, key: CellKey, cell: Cell) -> tuple[bytes, bytes]:
        _, value = to_record(window, rules, key, cell)
        return "|".join([rfc3339(window // 1_000_000), *map(str, key)]).encode(), value

    patch(dataflows.windows.reference, "to_record", joined)


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
