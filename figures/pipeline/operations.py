"""What the Data page tells of the pipeline: how far the dataflow is, and what it rejected. Both are looked at only while a page asks."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition
from typing_extensions import override

from dataflows.commands.counters import COLUMNS, Progress, progress
from dataflows.commands.rejected import REASONS, RejectedKey
from dataflows.contract.errors import AdtallyError, TopicMissingError
from dataflows.contract.schema import Rejected, decode_rejected, decode_rejected_key, foreign
from dataflows.contract.settings import Settings
from dataflows.kafka.fingerprint import Fingerprint
from dataflows.kafka.lag import Waiting
from dataflows.kafka.tombstones import Position, Tombstones
from figures.feed.follower import Follower
from figures.feed.positions import LogReplacedError

log = logging.getLogger("adtally.operations")

_NEWEST = 50
_SHOWN_PAYLOAD = 2_000
_SHOWN_NAME = 249
_PLACES = 10_000
_EVERY = 3.0
_WATCHED = 75.0


class Partition(msgspec.Struct, frozen=True):
    """One partition of the logs, as of the dataflow's last commit; `clock` is the highest event time that was read (seconds)."""

    partition: int
    offset: int | None
    end: int
    lag: int
    counts: dict[str, int]
    adds_up: bool
    clock: float | None
    at: float | None = None
    """Time of the commit by the dataflow's clock (seconds since 1970)."""
    pause: float | None = None
    """Seconds between this commit and the previous one."""
    still: float | None = None
    """Since when messages wait and the offset does not move, as observed by this process (seconds since 1970)."""
    behind: int = 0
    """Messages that wait behind an open transaction."""
    lost: int = 0
    is_recreated: bool = False
    notes: list[str] = []
    """Problems of the partition that affect its lag (`dataflows.commands.counters.Progress.notes`)."""


class Pipeline(msgspec.Struct, frozen=True):
    """How far the dataflow is; `asked` is the service's time of the answer, None before the first one."""

    partitions: list[Partition] = []
    asked: float | None = None
    problem: str = ""
    """Why there is no newer answer."""
    is_missing: bool = False
    """Whether the topic of the logs does not exist."""


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
    """Characters of the payload as it stands on the topic."""


class Rejects(msgspec.Struct, frozen=True):
    """What stands on the topic of rejected events: how many by reason, the newest ones, and what its reader does."""

    state: str
    topic: str
    counts: dict[str, int]
    total: int
    newest: list[Reject]
    unread: int
    problem: str


class _Part:
    """What was read of one partition: its last record, how many by reason, and the highest offset of each partition of the logs."""

    def __init__(self, last: Fingerprint) -> None:
        self.last = last
        self.counts: Counter[str] = Counter()
        self.seen: dict[tuple[str, int], int] = {}
        self.restored: set[RejectedKey] = set()
        """Events that were written again after their tombstone."""


def shown(one: Rejected) -> Reject:
    """`one` with its texts cut."""
    payload = one.payload if one.payload is not None else one.payload_base64
    return Reject(
        reason=one.reason,
        detail=one.detail[:_SHOWN_PAYLOAD],
        topic=one.topic[:_SHOWN_NAME],
        partition=one.partition,
        offset=one.offset,
        rejected_at=one.rejected_at[:_SHOWN_NAME],
        payload=payload if payload is None else payload[:_SHOWN_PAYLOAD],
        binary=one.payload is None and one.payload_base64 is not None,
        length=len(payload or ""),
    )


