"""Intake of one source partition: decode, judge, drop duplicates, fold. It knows the log's order, but no Kafka client.

Whatever is decided here is a function of the log alone - of the messages of this partition and of Kafka's time on them - so that
every replay decides alike. There are two that decide alike: `dataflows.intake.reference`, which says in Python how it is done, and
`dataflows.intake.native`, which does the same in C for the messages that are plain.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Sequence
from operator import methodcaller

import msgspec

from dataflows.contract.metrics import Cells
from dataflows.contract.schema import Reason, Rejected, rfc3339
from dataflows.intake.decode import NotAnEvent, rejected
from dataflows.intake.rules import KEPT, SECOND, Rules
from dataflows.kafka.record import Record

payload_of = methodcaller("value")


class Counters(msgspec.Struct):
    """What became of the messages of one partition: read = counted + duplicate + late + malformed, always.

    `malformed` is whatever was rejected for what it is, not for when it came; `too_far_ahead` and `oversize` are parts of it.
    """

    read: int = 0
    counted: int = 0
    duplicate: int = 0
    late: int = 0
    malformed: int = 0
    too_far_ahead: int = 0
    oversize: int = 0

    def adds_up(self) -> bool:
        """Whether nothing that was read is unaccounted for."""
        return self.difference() == 0

    def difference(self) -> int:
        """Messages read that are unaccounted for."""
        return self.read - self.counted - self.duplicate - self.late - self.malformed

    def rejected(self, reason: str) -> int:
        """Messages that stand on the topic of rejected events with `reason`."""
        found: int = getattr(self, reason)
        return found - self.too_far_ahead - self.oversize if reason == "malformed" else found

    def reject(self, reason: Reason) -> None:
        """Count a rejected message."""
        if reason == "late":
            self.late += 1
            return
        self.malformed += 1
        if reason == "too_far_ahead":
            self.too_far_ahead += 1
        elif reason == "oversize":
            self.oversize += 1


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """The start of a generation of ids, or of a silence's end: before `offset` the clock stood at `clock` (None before any event)."""

    generation: int
    offset: int
    clock: int | None


class IntakeState(msgspec.Struct):
    """What a snapshot keeps of an intake; the ids are read again from the first mark on."""

    clock: int | None = None
    marks: list[Mark] = msgspec.field(default_factory=list[Mark])
    counters: Counters = msgspec.field(default_factory=Counters)


