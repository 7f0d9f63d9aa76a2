"""Consumer lag in messages, where a difference of offsets is not exact.

Transaction markers, messages of aborted transactions and compacted messages have offsets too, but no consumer receives them. So the
messages between two offsets are counted by reading them as the dataflow will (read_committed). Beyond the first open transaction Kafka
gives a read_committed consumer nothing; there every message is counted, those of the open transaction included, and markers are not.

Counts are cached, so that the next count reads only new messages.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable, Mapping

import msgspec
from confluent_kafka import Consumer, KafkaError, TopicPartition

from dataflows.contract.settings import Settings
from dataflows.kafka.clients import NO_GROUP, PASSING, make_consumer
from dataflows.kafka.fingerprint import Fingerprint

MOST = 200_000
"""Largest number of offsets that are read per partition. For a longer backlog the offsets are exact enough, and reading it is costly."""

LOOK_SECONDS = 2.0
"""Time limit of one count."""

REQUEST_SECONDS = 0.5
"""Time limit of a count in the background; short, for the same thread checks that the broker answers."""

_BATCH = 10_000


class OffsetRange(msgspec.Struct, frozen=True):
    """Offsets of a partition from `first` up to, but not including, `end`."""

    first: int
    end: int


class Waits(msgspec.Struct, frozen=True):
    """Messages in a span, how many of them are behind an open transaction, and whether the number is exact.

    A number that is not exact is an upper bound: offsets that were not read count as messages.
    """

    messages: int
    behind: int = 0
    is_exact: bool = True


class Counted:
    """Messages between the offsets `first` and `to`, as runs of consecutive offsets."""

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
        """Note that there are no further messages before the offset `to`."""
        self.to = max(self.to, to)

    def begin_at(self, first: int) -> None:
        """Drop what is before `first`; drop everything if the offsets from `first` on were not read."""
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
        """Return the number of messages before the offset `end`."""
        return sum(max(0, min(last, end) - first) for first, last in zip(self._begins, self._ends, strict=True))


class Waiting:
    """Counter of the messages that wait in the partitions of the logs. One thread counts; any thread may call `estimate`."""

    def __init__(self, settings: Settings, role: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`role`: part of the client id, for the broker's logs. `monotonic`: seconds."""
        self._settings = settings
        self._role = role
        self._monotonic = monotonic
        self._decided: dict[int, Counted] = {}
        self._open: dict[int, Counted] = {}
        self._last: dict[int, tuple[OffsetRange, Waits]] = {}

    def count(self, spans: Mapping[int, OffsetRange], seconds: float = LOOK_SECONDS) -> dict[int, Waits]:
        """Count the messages in each of `spans`, by partition, within about `seconds`.

        Never raises: if the broker does not answer, or does not allow this client to read, the numbers are upper bounds.
        """
        deadline = self._monotonic() + seconds
        within = {number: span for number, span in spans.items() if 0 < span.end - span.first <= MOST}
        for number in self._decided.keys() - within.keys():
            self._decided.pop(number)
            self._open.pop(number, None)
        decided = {number: _counted(self._decided, number, span.first) for number, span in within.items()}
        committed = self._settings.client.get("isolation.level", "read_committed")
        ended = self._read(committed, decided, within, deadline)
        # If that consumer reached its end before the last offset, the first open transaction begins there.
        begun = {
            number: _counted(self._open, number, decided[number].to)
            for number in ended
            if decided[number].to < within[number].end
        }
        self._read("read_uncommitted", begun, within, deadline)
        waits = {number: self._waits(number, span, number in within, number in begun) for number, span in spans.items()}
        self._last = {number: (spans[number], waiting) for number, waiting in waits.items()}
        return waits

    @property
    def has_counts(self) -> bool:
        """Whether the last call of `count` had partitions to count."""
        return bool(self._last)

    def estimate(self, partition: int, span: OffsetRange) -> int:
        """Return the number of messages in `span` by the last count, without reading; offsets beyond that count as messages.

        It may be called from any thread.
        """
        counted, waits = self._last.get(partition, (OffsetRange(span.first, span.first), Waits(0)))
        return waits.messages + max(0, span.end - counted.end) if counted.first == span.first else span.end - span.first

    def recreated(self, last: Mapping[int, Fingerprint], seconds: float = LOOK_SECONDS) -> set[int]:
        """Return the partitions that hold a different message at the offset of `last`: their topic was recreated.

        A message that was deleted, or does not arrive within about `seconds`, is not evidence.
        """
        if not last:
            return set()
        own = {"fetch.wait.max.ms": 10, "fetch.message.max.bytes": 1024, "queued.min.messages": 1}
        consumer = make_consumer(self._settings, self._role, **own)
        deadline = self._monotonic() + seconds
        left, recreated = set(last), set[int]()
        try:
            consumer.assign(
                [TopicPartition(self._settings.logs_topic, number, fingerprint.offset) for number, fingerprint in last.items()]
            )
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
                        recreated.add(number)
        finally:
            consumer.close()
        return recreated

    def _waits(self, number: int, span: OffsetRange, looked: bool, is_open: bool) -> Waits:
        if not looked:
            return Waits(max(0, span.end - span.first), is_exact=span.end <= span.first)
        decided = self._decided[number]
        if not is_open:
            rest = max(0, span.end - decided.to)
            return Waits(decided.messages(span.end) + rest, is_exact=not rest)
        rest = max(0, span.end - self._open[number].to)
        behind = self._open[number].messages(span.end) + rest
        return Waits(decided.messages(span.end) + behind, behind, is_exact=not rest)

    def _read(self, isolation: str, parts: Mapping[int, Counted], spans: Mapping[int, OffsetRange], deadline: float) -> set[int]:
        """Continue reading `parts` up to the ends of `spans`; return the partitions where the consumer reached its end."""
        left = {number for number, part in parts.items() if part.to < spans[number].end}
        ended: set[int] = set()
        if not left:
            return ended
        # The broker reports the end of a partition only after it has waited this long for more messages.
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


class LagRequests:
    """Counts that readers request and a background thread makes, so that no reader waits for the broker.

    A span is counted only if it is requested again after the thread's last count: otherwise it was no lag, but on its way.
    """

    def __init__(self, waiting: Waiting) -> None:
        self._waiting = waiting
        self._requested: dict[int, OffsetRange] = {}
        self._before: dict[int, OffsetRange] = {}

    def messages(self, partition: int, span: OffsetRange) -> int:
        """Request a count of `span`, and return the number of messages in it as far as it is known: an upper bound."""
        self._requested[partition] = span
        return self._waiting.estimate(partition, span)

    def count(self) -> None:
        """Count the spans that were requested both since the last call and before it."""
        requested, self._requested = self._requested, {}
        lasting = {
            number: span
            for number, span in requested.items()
            if number in self._before and self._before[number].first == span.first
        }
        self._before = requested
        if lasting or self._waiting.has_counts:
            self._waiting.count(lasting, REQUEST_SECONDS)


def _counted(known: dict[int, Counted], number: int, first: int) -> Counted:
    part = known.setdefault(number, Counted(first))
    part.begin_at(first)
    return part


def _take(consumer: Consumer, patience: float, parts: Mapping[int, Counted]) -> tuple[set[int], set[int]]:
    """Count what arrives within `patience` seconds; return the partitions that ended, and those that can't be read further."""
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
            stopped.add(number)  # a missing ACL, a deleted offset, or a batch that can't be read
    return ended, stopped
