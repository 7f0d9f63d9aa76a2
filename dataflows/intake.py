"""The intake of one source partition: decode, judge, drop duplicates, fold. It knows the log's order, but no Kafka client.

Whatever is decided here is a function of the log alone - of the messages of this partition and of Kafka's time on them - so that
every replay decides alike.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from collections.abc import Callable, Generator, Sequence
from itertools import compress
from operator import methodcaller

import msgspec

from dataflows.chunk import Chunk, Record
from dataflows.decoding import ChunkDecoder
from dataflows.dedup import KEPT, IdIndex
from dataflows.metrics import Cells, fold
from dataflows.reject import NotAnEvent, rejected
from dataflows.rules import FIRST, LAST, SECOND, Rules, to_datetime
from dataflows.schema import Event, Reason, Rejected, rfc3339, to_micros

BATCH = 1_500
"""Events that are looked up in the index of ids and folded at a time: a few thousand lookups cost half as much each as a few hundred."""


_value = methodcaller("value")


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
        return self.read == self.counted + self.duplicate + self.late + self.malformed

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


class Intake:
    """Takes the messages of one partition in their order, and keeps what they add up to until it is fetched."""

    def __init__(self, rules: Rules, topic: str, partition: int, state: IntakeState, now: Callable[[], float]) -> None:
        """`now`: seconds since 1970, for `rejected_at` alone: no decision depends on it."""
        self.rules = rules
        self.topic = topic
        self.partition = partition
        self.clock = state.clock
        self.marks = list(state.marks)
        self._counters = msgspec.structs.replace(state.counters)
        self._now = now
        self._decode = ChunkDecoder(rules.currency)
        self._index = IdIndex(rules.window + rules.lateness + rules.out_of_order)
        self._generation: int | None = None
        self._turns_at = FIRST
        self._resume_to: tuple[int | None, list[Mark]] | None = None
        if self.clock is not None and self.marks:
            self._begin_generation(self.clock)  # without a mark, the first event makes one
        self._admitted: list[Event] = []
        self._oldest, self._newest = LAST, FIRST
        self._windows: dict[int, Cells] = {}
        self._rejected: list[Rejected] = []

    @property
    def counters(self) -> Counters:
        """What became of the messages taken so far."""
        self._settle()
        return self._counters

    def state(self) -> IntakeState:
        """A copy of what must be kept over a restart."""
        clock, marks = self._resume_to or (self.clock, self.marks)
        return IntakeState(clock, list(marks), msgspec.structs.replace(self.counters))

    def take(self, records: Sequence[Record]) -> None:
        """Count `records`, the next ones of the log."""
        values = list(map(_value, records))
        events, refused = self._decode(values)
        if refused:
            for place, verdict in refused:
                self._reject(verdict, records[place].offset() or 0, values[place])
            odd = {place for place, _ in refused}
            good = [place for place in range(len(values)) if place not in odd]
            chunk = Chunk([records[place] for place in good], [values[place] for place in good], events)
        else:
            chunk = Chunk(records, values, events)
        self._judge(chunk)
        if len(self._admitted) >= BATCH:
            self._settle()
        if not self._is_refilling:
            self._counters.read += len(records)

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

    def rewind(self) -> int | None:
        """Go back to the first mark, for `refill`; the offset to read from, None if there is nothing to fill the index with."""
        if not self.marks or not self.rules.dedup:
            return None
        self._settle()
        first = self.marks[0]
        self._resume_to = self.clock, self.marks
        self.clock, self.marks, self._generation = first.clock, [], None
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
            self.marks.append(Mark(self._index.generation(clock), offset, clock))

    @property
    def _is_refilling(self) -> bool:
        return self._resume_to is not None

    def _judge(self, chunk: Chunk) -> None:
        """Admit what is to be counted, refuse the rest. Cheap tests over the whole chunk; only what fails one is looked at by itself."""
        chunk = self._within_bounds(chunk.rounded_down(self.rules))
        while (place := self._next_generation(chunk)) is not None:
            self._admit(chunk.part(range(place)))
            self._tick(to_micros(chunk.times[place]), chunk.records[place].offset() or 0)
            chunk = chunk.part(range(place, len(chunk.times)))
        self._admit(chunk)

    def _within_bounds(self, chunk: Chunk) -> Chunk:
        limit = chunk.limit(self.rules)
        if chunk.newest <= limit and chunk.oldest >= FIRST:
            return chunk
        good: list[int] = []
        for place, time in enumerate(chunk.times):
            try:
                if not FIRST <= time <= limit:
                    self._check_bounds(time, chunk.records[place])
                good.append(place)
            except NotAnEvent as verdict:
                self._reject(verdict, chunk.records[place].offset() or 0, chunk.values[place])
        return chunk.part(good)

    def _check_bounds(self, time: dt.datetime, record: Record) -> None:
        if not FIRST <= time <= LAST:
            raise NotAnEvent("malformed", f"no window can be named for the time {time.isoformat()}")
        kind, given = record.timestamp()
        ahead = to_micros(time) - given * 1000
        if kind and ahead > self.rules.max_ahead:
            raise NotAnEvent(
                "too_far_ahead",
                f"{ahead / SECOND:,.3f} s past the time that Kafka gave the message; up to {self.rules.max_ahead / SECOND:g} s are allowed",
            )

    def _next_generation(self, chunk: Chunk) -> int | None:
        """The place of the first event with which a generation of ids begins."""
        if not chunk.times:
            return None
        if self._generation is None:
            clock = self.clock
            fresh = (
                place for place, time in enumerate(chunk.times) if clock is None or not self.rules.is_late(to_micros(time), clock)
            )
            return next(fresh, None)
        if chunk.newest < self._turns_at:
            return None
        return next(place for place, time in enumerate(chunk.times) if time >= self._turns_at)

    def _admit(self, chunk: Chunk) -> None:
        """Let what is not late be counted, and set the clock; all of it belongs to the current generation."""
        if not chunk.times:
            return
        newest = to_micros(chunk.newest)
        clock = newest if self.clock is None else max(self.clock, newest)
        in_time = self.rules.first_in_time(clock)
        if to_micros(chunk.oldest) < in_time:
            chunk = self._in_time(chunk, to_datetime(in_time))
        self.clock = clock
        self._admitted += chunk.events
        self._oldest, self._newest = min(self._oldest, chunk.oldest), max(self._newest, chunk.newest)

    def _in_time(self, chunk: Chunk, suspect: dt.datetime) -> Chunk:
        """`chunk` without what is late by the clock just before it; what is not older than `suspect` is not."""
        clock = None if self.clock is None else to_datetime(self.clock)
        good: list[int] = []
        for place, time in enumerate(chunk.times):
            if time < suspect and clock and self.rules.is_late(to_micros(time), to_micros(clock)):
                verdict = NotAnEvent("late", self._how_late(to_micros(time), to_micros(clock)))
                self._reject(verdict, chunk.records[place].offset() or 0, chunk.values[place])
            else:
                good.append(place)
                if clock is None or time > clock:
                    clock = time
        return chunk.part(good)

    def _settle(self) -> None:
        """Drop the duplicates among what was admitted, and fold the rest."""
        events, self._admitted = self._admitted, []
        oldest, newest = self._oldest, self._newest
        self._oldest, self._newest = LAST, FIRST
        if events and self.rules.dedup:
            new = self._index.add([event.event_id for event in events])
            if new is not None:
                self._counters.duplicate += 0 if self._is_refilling else len(events) - int(new.sum())
                events = list(compress(events, new.tolist()))
        if not events or self._is_refilling:
            return
        self._counters.counted += len(events)
        for window, group in self._by_window(events, oldest, newest):
            fold(self._windows.setdefault(window, {}), group)

    def _by_window(self, events: list[Event], oldest: dt.datetime, newest: dt.datetime) -> Generator[tuple[int, list[Event]]]:
        """Groups of `events`, none of which is older than `oldest` or newer than `newest`, and the start of the window of each."""
        while events:
            window = self.rules.start(to_micros(newest))
            start = to_datetime(window)
            if oldest >= start:
                yield window, events
                return
            yield window, [event for event in events if event.timestamp >= start]
            events = [event for event in events if event.timestamp < start]
            newest = max([event.timestamp for event in events], default=newest)

    def _tick(self, clock: int, offset: int) -> None:
        """Set the clock; where a generation of ids begins with it, mark the place."""
        generation = self._index.generation(clock)
        if generation != self._generation:
            self._settle()  # what came before belongs to the generation before
            self.marks = [mark for mark in self.marks if mark.generation > generation - KEPT]
            self.marks.append(Mark(generation, offset, self.clock))
            self._begin_generation(clock)
        self.clock = clock

    def _begin_generation(self, clock: int) -> None:
        self._generation = self._index.generation(clock)
        self._index.turn(self._generation)
        self._turns_at = to_datetime((self._generation + 1) * self._index.span)

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
