"""The rejected events: how many by reason, and the newest ones. Their topic is read only once a page has asked."""

from __future__ import annotations

import threading
from collections import Counter, deque

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition
from typing_extensions import override

from dataflows.commands.rejected import REASONS, RejectedKey
from dataflows.contract.schema import Rejected, decode_rejected, decode_rejected_key, foreign
from dataflows.contract.settings import Settings
from dataflows.kafka.fingerprint import Fingerprint
from dataflows.kafka.tombstones import RecordPosition, Tombstones
from figures.feed.follower import Follower
from figures.feed.positions import LogReplacedError
from figures.feed.reporter import StateReporter

_NEWEST = 50
_SHOWN_PAYLOAD = 2_000
_SHOWN_NAME = 249
_PARTITIONS = 10_000


class Reject(msgspec.Struct, frozen=True):
    """A rejected event, cut for the screen; `payload` is None where the message had no value."""

    reason: str
    detail: str
    topic: str
    partition: int
    offset: int
    rejected_at: str
    payload: str | None
    binary: bool
    """`payload` is Base64, for the bytes are not UTF-8."""
    length: int
    """Characters of the payload on the topic."""


class Rejects(msgspec.Struct, frozen=True):
    """What is on the topic of rejected events: how many by reason, the newest ones, and what its reader does."""

    state: str
    topic: str
    counts: dict[str, int]
    total: int
    newest: list[Reject]
    unread: int
    problem: str


class _ReadPartition:
    """What was read of one partition: its last record, how many by reason, and the highest offset of each partition of the logs."""

    def __init__(self, last: Fingerprint) -> None:
        self.last = last
        self.counts: Counter[str] = Counter()
        self.seen: dict[tuple[str, int], int] = {}
        self.restored: set[RejectedKey] = set()
        """Events that were written again after their tombstone."""


def shown(event: Rejected) -> Reject:
    """Return `event` with its texts cut."""
    payload = event.payload if event.payload is not None else event.payload_base64
    return Reject(
        reason=event.reason,
        detail=event.detail[:_SHOWN_PAYLOAD],
        topic=event.topic[:_SHOWN_NAME],
        partition=event.partition,
        offset=event.offset,
        rejected_at=event.rejected_at[:_SHOWN_NAME],
        payload=payload if payload is None else payload[:_SHOWN_PAYLOAD],
        binary=event.payload is None and event.payload_base64 is not None,
        length=len(payload or ""),
    )