class RejectedFeed(Follower):
    """Reads the topic of rejected events from its beginning; holds the newest ones of each reason and counts them all.

    A record that comes a second time after a crash of the dataflow replaces the first: within a partition of the topic the places of
    one partition of the logs only rise, save for such repeats, so one number for each says what was seen before.
    """

    def __init__(self, settings: Settings, look_seconds: float = 5.0) -> None:
        super().__init__(settings, settings.rejected_topic, "rejects", look_seconds, aloud=False)
        self._parts: dict[int, _Part] = {}
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
                kept = [one for one in newest if one[0] != partition]
                newest.clear()
                newest.extend(kept)

    def _known(self, number: int, message: Message) -> bool:
        """Return whether this record was read before; raises `LogReplacedError` if a different one was read at its offset."""
        part, record = self._parts.get(number), Fingerprint.of(message)
        if part is None:
            with self._lock:
                self._parts[number] = _Part(record)
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
        """Count and keep."""
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
                one = decode_rejected(value)
            except (msgspec.DecodeError, ValueError, RecursionError) as reason:
                self.cannot_read(message, reason)
                continue
            self.records += 1
            key = (one.topic, one.partition, one.offset)
            if self._tombstones.has_deleted(key, position):
                continue
            place = (one.topic[:_SHOWN_NAME], one.partition)
            # An event that is written again after its tombstone has a lower offset than was seen, and counts once.
            if one.offset <= part.seen.get(place, -1) and (key not in self._tombstones or key in part.restored):
                continue
            if key in self._tombstones:
                part.restored.add(key)
            with self._lock:
                if place not in part.seen and len(part.seen) >= _PLACES:
                    part.seen.clear()  # nobody has so many partitions; junk must not fill the memory
                part.seen[place] = max(one.offset, part.seen.get(place, -1))
                part.counts[one.reason] += 1
                self._newest[one.reason].append((number, shown(one)))

    def _delete(self, key: RejectedKey, position: Position) -> None:
        """Remove an event from the list at once; the counts are corrected later (`wants_second_reading`)."""
        if not self._tombstones.add(key, position):
            return
        with self._lock:
            for newest in self._newest.values():
                kept = [
                    one for one in newest if (one[1].topic, one[1].partition, one[1].offset) != (key[0][:_SHOWN_NAME], *key[1:])
                ]
                newest.clear()
                newest.extend(kept)

    def rejects(self, reason: str = "", limit: int = _NEWEST) -> Rejects:
        """The newest `limit` of `reason`, or of all of them, newest first."""
        if kept := self._kept:
            newest = [one for one in kept.newest if reason in ("", one.reason)]
            return msgspec.structs.replace(kept, newest=newest[:limit])
        with self._lock:
            counts = {name: sum(part.counts[name] for part in self._parts.values()) for name in REASONS}
            held = [one for name, newest in self._newest.items() if reason in ("", name) for _, one in newest]
        held.sort(key=lambda one: (one.rejected_at, one.partition, one.offset), reverse=True)
        status = self.status
        return Rejects(status.state, status.topic, counts, sum(counts.values()), held[:limit], status.unread, status.problem)


class Watch:
    """Asks the broker for the dataflow's progress on a thread, every few seconds, while somebody wants to know."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self._wanted = threading.Event()
        self._stop = threading.Event()
        self._asked = 0.0
        self._last = Pipeline()
        self._waiting = Waiting(settings, "progress")
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def pipeline(self) -> Pipeline:
        """The last answer; the first call makes the asking begin, and who goes on calling keeps it going."""
        self._asked = time.monotonic()
        self._wanted.set()
        with self._lock:
            if self._thread is None and not self._stop.is_set():
                self._thread = threading.Thread(target=self._run, name="adtally-progress", daemon=True)
                self._thread.start()
        return self._last

    def stop(self) -> None:
        """Ask no more, and wait for the thread's end."""
        self._stop.set()
        self._wanted.set()
        if self._thread:
            self._thread.join(10)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wanted.wait()
            if time.monotonic() - self._asked > _WATCHED:
                self._wanted.clear()
                continue
            self._last = self._ask()
            self._stop.wait(_EVERY)

    def _ask(self) -> Pipeline:
        try:
            rows = progress(self._settings, timeout=4.0, waiting=self._waiting)
        except TopicMissingError as error:
            return Pipeline(asked=self._clock(), problem=str(error), is_missing=True)
        except AdtallyError as error:
            return msgspec.structs.replace(self._last, problem=str(error))
        except Exception:  # the page must go on; what is odd stands in the log
            log.exception("the progress of the dataflow could not be read")
            return msgspec.structs.replace(self._last, problem="the progress of the dataflow could not be read; see the log.")
        now = self._clock()
        before = {row.partition: row for row in self._last.partitions}
        return Pipeline([_partition(self._settings, row, before.get(row.partition), now) for row in rows], now)


def _partition(settings: Settings, row: Progress, before: Partition | None, now: float) -> Partition:
    """Return `row` as a page shows it; `before` is the same partition in the previous answer."""
    still = None
    if row.lag:
        still = before.still or now if before is not None and before.offset == row.offset else now
    return Partition(
        partition=row.partition,
        offset=row.offset,
        end=row.end,
        lag=row.lag,
        counts={name: getattr(row.shown, name) for name in COLUMNS},
        adds_up=row.shown.adds_up(),
        clock=_seconds(row.shown.clock),
        at=_seconds(row.shown.at),
        pause=_seconds(row.shown.pause),
        still=still,
        behind=row.waits.behind if row.waits else 0,
        lost=row.lost,
        is_recreated=row.is_recreated,
        notes=row.notes(settings),
    )


def _seconds(micros: int | None) -> float | None:
    return None if micros is None else micros / 1e6
