"""The intake of one source partition: decode, judge, drop duplicates, fold. It knows the log's order, but no Kafka client.

Whatever is decided here is a function of the log alone - of the messages of this partition and of Kafka's time on them - so that
every replay decides alike.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from dataflows.dedup import KEPT, IdIndex
from dataflows.metrics import Cells, fold
from dataflows.reject import DECODE_ERRORS, CarefulDecoder, NotAnEvent, rejected, rounds_up
from dataflows.schema import MAX_DEPTH, MAX_PAYLOAD_BYTES, Event, Reason, Rejected, event_decoder, rfc3339, to_micros
from dataflows.settings import Settings

SECOND = 1_000_000
LOG_APPEND_TIME = 2
"""What `Message.timestamp` calls a time that the broker gave: within a partition it goes back only if the broker's clock was set back."""

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_FIRST = to_micros(dt.datetime(1, 1, 2, tzinfo=dt.UTC))
_LAST = to_micros(dt.datetime(9999, 12, 30, tzinfo=dt.UTC))

_SHALLOW = 4 * MAX_DEPTH
"""A payload of so few bytes can't nest `MAX_DEPTH` objects, each of which takes five: ``{"":}``."""


class Record(Protocol):
    """What the intake asks of a Kafka message; `timestamp` is (its type, milliseconds since 1970)."""

    def value(self) -> bytes | None:
        """The payload."""
        ...

    def offset(self) -> int | None:
        """The place in the log."""
        ...

    def timestamp(self) -> tuple[int, int]:
        """Kafka's own time."""
        ...


class Rules(msgspec.Struct, frozen=True):
    """The settings that decide what becomes of an event, in microseconds."""

    window: int
    out_of_order: int
    lateness: int
    max_ahead: int
    currency: str
    dedup: bool

    @classmethod
    def of(cls, settings: Settings) -> Rules:
        """The rules in `settings`."""
        return cls(
            window=settings.window_seconds * SECOND,
            out_of_order=round(settings.out_of_order_seconds * SECOND),
            lateness=round(settings.allowed_lateness_seconds * SECOND),
            max_ahead=round(settings.max_ahead_seconds * SECOND),
            currency=settings.currency,
            dedup=settings.dedup,
        )

    def is_late(self, moment: int, clock: int) -> bool:
        """Whether an event of `moment` comes later than the allowed lateness, its partition's clock being `clock`."""
        window_end = moment - moment % self.window + self.window
        return window_end + self.lateness <= clock - self.out_of_order


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


Sifted = list[tuple[int, list[Event]]]
"""Events to be counted, by the start of their window (microseconds since 1970)."""


