"""The follower: one thread that reads a topic from its beginning, and recovers by itself.

The topic may not exist yet, the broker may be down or come back with an empty log, partitions may be added: the thread waits, reports it
in `Follower.status`, and resumes. A record that can't be read is counted and never fatal. This module does not know what the records
are used for.
"""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Literal, Self

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from dataflows.contract.errors import BrokerError, RefusedError
from dataflows.contract.settings import Settings
from dataflows.kafka.clients import AWAY, NO_GROUP, PASSING, describe, heard_lag, make_consumer
from dataflows.kafka.corruption import Fault, Passage, sound
from dataflows.kafka.diagnosis import Complaints, forbidden, is_forbidden

log = logging.getLogger("adtally.feed")

FeedState = Literal["starting", "waiting", "reading", "live", "down"]

_BATCH = 5_000


class Status(msgspec.Struct, frozen=True):
    """State of a follower: `waiting` for the topic, `reading` it, `live` at its end, or the broker is `down`."""

    state: FeedState
    brokers: str
    topic: str
    records: int = 0
    unread: int = 0
    """Number of records that could not be read."""
    problem: str = ""
    """Why the last of those could not be read, or the broker's error."""
    since: float | None = None
    """Begin of this state (seconds since 1970)."""
    behind: int = 0
    """Number of records that are still to be read, as of the last look at the topic."""


class LogReplacedError(Exception):
    """A partition no longer has the log that was read; the next session reads the topic from its beginning."""


