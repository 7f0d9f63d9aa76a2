"""View that one process has of the whole source topic: its number of partitions, whether the broker answers, the progress of others.

A background thread queries the broker, so that no reader ever waits for an answer.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from confluent_kafka import Consumer, KafkaException, TopicPartition

from dataflows.contract.errors import AdtallyError, BrokerError
from dataflows.contract.settings import Settings
from dataflows.flow.progress import CommittedCounters
from dataflows.kafka.clients import make_consumer
from dataflows.kafka.lag import LagRequests, OffsetRange, Waiting
from dataflows.kafka.topics import Topics

log = logging.getLogger("adtally.topology")

ASK_SECONDS = 2.0
"""Interval between two queries for the number of partitions."""

CLOCKS_EVERY = 5
"""Number of such queries after which the clocks of other processes' partitions are queried too."""


class Topology:
    """Live view of the topic of ad events; safe to use from any thread."""

    def __init__(self, settings: Settings, give_up: Callable[[], bool]) -> None:
        """`give_up`: asked while waiting; True ends the thread."""
        self._settings = settings
        self._give_up = give_up
        self._partitions = 0
        self._missing = False
        self._answered = float("-inf")
        self._clocks: dict[int, int] = {}
        self._requests = LagRequests(Waiting(settings, "behind"))
        self._error: AdtallyError | None = None
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._started = False
        self._thread = threading.Thread(target=self._watch, name="topology", daemon=True)

    def start(self) -> None:
        """Start the background thread; later calls, from any thread, do nothing."""
        if self._started:
            return
        with self._lock:
            if not self._started:
                self._started = True
                self._thread.start()

    def close(self) -> None:
        """Stop asking."""
        self._closed.set()

    def partitions(self) -> int:
        """Return the number of partitions of the topic, 0 while unknown; raises the `AdtallyError` that keeps it from ever being known."""
        if self._error is not None:
            raise self._error
        return self._partitions

    def known(self) -> int:
        """Return the number of partitions of the topic, 0 while unknown; raises nothing."""
        return self._partitions

    def reachable(self) -> bool:
        """Whether the broker answered lately."""
        return time.monotonic() - self._answered < 2.5 * ASK_SECONDS

    def newest(self) -> int | None:
        """Return the highest clock of any partition that is known here, in microseconds since 1970."""
        return max(self._clocks.values(), default=None)

    def oldest(self) -> int | None:
        """Return the lowest clock of the partitions known here, in microseconds since 1970; None before any is known."""
        return min(self._clocks.values(), default=None)

    def behind(self, partition: int, span: OffsetRange) -> int:
        """Return the number of messages in `span` of `partition`, behind an open transaction; an upper bound until they are counted."""
        return self._requests.messages(partition, span)

    def report(self, partition: int, clock: int | None) -> None:
        """Take note of the clock of a partition that is read in this process."""
        if clock is not None:
            self._clocks[partition] = clock

    def _watch(self) -> None:
        settings = self._settings
        try:
            self._ask(settings)
        except AdtallyError as error:
            self._error = error
        except Exception as error:  # noqa: BLE001 - whatever it is, the flow must end with it and not stand still without it
            self._error = AdtallyError(f"querying the topics on {settings.brokers} failed unexpectedly: {error!r}.")

    def _ask(self, settings: Settings) -> None:
        rights = {topic: "Read" if topic == settings.logs_topic else "Write" for topic in settings.topics}
        topics = Topics(settings, "topology", rights)
        if not topics.wait(*rights, give_up=self._done):
            return
        consumer = make_consumer(settings, "topology")
        rounds = 0
        while not self._done():
            try:
                self._heed(topics.partitions(settings.logs_topic, timeout=ASK_SECONDS))
                self._answered = time.monotonic()
                if rounds % CLOCKS_EVERY == CLOCKS_EVERY - 1:
                    self._hear_others(consumer)
                self._requests.count()
            except BrokerError as error:
                log.debug("%s", error)
            rounds += 1
            self._closed.wait(ASK_SECONDS)
        consumer.close()

    def _heed(self, partitions: int) -> None:
        if not partitions and self._partitions and not self._missing:
            log.warning(
                "topic %s no longer exists on %s; waiting until it is created again",
                self._settings.logs_topic,
                self._settings.brokers,
            )
        self._missing = not partitions
        self._partitions = max(self._partitions, partitions)

    def _done(self) -> bool:
        return self._closed.is_set() or self._give_up()

    def _hear_others(self, consumer: Consumer) -> None:
        """Read the clocks of partitions that other processes read, from the metadata that they commit with their offsets."""
        wanted = [TopicPartition(self._settings.logs_topic, number) for number in range(self._partitions)]
        try:
            committed = consumer.committed(wanted, timeout=ASK_SECONDS)
        except KafkaException as error:
            log.debug("no committed offsets: %s", error)
            return
        for partition in committed:
            clock = CommittedCounters.decode(partition.metadata).clock
            if clock is not None:
                self._clocks[partition.partition] = max(clock, self._clocks.get(partition.partition, clock))