class Intake:
    """Takes the messages of one partition in their order, and keeps what they add up to until it is fetched."""

    def __init__(self, rules: Rules, topic: str, partition: int, state: IntakeState, now: Callable[[], float]) -> None:
        """`now`: seconds since 1970, for `rejected_at` alone: no decision depends on it."""
        self.rules = rules
        self.topic = topic
        self.partition = partition
        self.clock = state.clock
        self.marks = list(state.marks)
        self.counters = msgspec.structs.replace(state.counters)
        self._now = now
        self._decode = event_decoder(rules.currency).decode
        self._careful = CarefulDecoder(rules.currency)
        self._index = IdIndex(rules.window + rules.lateness + rules.out_of_order)
        self._generation: int | None = None
        self._resume_to: tuple[int | None, list[Mark]] | None = None
        if self.clock is not None and self.marks:
            self._begin_generation(self.clock)  # without a mark, the first event makes one
        self._windows: dict[int, Cells] = {}
        self._rejected: list[Rejected] = []

    def state(self) -> IntakeState:
        """A copy of what must be kept over a restart."""
        clock, marks = self._resume_to or (self.clock, self.marks)
        return IntakeState(clock, list(marks), msgspec.structs.replace(self.counters))

    def take(self, records: Sequence[Record]) -> None:
        """Count `records`, the next ones of the log."""
        values = [record.value() for record in records]
        sifted = self._sift_whole(records, values)
        if sifted is None:
            sifted, refused = self._sift_each(records, values)
            self._rejected += refused
            for one in refused:
                self.counters.reject(one.reason)
            counted = sum(len(events) for _, events in sifted)
            self.counters.duplicate += len(records) - len(refused) - counted
        else:
            counted = len(records)
        self.counters.read += len(records)
        self.counters.counted += counted
        for window, events in sifted:
            fold(self._windows.setdefault(window, {}), events)

    def lose(self, first: int, end: int, detail: str) -> None:
        """Reject, as malformed and without a payload, what can't be read: the offsets from `first` up to, and without, `end`."""
        for offset in range(first, end):
            self._rejected.append(self._rejected_record(NotAnEvent("malformed", detail), None, offset))
            self.counters.reject("malformed")
        self.counters.read += end - first

    def fetch(self) -> tuple[dict[int, Cells], list[Rejected]]:
        """What was taken since the last fetch: metrics by window start (microseconds), and what was rejected."""
        fetched = self._windows, self._rejected
        self._windows, self._rejected = {}, []
        return fetched

    def rewind(self) -> int | None:
        """Go back to the first mark, for `refill`; the offset to read from, None if there is nothing to fill the index with."""
        if not self.marks or not self.rules.dedup:
            return None
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
        values = [record.value() for record in records]
        if records and self._sift_whole(records, values) is None:
            self._sift_each(records, values)

    def resume(self) -> None:
        """End the refill: the next records are new."""
        if self._resume_to is None:
            return
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

    def _sift_whole(self, records: Sequence[Record], values: Sequence[bytes | None]) -> Sifted | None:
        """The fast path: judge a chunk at once. None, with nothing changed, where one of it needs a closer look.

        Each test here is a cheap one over the whole chunk which is true at the least where an event of it is not plainly to be counted.
        """
        try:
            text = b"\n".join(values)  # pyright: ignore[reportCallIssue, reportArgumentType]  # a None raises, as it should
            if not text.isascii():
                text.decode()
            decode = self._decode
            events = [decode(value) for value in values]  # pyright: ignore[reportArgumentType]  # no None is left
        except (*DECODE_ERRORS, TypeError):
            return None
        longest = max(map(len, values))  # pyright: ignore[reportArgumentType]  # ditto
        if longest > MAX_PAYLOAD_BYTES:
            return None
        if (b"[" in text or longest > _SHALLOW) and text.count(b"{") + text.count(b"[") > len(values) + MAX_DEPTH:
            return None
        times = [event.timestamp for event in events]
        oldest_time, newest_time = min(times), max(times)
        oldest, newest = to_micros(oldest_time), to_micros(newest_time)
        if oldest < _FIRST or newest > min(_LAST, self._latest_allowed(records, newest)):
            return None
        clock = newest if self.clock is None else max(self.clock, newest)
        generation = self._index.generation(clock)
        if self.rules.is_late(oldest, clock) or generation != self._generation:
            return None
        span = self.rules.window
        first = oldest - oldest % span
        if (oldest == first or newest - first >= span) and (b".999999" in text or b"\\u003" in text):
            return None  # a time at the start of a window that may have been rounded up to it, its digits perhaps escaped
        if self.rules.dedup and not self._index.add_all_new([event.event_id for event in events], generation):
            return None
        self.clock = clock
        if newest - first < span:
            return [(first, events)]
        return self._by_window(events)

    def _latest_allowed(self, records: Sequence[Record], newest: int) -> int:
        kind, time = records[0].timestamp()
        time = min(time, records[-1].timestamp()[1])
        if kind != LOG_APPEND_TIME or newest > time * 1000:
            # Producers' times go back and forth; the broker's only if its clock was set back, which matters only to events ahead of it.
            time = min(record.timestamp()[1] for record in records)
        return time * 1000 + self.rules.max_ahead

    def _by_window(self, events: Sequence[Event]) -> Sifted:
        windows: dict[int, list[Event]] = {}
        length = dt.timedelta(microseconds=self.rules.window)
        for event in events:
            windows.setdefault((event.timestamp - _EPOCH) // length, []).append(event)
        return [(number * self.rules.window, group) for number, group in windows.items()]

    def _sift_each(self, records: Sequence[Record], values: Sequence[bytes | None]) -> tuple[Sifted, list[Rejected]]:
        """The careful path: one message after the other, by the letter of the contract."""
        windows: dict[int, list[Event]] = {}
        refused: list[Rejected] = []
        for record, value in zip(records, values, strict=True):
            offset = record.offset() or 0
            try:
                event = self._careful(value)
                moment = self._moment(event, value or b"")
                self._check_not_ahead(moment, record)
                if self.clock is not None and self.rules.is_late(moment, self.clock):
                    raise NotAnEvent("late", self._how_late(moment))
            except NotAnEvent as verdict:
                refused.append(self._rejected_record(verdict, value, offset))
                continue
            clock = moment if self.clock is None else max(self.clock, moment)
            generation = self._tick(clock, offset)
            if not self.rules.dedup or self._index.add(event.event_id, generation):
                windows.setdefault(moment - moment % self.rules.window, []).append(event)
        return list(windows.items()), refused

    def _tick(self, clock: int, offset: int) -> int:
        """Set the clock; where a generation of ids begins with it, mark the place. Returns the generation."""
        generation = self._index.generation(clock)
        if generation != self._generation:
            self.marks = [mark for mark in self.marks if mark.generation > generation - KEPT]
            self.marks.append(Mark(generation, offset, self.clock))
            self._begin_generation(clock)
        self.clock = clock
        return generation

    def _begin_generation(self, clock: int) -> None:
        self._generation = self._index.generation(clock)
        self._index.turn(self._generation)

    def _moment(self, event: Event, value: bytes) -> int:
        moment = to_micros(event.timestamp)
        if moment % self.rules.window == 0 and rounds_up(value):
            moment -= 1  # to the last microsecond of its own window
        if not _FIRST <= moment <= _LAST:
            raise NotAnEvent("malformed", f"no window can be named for the time {event.timestamp.isoformat()}")
        return moment

    def _check_not_ahead(self, moment: int, record: Record) -> None:
        kind, time = record.timestamp()
        ahead = moment - time * 1000
        if kind and ahead > self.rules.max_ahead:
            raise NotAnEvent(
                "too_far_ahead",
                f"{ahead / SECOND:,.3f} s past the time that Kafka gave the message; up to {self.rules.max_ahead / SECOND:g} s are allowed",
            )

    def _how_late(self, moment: int) -> str:
        end = moment - moment % self.rules.window + self.rules.window
        behind = ((self.clock or 0) - self.rules.out_of_order - end) / SECOND
        return f"its window ended at {rfc3339(end // SECOND)}, {behind:,.3f} s before the watermark of its partition"

    def _rejected_record(self, verdict: NotAnEvent, value: bytes | None, offset: int) -> Rejected:
        return rejected(
            verdict.reason,
            verdict.detail,
            value=value,
            topic=self.topic,
            partition=self.partition,
            offset=offset,
            at=rfc3339(int(self._now())),
        )