class Follower(ABC):
    """Reads a topic from its beginning on its own thread, between `start` and `stop`, and recovers by itself.

    A subclass decides what to do with the records: `take` receives them, and `begin` can skip the first ones.
    """

    def __init__(self, settings: Settings, topic: str, role: str, look_seconds: float, *, aloud: bool = True) -> None:
        """`role`: part of the client id. `look_seconds`: how often to look for new partitions. `aloud`: log what it waits for."""
        self._aloud = aloud
        self.settings = settings
        self.records = self.unread = 0
        self._topic = topic
        self._role = role
        self.look_seconds = look_seconds
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._state: FeedState = "starting"
        self._since: float | None = None
        self._problem = ""
        self._behind: set[int] = set()
        self._assigned: set[int] = set()
        self._look_now = False
        self._passage = Passage(settings, topic)
        self._complaints = Complaints(settings)
        self._let_in = False
        self._barred = False
        self.refused: RefusedError | None = None
        """Why the brokers refuse this client; None if one ever accepted it, for then its users or certificates may just be changing."""
        self._next: dict[int, int] = {}
        self._ended: dict[int, int] = {}
        """Where the end was reached: transaction markers and aborted records before it are never delivered."""
        self._go_on: dict[int, int] = {}
        self._read: dict[int, int] = {}
        """The offset after the last record that was read of each partition, in this session or before."""
        self._lags: dict[int, int] = {}

    @abstractmethod
    def take(self, messages: list[Message]) -> None:
        """Process records, none of which is an error; `LogReplacedError` ends the session, and `begin` is called again."""

    @abstractmethod
    def forget(self, partition: int) -> None:
        """Drop what was read of `partition`: its log was replaced or emptied."""

    def wants_second_reading(self) -> bool:
        """Return whether to read the topic from its beginning again; called repeatedly at the end of the topic."""
        return False

    def begin(self, consumer: Consumer, partition: int) -> int:
        """Return the offset at which to begin reading `partition`."""
        del consumer, partition
        return OFFSET_BEGINNING

    def cannot_read(self, message: Message, reason: Exception) -> None:
        """Count a record that can't be read."""
        self._problem = f"partition {message.partition()}, offset {message.offset()}: {reason}"
        self.unread += 1

    def start(self) -> Self:
        """Start reading, if it has not been started yet."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=f"adtally-{self._role}", daemon=True)
            self._thread.start()
        return self

    def stop(self) -> None:
        """Stop reading and wait for the thread's end."""
        self._stop.set()
        if self._thread:
            self._thread.join(10)

    @property
    def alive(self) -> bool:
        """Whether the thread runs; it only ends when it is stopped."""
        return self._thread is not None and self._thread.is_alive()

    def lags(self) -> dict[int, int]:
        """Return the number of records to be read of each partition, as of the last look at the topic."""
        return dict(self._lags)

    @property
    def status(self) -> Status:
        """The current state."""
        return Status(
            self._state,
            self.settings.brokers,
            self._topic,
            self.records,
            self.unread,
            self._problem,
            self._since,
            sum(self.lags().values()),
        )

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._session()
            except LogReplacedError:
                self._next, self._go_on, self._read = {}, {}, {}
                log.info("topic %s was recreated or emptied; it is read again from its beginning", self._topic)
            except (KafkaException, BrokerError) as error:
                self._down(error if isinstance(error, BrokerError) else BrokerError(describe(error)))
                self._stop.wait(1.0)
            except Exception:  # the page must keep reporting that its feed is broken, and the next try may work
                log.exception("reading topic %s failed unexpectedly; retrying in 1 s", self._topic)
                self._set("down", f"reading topic {self._topic} failed; see the log")
                self._stop.wait(1.0)

    def _down(self, error: BrokerError) -> None:
        if isinstance(error, RefusedError) and not self._let_in:
            self.refused = error
        self._set("down", str(error))

    def _set(self, state: FeedState, problem: str = "") -> None:
        if state != self._state:
            self._say(state, problem)
            self._since = time.time()
        if problem:
            self._problem = problem  # before the state, so that a reader of `down` also finds the reason
        self._state = state

    def _say(self, state: FeedState, problem: str) -> None:
        """Log a line when waiting begins, and a line when it ends."""
        before, topic, brokers = self._state, self._topic, self.settings.brokers
        # A refusal is logged by the dashboard's command when it ends.
        level = logging.WARNING if self._aloud and not self.refused else logging.DEBUG
        if state == "down":
            log.log(level, "waiting for Kafka: %s", problem)
        elif state == "waiting":
            log.log(level, "waiting for topic %s on %s; the dataflow creates it", topic, brokers)
        elif before in ("down", "waiting"):
            log.log(level, "topic %s on %s is available", topic, brokers)
        else:
            log.info("%s: %s", topic, state)

    def _session(self) -> None:
        own = {
            # Read everything that the topic holds; if its beginning has been deleted, the rest.
            "auto.offset.reset": "earliest",
            "error_cb": self._on_error,
            "queued.max.messages.kbytes": 32_768,
            "fetch.message.max.bytes": 1_048_576,
        }
        consumer = make_consumer(
            self.settings, self._role, **{key: value for key, value in own.items() if key not in self.settings.client}
        )
        self._assigned, self._behind, self._ended = set(), set(), {}
        try:
            looked = 0.0
            while not self._stop.is_set():
                pause = self.look_seconds if self._state in ("live", "reading") else min(1.0, self.look_seconds)
                if self._look_now or time.monotonic() - looked >= pause:
                    self._look_now = False
                    self._look(consumer)
                    looked = time.monotonic()
                messages, damaged = sound(consumer.consume(_BATCH, timeout=0.2))
                self._hear(messages)
                if damaged:
                    self._pass_over(damaged)
                    return  # the next session resumes there with a new consumer
                if self._assigned and not self._behind and self.wants_second_reading():
                    self._next, self._go_on = {}, {}
                    return
        finally:
            consumer.close()

    def _on_error(self, error: KafkaError) -> None:
        self._complaints.heed(error)
        if error.code() in AWAY:
            self._look_now = True

    def _look(self, consumer: Consumer) -> None:
        """Ask the broker whether the topic exists and has new partitions, and handle a broker that was away."""
        topic = self._topic
        try:
            found = consumer.list_topics(topic, timeout=2.0).topics[topic]
        except KafkaException as error:
            if error.args[0].code() not in AWAY:
                self._set("down", describe(error))
                return
            if not self._assigned:
                consumer.poll(0)  # runs the error callback; no partition is assigned, so no message comes
            self._down(self._complaints.unreachable())
            return
        self._complaints.clear()
        if found.error is not None and found.error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            self._down(forbidden(self.settings, "Read", f"topic {topic}"))
            return
        self._let_in = True
        if found.error is not None or not found.partitions:
            if self._assigned:
                self._unassign(consumer)
            self._set("waiting")
            return
        if self._state == "down":
            # A broker that comes back may have lost its log (the embedded one has): the topic is read again from its beginning.
            self._unassign(consumer)
            self._next, self._go_on = {}, {}
            self._problem = self._problem if self._barred else ""
        self._check_logs(consumer, set(found.partitions))
        for partition in sorted(set(found.partitions) - self._assigned):
            consumer.incremental_assign([TopicPartition(topic, partition, self._begin(consumer, partition))])
            self._assigned.add(partition)
            self._behind.add(partition)
        if not self._barred:  # a client that may describe the topic but not read it gets an error per fetch
            self._set("reading" if self._behind else "live")
        self._lags = self._look_back(consumer)

    def _check_logs(self, consumer: Consumer, partitions: set[int]) -> None:
        """Raise `LogReplacedError` if a log ends before the offset that was read, is empty, or no longer exists.

        The broker is asked before a partition is assigned, and if the cached end contradicts what was read: the end that a new leader
        sends with records may be too low for a moment, but never its answer to this request.
        """
        for number, read in self._read.items():
            place = TopicPartition(self._topic, number)
            if number in partitions:
                if number in self._assigned and not _is_replaced(_received_limits(consumer, place), read):
                    continue
                if not _is_replaced(consumer.get_watermark_offsets(place, timeout=2.0), read):
                    continue
            self.forget(number)
            raise LogReplacedError

    def _look_back(self, consumer: Consumer) -> dict[int, int]:
        """Return the lag of each partition by the log ends that the client has received with records."""
        found = {
            partition: heard_lag(consumer, TopicPartition(self._topic, partition, max(read, self._ended.get(partition, 0))))
            for partition, read in self._next.items()
            if partition in self._assigned
        }
        return {partition: lag for partition, lag in found.items() if lag is not None}

    def _begin(self, consumer: Consumer, partition: int) -> int:
        return self._go_on.pop(partition) if partition in self._go_on else self.begin(consumer, partition)

    def _unassign(self, consumer: Consumer) -> None:
        consumer.unassign()
        self._assigned, self._behind, self._ended = set(), set(), {}

    def _pass_over(self, damaged: Mapping[int, Fault]) -> None:
        """Skip batches that can't be read; their records count as unread."""
        for partition, met in damaged.items():
            at = self._next.setdefault(partition, met.offset)
            damage = self._passage.lead(partition, met, at)
            if damage:
                self._next[partition] = damage.end
                self._problem = f"partition {partition}, offsets {damage.first} to {damage.end - 1}: {damage.words}"
                self.unread += damage.end - damage.first
        self._go_on = dict(self._next)

    def _hear(self, messages: list[Message]) -> None:
        records: list[Message] = []
        for message in messages:
            error = message.error()
            if error is not None:
                self._mishap(error, message.partition(), message.offset())
            elif (partition := message.partition()) is not None and (offset := message.offset()) is not None:
                self._next[partition] = offset + 1
                self._read[partition] = max(offset + 1, self._read.get(partition, 0))
                self._barred = False
                records.append(message)
        if records:
            self.take(records)
        if not self._behind and self._state == "reading":
            self._set("live")

    def _mishap(self, error: KafkaError, partition: int | None, offset: int | None) -> None:
        code = error.code()
        if code == KafkaError._PARTITION_EOF:
            self._barred = False
            if partition is not None:
                self._behind.discard(partition)
                self._ended[partition] = offset or 0
        elif code in PASSING:
            self._look_now = True
        elif code in NO_GROUP:
            pass  # it reads without a consumer group
        elif is_forbidden(error):
            self._barred = True
            self._set("down", str(forbidden(self.settings, "Read", f"topic {self._topic}")))
        else:
            self._problem = describe(error)
            log.warning("%s: %s", self._topic, self._problem)


def _received_limits(consumer: Consumer, place: TopicPartition) -> tuple[int, int] | None:
    """Return the first offset of a partition and the one after its last, as last received with records; None before that."""
    try:
        low, end = consumer.get_watermark_offsets(place, cached=True)
    except KafkaException:
        return None
    return None if end < 0 else (low, end)


def _is_replaced(limits: tuple[int, int] | None, read: int) -> bool:
    """Return whether a log with these `limits` (first offset, and the one after the last) can't be the one that was read up to `read`."""
    return limits is not None and (limits[1] < read or limits[0] >= limits[1])
