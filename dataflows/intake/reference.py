"""The intake in Python: how a message is judged, told in full. It works everywhere; `dataflows.intake.native` is the faster one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Generator, Sequence
from itertools import compress

from typing_extensions import override

from dataflows.contract.metrics import fold
from dataflows.contract.schema import Event, to_micros
from dataflows.intake.decode import NotAnEvent
from dataflows.intake.dedup import IdIndex
from dataflows.intake.fast_decode import ChunkDecoder
from dataflows.intake.messages import Chunk, check_bounds
from dataflows.intake.partition import Intake, IntakeState, payload_of
from dataflows.intake.rules import FIRST, LAST, Rules, to_datetime
from dataflows.kafka.record import Record

BATCH = 5_000
"""Events that are looked up in the index of ids and folded at a time: a lookup is then some 40 % cheaper than with a few hundred.
More must not pile up."""


class PythonIntake(Intake):
    """Judges chunks by cheap tests over all of them, and one by one only what fails such a test."""

    def __init__(self, rules: Rules, topic: str, partition: int, state: IntakeState, now: Callable[[], float]) -> None:
        self._decode = ChunkDecoder(rules.currency)
        self._index = IdIndex()
        self._turns_at = FIRST
        self._admitted: list[Event] = []
        self._oldest, self._newest = LAST, FIRST
        super().__init__(rules, topic, partition, state, now)

    @override
    def take(self, records: Sequence[Record]) -> None:
        values = list(map(payload_of, records))
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
                    check_bounds(time, chunk.records[place], self.rules)
                good.append(place)
            except NotAnEvent as verdict:
                self._reject(verdict, chunk.records[place].offset() or 0, chunk.values[place])
        return chunk.part(good)

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

    @override
    def _settle(self) -> None:
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

    @override
    def _turn(self, generation: int) -> None:
        self._index.turn(generation)
        self._turns_at = to_datetime((generation + 1) * self.rules.id_span)