class RejectedFeed(Follower):
    """Reads the topic of rejected events from its beginning; holds the newest ones of each reason and counts them all.

    A record that comes a second time after a crash of the dataflow replaces the first: within a partition of the topic the offsets of
    one partition of the logs only rise, except for such repeats, so one number for each says what was seen before.
    """

    def __init__(self, settings: Settings, look_seconds: float = 5.0) -> None:
        reporter = StateReporter(settings, settings.rejected_topic, aloud=False)
        super().__init__(settings, settings.rejected_topic, "rejects", look_seconds, reporter)
        self._parts: dict[int, _ReadPartition] = {}
        self._newest: dict[str, deque[tuple[int, Reject]]] = {reason: deque(maxlen=_NEWEST) for reason in REASONS}
        self._lock = threading.Lock()
        self._tombstones: Tombstones[RejectedKey] = Tombstones()
        self._known_tombstones = 0
        self._kept: Rejects | None = None

    @override
    def wants_second_reading(self) -> bool:
        """Return whether new tombstones were found: the events are counted again without the deleted ones."""
        if self._tombstones.found == self._known_tombstones:
            self._kept = None
            return False
        self._kept = self.rejects(limit=_NEWEST * len(REASONS))
        self._known_tombstones = self._tombstones.found
        self._tombstones.restart()
        for partition in list(self._parts):
            self._drop(partition)
        self.records = self.unread = 0
        return True

    @override
    def begin(self, consumer: Consumer, partition: int) -> int:
        """Return the offset of the last record that was read, or the beginning if the topic was recreated since."""
        part = self._parts.get(partition)
        if part is None:
            return OFFSET_BEGINNING
        low, end = consumer.get_watermark_offsets(TopicPartition(self._topic.name, partition), timeout=2.0)
        if low <= part.last.offset < end:
            return part.last.offset  # read once more, to see whether it is the same
        self.forget(partition)
        return OFFSET_BEGINNING

    @override
    def forget(self, partition: int) -> None:
        """Drop what was read of `partition`, and all tombstones, which do not apply to a new log."""
        self._tombstones, self._known_tombstones, self._kept = Tombstones(), 0, None
        self._drop(partition)

    def _drop(self, partition: int) -> None:
        with self._lock:
            self._parts.pop(partition, None)
            for newest in self._newest.values():
                kept = [entry for entry in newest if entry[0] != partition]
                newest.clear()
                newest.extend(kept)

    def _known(self, number: int, message: Message) -> bool:
        """Return whether this record was read before; raises `LogReplacedError` if a different one was read at its offset."""
        part, record = self._parts.get(number), Fingerprint.of(message)
        if part is None:
            with self._lock:
                self._parts[number] = _ReadPartition(record)
        elif record == part.last:
            return True
        elif record.offset <= part.last.offset:
            self.forget(number)
            raise LogReplacedError
        else:
            part.last = record
        return False

    @override
    def take(self, messages: list[Message]) -> None:
        """Count the events, and keep the newest."""
        for message in messages:
            number = message.partition() or 0
            if self._known(number, message):
                continue
            part = self._parts[number]
            position, value = self._tombstones.position(message), message.value()
            try:
                if value is None:
                    self._delete(decode_rejected_key(message.key() or b""), position)
                    continue
                if why := foreign(message.headers()):
                    raise ValueError(why)
                event = decode_rejected(value)
            except (msgspec.DecodeError, ValueError, RecursionError) as reason:
                self.cannot_read(message, reason)
                continue
            self.records += 1
            key = (event.topic, event.partition, event.offset)
            if self._tombstones.has_deleted(key, position):
                continue
            source = (event.topic[:_SHOWN_NAME], event.partition)
            # An event that is written again after its tombstone has a lower offset than was seen, and counts once.
            if event.offset <= part.seen.get(source, -1) and (key not in self._tombstones or key in part.restored):
                continue
            if key in self._tombstones:
                part.restored.add(key)
            with self._lock:
                if source not in part.seen and len(part.seen) >= _PARTITIONS:
                    part.seen.clear()  # no topic has this many partitions; junk must not fill the memory
                part.seen[source] = max(event.offset, part.seen.get(source, -1))
                part.counts[event.reason] += 1
                self._newest[event.reason].append((number, shown(event)))

    def _delete(self, key: RejectedKey, position: RecordPosition) -> None:
        """Remove an event from the list at once; the counts are corrected later (`wants_second_reading`)."""
        if not self._tombstones.add(key, position):
            return
        with self._lock:
            for newest in self._newest.values():
                kept = [
                    entry
                    for entry in newest
                    if (entry[1].topic, entry[1].partition, entry[1].offset) != (key[0][:_SHOWN_NAME], *key[1:])
                ]
                newest.clear()
                newest.extend(kept)

    def rejects(self, reason: str = "", limit: int = _NEWEST) -> Rejects:
        """The newest `limit` of `reason`, or of all of them, newest first."""
        if kept := self._kept:
            newest = [reject for reject in kept.newest if reason in ("", reject.reason)]
            return msgspec.structs.replace(kept, newest=newest[:limit])
        with self._lock:
            counts = {name: sum(part.counts[name] for part in self._parts.values()) for name in REASONS}
            held = [reject for name, newest in self._newest.items() if reason in ("", name) for _, reject in newest]
        held.sort(key=lambda reject: (reject.rejected_at, reject.partition, reject.offset), reverse=True)
        status = self.status
        return Rejects(status.state, status.topic, counts, sum(counts.values()), held[:limit], status.unread, status.problem)
