"""A session: one consumer that reads a topic from where it is to begin, until another consumer has to take over."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from dataflows.contract.settings import Settings
from dataflows.kafka.clients import AWAY, NO_GROUP, PASSING, describe, make_consumer
from dataflows.kafka.corruption import Damage, Fault, Passage, sound
from dataflows.kafka.diagnosis import ConnectionErrors, forbidden, is_forbidden
from figures.feed.positions import LogReplacedError, Positions
from figures.feed.reporter import StateReporter

log = logging.getLogger("adtally.feed")

_BATCH = 5_000


class Taker(Protocol):
    """What decides where to begin and what to do with the records."""

    def begin(self, consumer: Consumer, partition: int) -> int:
        """Return the offset at which to begin reading `partition`."""
        ...

    def take(self, messages: list[Message]) -> None:
        """Process records, none of which is an error; raises `LogReplacedError`."""

    def forget(self, partition: int) -> None:
        """Drop what was read of `partition`."""

    def skip(self, partition: int, damage: Damage) -> None:
        """Count records that can't be read."""

    def reach_end(self) -> None:
        """Note that all of the topic was read; called repeatedly at its end."""

    def wants_second_reading(self) -> bool:
        """Return whether to read the topic from its beginning again; called repeatedly at the end of the topic."""
        ...


class Topic:
    """The topic that a follower reads, and what its sessions share: the positions in it, its state, and the way past damaged batches."""

    def __init__(self, settings: Settings, name: str, role: str, look_seconds: float, reporter: StateReporter) -> None:
        """`role`: part of the client id. `look_seconds`: how often to look for new partitions."""
        self.settings, self.name, self.role, self.look_seconds, self.reporter = settings, name, role, look_seconds, reporter
        self.positions = Positions(name)
        self.passage = Passage(settings, name)
        self.complaints = ConnectionErrors(settings)


class FeedSession:
    """Reads `topic` for `taker` until `stop` is set, with a consumer of its own."""

    def __init__(self, topic: Topic, taker: Taker, stop: threading.Event) -> None:
        self._topic = topic
        self._taker = taker
        self._stop = stop
        self._positions, self._reporter = topic.positions, topic.reporter
        self._assigned: set[int] = set()
        self._behind: set[int] = set()
        """Assigned partitions whose end was not reached yet."""
        self._must_look = True
        own = {
            # Read everything that the topic holds; if its beginning has been deleted, the rest.
            "auto.offset.reset": "earliest",
            "error_cb": self._on_error,
            "queued.max.messages.kbytes": 32_768,
            "fetch.message.max.bytes": 1_048_576,
        }
        client_options = topic.settings.client
        self._consumer = make_consumer(
            topic.settings, topic.role, **{key: value for key, value in own.items() if key not in client_options}
        )

    def run(self) -> None:
        """Read until another session has to take over: raises `LogReplacedError`, `KafkaException`, `BrokerError`."""
        self._positions.unassign()
        try:
            looked = 0.0
            while not self._stop.is_set():
                if self._must_look or time.monotonic() - looked >= self._pause():
                    self._must_look = False
                    self._look()
                    looked = time.monotonic()
                messages, damaged = sound(self._consumer.consume(_BATCH, timeout=0.2))
                self._hear(messages)
                if damaged:
                    self._pass_over(damaged)
                    return  # the next session resumes there with a new consumer
                if self._assigned and not self._behind:
                    self._taker.reach_end()
                    if self._taker.wants_second_reading():
                        self._positions.restart()
                        return
        finally:
            self._consumer.close()

    def _pause(self) -> float:
        """Return the seconds between two looks at the topic."""
        seconds = self._topic.look_seconds
        return seconds if self._reporter.state in ("live", "reading") else min(1.0, seconds)

    def _on_error(self, error: KafkaError) -> None:
        self._topic.complaints.on_error(error)
        if error.code() in AWAY:
            self._must_look = True

    def _look(self) -> None:
        """Ask the broker whether the topic exists and has new partitions, and handle a broker that was away."""
        name, reporter = self._topic.name, self._reporter
        try:
            metadata = self._consumer.list_topics(name, timeout=2.0).topics[name]
        except KafkaException as error:
            self._fail(error)
            return
        self._topic.complaints.clear()
        if metadata.error is not None and metadata.error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            reporter.fail(forbidden(self._topic.settings, "Read", f"topic {name}"))
            return
        reporter.admit()
        if metadata.error is not None or not metadata.partitions:
            if self._assigned:
                self._unassign()
            reporter.enter("waiting")
            return
        if reporter.state == "down":
            # A broker that comes back may have lost its log (the embedded one has): the topic is read again from its beginning.
            self._unassign()
            self._positions.restart()
            if not reporter.is_barred:
                reporter.note("")
        self._assign(set(metadata.partitions))
        if not reporter.is_barred:
            reporter.enter("reading" if self._behind else "live")
        self._positions.measure_lags(self._consumer, self._assigned)

    def _fail(self, error: KafkaException) -> None:
        """Report that the broker does not answer a request."""
        if error.args[0].code() not in AWAY:
            self._reporter.enter("down", describe(error))
            return
        if not self._assigned:
            self._consumer.poll(0)  # runs the error callback; no partition is assigned, so no message comes
        self._reporter.fail(self._topic.complaints.unreachable())

    def _assign(self, partitions: set[int]) -> None:
        """Begin reading the `partitions` that are new; raises `LogReplacedError` if one has another log than was read."""
        replaced = self._positions.replaced(self._consumer, partitions, self._assigned)
        if replaced is not None:
            self._taker.forget(replaced)
            raise LogReplacedError
        for partition in sorted(partitions - self._assigned):
            offset = self._positions.resumed(partition)
            offset = self._taker.begin(self._consumer, partition) if offset is None else offset
            self._consumer.incremental_assign([TopicPartition(self._topic.name, partition, offset)])
            self._assigned.add(partition)
            self._behind.add(partition)

    def _unassign(self) -> None:
        self._consumer.unassign()
        self._positions.unassign()
        self._assigned, self._behind = set(), set()

    def _pass_over(self, damaged: Mapping[int, Fault]) -> None:
        """Skip batches that can't be read; their records count as unread."""
        for partition, fault in damaged.items():
            damage = self._topic.passage.lead(partition, fault, self._positions.next_of(partition, fault.offset))
            if damage:
                self._positions.skip(partition, damage.end)
                self._taker.skip(partition, damage)
        self._positions.resume_here()

    def _hear(self, messages: list[Message]) -> None:
        records: list[Message] = []
        for message in messages:
            error = message.error()
            if error is not None:
                self._hear_error(error, message.partition(), message.offset())
            elif (partition := message.partition()) is not None and (offset := message.offset()) is not None:
                self._positions.read(partition, offset)
                self._reporter.unbar()
                records.append(message)
        if records:
            self._taker.take(records)
        if not self._behind and self._reporter.state == "reading":
            self._reporter.enter("live")

    def _hear_error(self, error: KafkaError, partition: int | None, offset: int | None) -> None:
        code, name = error.code(), self._topic.name
        if code == KafkaError._PARTITION_EOF:
            self._reporter.unbar()
            if partition is not None:
                self._behind.discard(partition)
                self._positions.reach_end(partition, offset or 0)
        elif code in PASSING:
            self._must_look = True
        elif code in NO_GROUP:
            pass  # it reads without a consumer group
        elif is_forbidden(error):
            self._reporter.bar(str(forbidden(self._topic.settings, "Read", f"topic {name}")))
        else:
            self._reporter.note(describe(error))
            log.warning("%s: %s", name, describe(error))
