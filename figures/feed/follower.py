"""The follower: one thread that reads a topic from its beginning, and recovers by itself.

The topic may not exist yet, the broker may be down or come back with an empty log, partitions may be added: the thread waits, reports it
in `Follower.status`, and resumes. A record that can't be read is counted and never fatal. This module does not know what the records
are used for; how one consumer reads is in `session`.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from typing import Self

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message

from dataflows.contract.errors import BrokerError, RefusedError
from dataflows.contract.settings import Settings
from dataflows.kafka.clients import describe
from dataflows.kafka.corruption import Damage
from figures.feed.positions import LogReplacedError
from figures.feed.reporter import StateReporter, Status
from figures.feed.session import FeedSession, Topic

log = logging.getLogger("adtally.feed")


class Follower(ABC):
    """Reads a topic from its beginning on its own thread, between `start` and `stop`, and recovers by itself.

    A subclass decides what to do with the records: `take` receives them, and `begin` can skip the first ones.
    """

    def __init__(
        self, settings: Settings, topic: str, role: str, look_seconds: float, reporter: StateReporter | None = None
    ) -> None:
        """`role`: part of the client id. `look_seconds`: how often to look for new partitions.

        `reporter`: by default one that logs what it waits for.
        """
        self.settings = settings
        self.records = self.unread = 0
        self.reporter = reporter or StateReporter(settings, topic)
        self._topic = Topic(settings, topic, role, look_seconds, self.reporter)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @abstractmethod
    def take(self, messages: list[Message]) -> None:
        """Process records, none of which is an error; `LogReplacedError` ends the session, and `begin` is called again."""

    @abstractmethod
    def forget(self, partition: int) -> None:
        """Drop what was read of `partition`: its log was replaced or emptied."""

    def wants_second_reading(self) -> bool:
        """Return whether to read the topic from its beginning again; called repeatedly at the end of the topic."""
        return False

    def reach_end(self) -> None:  # noqa: B027 - most followers have nothing to note
        """Note that all of the topic was read; called repeatedly at its end."""

    def begin(self, consumer: Consumer, partition: int) -> int:
        """Return the offset at which to begin reading `partition`."""
        del consumer, partition
        return OFFSET_BEGINNING

    def cannot_read(self, message: Message, reason: Exception) -> None:
        """Count a record that can't be read."""
        self.reporter.note(f"partition {message.partition()}, offset {message.offset()}: {reason}")
        self.unread += 1

    def skip(self, partition: int, damage: Damage) -> None:
        """Count the records of batches that can't be read."""
        self.reporter.note(f"partition {partition}, offsets {damage.first} to {damage.end - 1}: {damage.words}")
        self.unread += damage.end - damage.first

    def start(self) -> Self:
        """Start reading, if it has not been started yet."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=f"adtally-{self._topic.role}", daemon=True)
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

    @property
    def refused(self) -> RefusedError | None:
        """Why the brokers refuse this client; None if one ever accepted it."""
        return self.reporter.refused

    def lags(self) -> dict[int, int]:
        """Return the number of records to be read of each partition, as of the last look at the topic."""
        return self._topic.positions.lags

    @property
    def status(self) -> Status:
        """The current state."""
        reporter = self.reporter
        return Status(
            reporter.state,
            self.settings.brokers,
            self._topic.name,
            self.records,
            self.unread,
            reporter.problem,
            reporter.since,
            sum(self.lags().values()),
        )

    def _run(self) -> None:
        """Read in one session after the other until `stop`, whatever ends them."""
        name = self._topic.name
        while not self._stop.is_set():
            try:
                FeedSession(self._topic, self, self._stop).run()
            except LogReplacedError:
                self._topic.positions.forget()
                log.info("topic %s was recreated or emptied; it is read again from its beginning", name)
            except (KafkaException, BrokerError) as error:
                self.reporter.fail(error if isinstance(error, BrokerError) else BrokerError(describe(error)))
                self._stop.wait(1.0)
            except Exception:  # the page must keep reporting that its feed is broken, and the next try may work
                log.exception("reading topic %s failed unexpectedly; retrying in 1 s", name)
                self.reporter.enter("down", f"reading topic {name} failed; see the log")
                self._stop.wait(1.0)