class Intake(ABC):
    """Takes the messages of one partition in their order, and keeps what they add up to until it is fetched."""

    def __init__(self, rules: Rules, topic: str, partition: int, state: IntakeState, now: Callable[[], float]) -> None:
        """`now`: seconds since 1970, for `rejected_at` alone: no decision depends on it."""
        self.rules = rules
        self.topic = topic
        self.partition = partition
        self.clock: int | None = state.clock
        self.marks = list(state.marks)
        self._counters = msgspec.structs.replace(state.counters)
        self._now = now
        self._generation: int | None = None
        self._resume_to: tuple[int | None, list[Mark]] | None = None
        self._windows: dict[int, Cells] = {}
        self._rejected: list[Rejected] = []
        if self.clock is not None and self.marks:
            self._begin_generation(self.clock)  # without a mark, the first event makes one

    @property
    def reached(self) -> int | None:
        """The clock of all that was taken: a refill, which takes a part of it again, does not set it back."""
        return self._resume_to[0] if self._resume_to else self.clock

    @abstractmethod
    def take(self, records: Sequence[Record]) -> None:
        """Count `records`, the next ones of the log."""

    @abstractmethod
    def _settle(self) -> None:
        """Let `_windows` and `_counters` hold whatever was taken."""

    @abstractmethod
    def _turn(self, generation: int) -> None:
        """Let the index of ids begin `generation`."""

    @property
    def counters(self) -> Counters:
        """What became of the messages taken so far."""
        self._settle()
        return self._counters

    def state(self) -> IntakeState:
        """A copy of what must be kept over a restart."""
        clock, marks = self._resume_to or (self.clock, self.marks)
        return IntakeState(clock, list(marks), msgspec.structs.replace(self.counters))

    def lose(self, first: int, end: int, detail: str) -> None:
        """Reject, as malformed and without a payload, what can't be read: the offsets from `first` up to, and without, `end`."""
        for offset in range(first, end):
            self._reject(NotAnEvent("malformed", detail), offset, None)
        self._counters.read += end - first

    def fetch(self) -> tuple[dict[int, Cells], list[Rejected]]:
        """What was taken since the last fetch: metrics by window start (microseconds), and what was rejected, in its order."""
        self._settle()
        fetched = self._windows, sorted(self._rejected, key=lambda one: one.offset)
        self._windows, self._rejected = {}, []
        return fetched

    def fetch_packed(self) -> tuple[dict[int, Cells], list[tuple[int, int, bytes]], list[Rejected]]:
        """The same, most of it by shard and window, as `dataflows.wire.cell_bytes` has it, where the intake can do so."""
        windows, rejected = self.fetch()
        return windows, [], rejected

    def rewind(self) -> int | None:
        """Go back to the first mark, for `refill`; the offset to read from, None if there is nothing to fill the index with."""
        if not self.marks or not self.rules.dedup:
            return None
        self._settle()
        first = self.marks[0]
        self._resume_to = self.clock, self.marks
        self.clock, self.marks, self._generation = first.clock, [], None  # and so the first event in time begins one
        return first.offset

    def refill(self, records: Sequence[Record]) -> None:
        """Let `records`, which were counted before a restart, fill the index of ids and nothing else; nothing without a `rewind`."""
        if self._resume_to is None:
            return
        for mark in self._resume_to[1]:
            if mark.clock is None or (records[-1].offset() or 0) < mark.offset:
                continue
            place = bisect_left(records, mark.offset, key=lambda record: record.offset() or 0)
            self._refill(records[:place])
            self.advance(mark.clock, mark.offset)  # where time had gone on without an event
            records = records[place:]
        self._refill(records)

    def _refill(self, records: Sequence[Record]) -> None:
        if records:
            self.take(records)

    def resume(self) -> None:
        """End the refill: the next records are new."""
        if self._resume_to is None:
            return
        self._settle()
        (self.clock, self.marks), self._resume_to = self._resume_to, None
        if self.clock is not None:
            self._begin_generation(self.clock)

    def advance(self, clock: int, offset: int) -> None:
        """Let time go on without an event up to `clock` (microseconds); `offset` is that of the next message."""
        if self.clock is None or clock > self.clock:
            self.clock = clock
            self._tick(clock, offset)
            # What comes next is judged by this clock, also when it is read again: a mark, one for all of a silence.
            self.marks = [mark for mark in self.marks if mark.offset != offset]
            self.marks.append(Mark(self.rules.generation(clock), offset, clock))

    @property
    def _is_refilling(self) -> bool:
        return self._resume_to is not None

    def _tick(self, clock: int, offset: int) -> None:
        """Set the clock; where a generation of ids begins with it, mark the place."""
        generation = self.rules.generation(clock)
        if generation != self._generation:
            self._settle()  # what came before belongs to the generation before
            self.marks = [mark for mark in self.marks if mark.generation > generation - KEPT]
            self.marks.append(Mark(generation, offset, self.clock))
            self._begin_generation(clock)
        self.clock = clock

    def _begin_generation(self, clock: int) -> None:
        self._generation = self.rules.generation(clock)
        self._turn(self._generation)

    def _how_late(self, moment: int, clock: int) -> str:
        end = self.rules.start(moment) + self.rules.window
        behind = (clock - self.rules.out_of_order - end) / SECOND
        return f"its window ended at {rfc3339(end // SECOND)}, {behind:,.3f} s before the watermark of its partition"

    def _reject(self, verdict: NotAnEvent, offset: int, value: bytes | None) -> None:
        if self._is_refilling:
            return
        self._counters.reject(verdict.reason)
        self._rejected.append(
            rejected(
                verdict.reason,
                verdict.detail,
                value=value,
                topic=self.topic,
                partition=self.partition,
                offset=offset,
                at=rfc3339(int(self._now())),
            )
        )
