"""How many messages wait in a part of a log, where their offsets do not say so.

Markers of transactions, messages of aborted transactions, and what compaction has removed have offsets too, but no reader gets them. So
what waits between two offsets is counted by reading it as the dataflow will (read_committed). Behind the first transaction that is still
open Kafka gives that reader nothing: there every message is counted, also those whose transaction is open, and markers are not.

What was counted is remembered, so that asking again reads only what came since.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable, Mapping

import msgspec
from confluent_kafka import Consumer, KafkaError, TopicPartition

from dataflows.fingerprint import Fingerprint
from dataflows.kafka import NO_GROUP, PASSING, make_consumer
from dataflows.settings import Settings

MOST = 200_000
"""Offsets of a partition that are looked through. Of a longer backlog their number says enough, and reading it would double its load."""

LOOK_SECONDS = 2.0
"""How long one count may take."""

_BATCH = 10_000


class Span(msgspec.Struct, frozen=True):
    """The offsets of a partition from `first` up to, and without, `end`."""

    first: int
    end: int


class Waits(msgspec.Struct, frozen=True):
    """What waits in a span: messages, how many of them lie behind an open transaction, and whether the number is exact.

    A number that is not exact is an upper bound: offsets that were not looked through count as messages.
    """

    messages: int
    behind: int = 0
    is_exact: bool = True


class Counted:
    """The messages that were found between the offsets `first` and `to`, as runs of successive offsets."""

    def __init__(self, first: int) -> None:
        self.first = self.to = first
        self._begins: list[int] = []
        self._ends: list[int] = []

    def add(self, offset: int) -> None:
        """Count the message at `offset`, which is not below `to`."""
        if self._ends and self._ends[-1] == offset:
            self._ends[-1] = offset + 1
        else:
            self._begins.append(offset)
            self._ends.append(offset + 1)
        self.to = offset + 1

    def reach(self, to: int) -> None:
        """Take note that no further message comes before the offset `to`."""
        self.to = max(self.to, to)

    def begin_at(self, first: int) -> None:
        """Forget what comes before `first`; all of it, where the offsets from `first` on were not looked through from there."""
        if not self.first <= first <= self.to:
            self.first = self.to = first
            self._begins, self._ends = [], []
            return
        whole = bisect_right(self._ends, first)
        del self._begins[:whole], self._ends[:whole]
        if self._begins:
            self._begins[0] = max(self._begins[0], first)
        self.first = first

    def messages(self, end: int) -> int:
        """How many were found before the offset `end`."""
        return sum(max(0, min(last, end) - first) for first, last in zip(self._begins, self._ends, strict=True))


class Waiting:
    """Counts what waits in the partitions of the logs. It belongs to one thread."""

    def __init__(self, settings: Settings, role: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`role` shows in the broker's logs; `monotonic`: seconds."""
        self._settings = settings
        self._role = role
        self._monotonic = monotonic
        self._decided: dict[int, Counted] = {}
        self._open: dict[int, Counted] = {}

    def count(self, spans: Mapping[int, Span], seconds: float = LOOK_SECONDS) -> dict[int, Waits]:
        """What waits in each of `spans`, by partition, within about `seconds`.

        It raises nothing: where the broker does not answer, or does not let this client read, the numbers are upper bounds.
        """
        deadline = self._monotonic() + seconds
        within = {number: span for number, span in spans.items() if 0 < span.end - span.first <= MOST}
        for number in self._decided.keys() - within.keys():
            self._decided.pop(number)
            self._open.pop(number, None)
        decided = {number: _counted(self._decided, number, span.first) for number, span in within.items()}
        committed = self._settings.client.get("isolation.level", "read_committed")
        ended = self._read(committed, decided, within, deadline)
        # Where that reader met an end before the last offset, the first open transaction begins.
        begun = {
            number: _counted(self._open, number, decided[number].to)
            for number in ended
            if decided[number].to < within[number].end
        }
        self._read("read_uncommitted", begun, within, deadline)
        return {number: self._waits(number, span, number in within, number in begun) for number, span in spans.items()}

    def recreated(self, last: Mapping[int, Fingerprint], seconds: float = LOOK_SECONDS) -> set[int]:
        """The partitions that hold another message than `last`, by partition, in its place: the topic was recreated since it was read.

        A message that is gone, or does not come within about `seconds`, says nothing.
        """
        if not last:
            return set()
        own = {"fetch.wait.max.ms": 10, "fetch.message.max.bytes": 1024, "queued.min.messages": 1}
        consumer = make_consumer(self._settings, self._role, **own)
        deadline = self._monotonic() + seconds
        left, found = set(last), set[int]()
        try:
            consumer.assign([TopicPartition(self._settings.logs_topic, number, one.offset) for number, one in last.items()])
            while left and (patience := deadline - self._monotonic()) > 0:
                for message in consumer.consume(len(left), min(0.1, patience)):
                    number = message.partition()
                    if number not in left:
                        continue
                    left.discard(number)
                    if (
                        message.error() is None
                        and message.offset() == last[number].offset
                        and Fingerprint.of(message) != last[number]
                    ):
                        found.add(number)
        finally:
            consumer.close()
        return found

    def _waits(self, number: int, span: Span, looked: bool, is_open: bool) -> Waits:
        if not looked:
            return Waits(max(0, span.end - span.first), is_exact=span.end <= span.first)
        decided = self._decided[number]
        if not is_open:
            rest = max(0, span.end - decided.to)
            return Waits(decided.messages(span.end) + rest, is_exact=not rest)
        rest = max(0, span.end - self._open[number].to)
        behind = self._open[number].messages(span.end) + rest
        return Waits(decided.messages(span.end) + behind, behind, is_exact=not rest)

    def _read(self, isolation: str, parts: Mapping[int, Counted], spans: Mapping[int, Span], deadline: float) -> set[int]:
        """Read `parts` on up to the ends of `spans`; those partitions of which the reader's end was met."""
        left = {number for number, part in parts.items() if part.to < spans[number].end}
        ended: set[int] = set()
        if not left:
            return ended
        # An answer that the end was met comes once the broker has waited that long for more.
        own = {"isolation.level": isolation, "fetch.wait.max.ms": 10}
        consumer = make_consumer(self._settings, self._role, **own)
        try:
            consumer.assign([TopicPartition(self._settings.logs_topic, number, parts[number].to) for number in left])
            while left and (patience := deadline - self._monotonic()) > 0:
                met, stopped = _take(consumer, min(0.1, patience), parts)
                ended |= met & left
                left -= met | stopped
                left = {number for number in left if parts[number].to < spans[number].end}
        finally:
            consumer.close()
        return ended


def _counted(known: dict[int, Counted], number: int, first: int) -> Counted:
    part = known.setdefault(number, Counted(first))
    part.begin_at(first)
    return part


def _take(consumer: Consumer, patience: float, parts: Mapping[int, Counted]) -> tuple[set[int], set[int]]:
    """Count what comes within `patience` seconds; the partitions whose end was met, and those that can't be read on."""
    ended: set[int] = set()
    stopped: set[int] = set()
    for message in consumer.consume(_BATCH, patience):
        error, number, offset = message.error(), message.partition(), message.offset()
        if number is None or offset is None or number not in parts or number in stopped:
            if error is not None and error.code() not in PASSING | NO_GROUP:
                stopped |= parts.keys() if number is None else set()
        elif error is None:
            if offset >= parts[number].to:
                parts[number].add(offset)
            ended.discard(number)
        elif error.code() == KafkaError._PARTITION_EOF:
            parts[number].reach(offset)
            ended.add(number)
        elif error.code() not in PASSING:
            stopped.add(number)  # a right that is lacking, an offset that is gone, a batch that can't be read
    return ended, stopped
