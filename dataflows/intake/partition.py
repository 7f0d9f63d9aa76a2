"""Intake of one source partition: decode, judge, deduplicate, fold. It knows the log's order, but not the Kafka client.

Every decision here is a function of the log alone - of the messages of this partition and of Kafka's time on them - so that
every replay decides alike. Here is what both engines share: counters, state, and the clock with its generations of ids. How a message is
judged is in `dataflows.intake.reference`; `dataflows.intake.native` does the same in C.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Sequence

import msgspec

from dataflows.contract.schema import Reason, Rejected, rfc3339
from dataflows.intake.admission import AdmissionCounts
from dataflows.intake.decode import NotAnEvent, rejected
from dataflows.intake.messages import MessageReader
from dataflows.intake.rules import SECOND, Rules
from dataflows.kafka.record import Record
from dataflows.wire.cell_bytes import Share


class Counters(msgspec.Struct):
    """Outcomes of the messages of one partition: always read = counted + duplicate + late + malformed.

    `malformed` counts events that were rejected for their content, not for their time; `too_far_ahead` and `oversize` are parts of it.
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
        """Number of messages read that are unaccounted for."""
        return self.read - self.counted - self.duplicate - self.late - self.malformed

    def rejected(self, reason: str) -> int:
        """Return the number of messages on the topic of rejected events with `reason`."""
        messages: int = getattr(self, reason)
        return messages - self.too_far_ahead - self.oversize if reason == "malformed" else messages

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


class GenerationMark(msgspec.Struct, frozen=True, array_like=True):
    """The start of a generation of ids, or of a silence's end: before `offset` the clock stood at `clock` (None before any event)."""

    generation: int
    offset: int
    clock: int | None


class IntakeState(msgspec.Struct):
    """Snapshot of an intake; the ids and the admitted cells are restored from the messages after the first mark."""

    clock: int | None = None
    marks: list[GenerationMark] = msgspec.field(default_factory=list[GenerationMark])
    counters: Counters = msgspec.field(default_factory=Counters)


class Intake(ABC):
    """Intake that takes the messages of one partition in their order, and keeps their sums until they are fetched."""

    def __init__(self, rules: Rules, topic: str, partition: int, state: IntakeState, now: Callable[[], float]) -> None:
        """`now`: seconds since 1970, for `rejected_at` alone: no decision depends on it."""
        self.rules = rules
        self.topic = topic
        self.partition = partition
        self.clock: int | None = state.clock
        self.marks = list(state.marks)
        self.counters = msgspec.structs.replace(state.counters)
        """Outcomes of the messages taken so far."""
        self._now = now
        self._read = MessageReader(rules)
        self._generation: int | None = None
        self._resume_to: tuple[int | None, list[GenerationMark]] | None = None
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
    def admission_counts(self) -> list[AdmissionCounts]:
        """Return what each breakdown has admitted since this intake was made, a copy; what a refill restores is not counted."""

    @abstractmethod
    def _take_shares(self) -> list[Share]:
        """Return the sums of what was counted since the last call; a shard, window and table may have several shares."""

    @abstractmethod
    def _turn(self, generation: int) -> None:
        """Let the index of ids begin `generation`."""

    def state(self) -> IntakeState:
        """Return a copy of the state that must survive a restart."""
        clock, marks = self._resume_to or (self.clock, self.marks)
        return IntakeState(clock, list(marks), msgspec.structs.replace(self.counters))

    def lose(self, first: int, end: int, detail: str) -> None:
        """Reject the offsets from `first` up to, but not including, `end`, which can't be read, as malformed and without a payload."""
        for offset in range(first, end):
            self._reject(NotAnEvent("malformed", detail), offset, None)
        self.counters.read += end - first

    def fetch(self) -> tuple[list[Share], list[Rejected]]:
        """Return what was taken since the last call: the sums of what was counted, and what was rejected, in the order of the log."""
        rejected, self._rejected = sorted(self._rejected, key=lambda record: record.offset), []
        return self._take_shares(), rejected

    def rewind(self) -> int | None:
        """Go back to the first mark, for `refill`; the offset to read from, None if there is nothing to fill."""
        if not self.marks or not self.rules.refills:
            return None
        first = self.marks[0]
        self._resume_to = self.clock, self.marks
        self.clock, self.marks, self._generation = first.clock, [], None  # and so the first event in time begins one
        return first.offset

    def refill(self, records: Sequence[Record]) -> None:
        """Let `records`, which were counted before a restart, fill the index of ids and the admitted cells; nothing without a `rewind`."""
        if self._resume_to is None:
            return
        for mark in self._resume_to[1]:
            if mark.clock is None or (records[-1].offset() or 0) < mark.offset:
                continue
            at_mark = bisect_left(records, mark.offset, key=lambda record: record.offset() or 0)
            self._refill(records[:at_mark])
            self.advance(mark.clock, mark.offset)  # where the clock had advanced without an event
            records = records[at_mark:]
        self._refill(records)

    def _refill(self, records: Sequence[Record]) -> None:
        if records:
            self.take(records)

    def resume(self) -> None:
        """End the refill: the next records are new."""
        if self._resume_to is None:
            return
        (self.clock, self.marks), self._resume_to = self._resume_to, None
        if self.clock is not None:
            self._begin_generation(self.clock)

    def advance(self, clock: int, offset: int) -> None:
        """Advance the clock without an event to `clock` (microseconds); `offset` is that of the next message."""
        if self.clock is None or clock > self.clock:
            self._advance_clock(clock, offset)
            # What comes next is judged by this clock, also when it is read again: a mark, one for all of a silence.
            self.marks = [mark for mark in self.marks if mark.offset != offset]
            self.marks.append(GenerationMark(self.rules.generation(clock), offset, clock))

    @property
    def _is_refilling(self) -> bool:
        return self._resume_to is not None

    def _advance_clock(self, moment: int, offset: int) -> None:
        """Advance the clock to `moment` unless it is further; where that begins a generation of ids, mark the offset."""
        clock = moment if self.clock is None else max(self.clock, moment)
        generation = self.rules.generation(clock)
        if generation != self._generation:
            self.marks = [mark for mark in self.marks if mark.generation > generation - self.rules.marks_kept]
            self.marks.append(GenerationMark(generation, offset, self.clock))
            self._begin_generation(clock)
        self.clock = clock

    def _begin_generation(self, clock: int) -> None:
        self._generation = self.rules.generation(clock)
        self._turn(self._generation)

    def _late(self, moment: int, clock: int) -> NotAnEvent:
        """Return the verdict on an event of `moment` that is late by `clock`."""
        end = self.rules.start(moment) + self.rules.window
        behind = (clock - self.rules.out_of_order - end) / SECOND
        return NotAnEvent(
            "late", f"its window ended at {rfc3339(end // SECOND)}, {behind:,.3f} s before the watermark of its partition"
        )

    def _reject(self, verdict: NotAnEvent, offset: int, value: bytes | None) -> None:
        if self._is_refilling:
            return
        self.counters.reject(verdict.reason)
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
