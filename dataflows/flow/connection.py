"""The connection of a reader to its partition: a consumer of its own, from opening to closing. It knows neither intake nor position."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from dataflows.flow.context import FlowContext
from dataflows.flow.engines import Engine
from dataflows.kafka.bell import Bell
from dataflows.kafka.clients import PASSING, cached_lag, describe, make_consumer
from dataflows.kafka.diagnosis import is_forbidden, unreadable
from dataflows.kafka.fetch import Fetcher, FetchResult

log = logging.getLogger("adtally.reader")

CHUNK = 300
"""Messages that are fetched, decoded and folded at a time: few enough to stay in the cache."""

POLL = 20_000
"""Messages after which a poll ends, so that results and snapshots are not held up by a backlog."""


class Fetching(NamedTuple):
    """Settings of a reader's fetches: messages at a time and in a poll, and the factories of its consumer and its fetcher."""

    chunk: int = CHUNK
    poll: int = POLL
    make_consumer: Callable[..., Consumer] = make_consumer
    make_fetcher: Callable[..., Fetcher] = Engine.make_fetcher


class Connection:
    """The consumer of one partition of the logs; it is replaced when it can't be used any more."""

    def __init__(self, context: FlowContext, partition: int, bell: Bell | None, fetching: Fetching) -> None:
        """`bell`: rung when messages arrive (`rings`)."""
        self._settings = context.settings
        self._topology = context.topology
        self._engine = context.engine
        self._lifecycle = context.lifecycle
        self._topic = context.settings.logs_topic
        self._partition = partition
        self._bell = bell
        self._fetching = fetching
        self._fetcher: Fetcher | None = None
        self._commit_error: KafkaError | None = None
        self.is_open = False
        """Whether messages are fetched: the broker has returned where the partition begins and ends."""

    @property
    def rings(self) -> bool:
        """Whether the bell is rung when there is something to fetch; if not, only `fetch` shows it."""
        return self._fetcher is not None and self._fetcher.rings

    def open(self) -> tuple[int, int] | None:
        """Create the consumer and return the first offset and the end of the partition; None while the broker does not answer.

        Raises `BrokerError` for an error that does not pass by itself.
        """
        fetcher = self._make_fetcher()
        partition = TopicPartition(self._topic, self._partition)
        try:
            limits = fetcher.consumer.get_watermark_offsets(partition, timeout=2.0)
        except KafkaException as error:
            fetcher.consumer.close()
            if error.args[0].code() not in PASSING:
                raise unreadable(self._settings, self._topic, self._partition, error.args[0]) from None
            return None
        self._fetcher = fetcher
        return limits

    def begin(self, offset: int) -> None:
        """Fetch from `offset` on; once for each consumer."""
        if self._fetcher is not None:
            self._fetcher.begin(self._topic, self._partition, offset)
            self.is_open = True

    def restart(self, offset: int) -> None:
        """Fetch from `offset` on, with a new consumer."""
        self.close()
        self._fetcher = self._make_fetcher()
        self.begin(offset)

    def fetch(self) -> FetchResult:
        """Return what is there, without waiting; it is valid until the next call, or `release`."""
        return self._fetcher.fetch() if self._fetcher is not None else FetchResult([], [], False)

    def release(self) -> None:
        """Give back what was fetched; nothing more is fetched in this poll."""
        if self._fetcher is not None:
            self._fetcher.release()

    def lag(self, offset: int) -> int | None:
        """Return the consumer lag at `offset`, in offsets; None while it is unknown."""
        return cached_lag(self._fetcher.consumer, TopicPartition(self._topic, self._partition, offset)) if self._fetcher else None

    def commit(self, offset: int, metadata: str) -> None:
        """Commit `offset` and `metadata` to the consumer group, without waiting; `check_commits` raises what is refused for good."""
        if self._fetcher is None:
            return
        try:
            position = TopicPartition(self._topic, self._partition, offset, metadata=metadata)
            self._fetcher.consumer.commit(offsets=[position], asynchronous=True)
        except KafkaException as error:
            log.debug("the progress of partition %d was not committed: %s", self._partition, describe(error))

    def check_commits(self) -> None:
        """Raise `BrokerError` if the last commit was refused for lack of a right."""
        if self._commit_error is not None and is_forbidden(self._commit_error):
            raise unreadable(self._settings, self._topic, self._partition, self._commit_error)

    def close(self) -> None:
        """Close the consumer; where the broker does not answer it is abandoned, for closing it would wait for an answer."""
        if self._fetcher is not None:
            if self._topology.reachable():
                self._fetcher.close()
            else:
                self._lifecycle.hold(self._fetcher.abandon())  # freeing a consumer closes it
        self._fetcher = None
        self.is_open = False

    def _make_fetcher(self) -> Fetcher:
        settings, role, fetching = self._settings, f"reader-{self._partition}", self._fetching

        def committed(error: KafkaError | None, _places: Sequence[TopicPartition]) -> None:
            self._commit_error = error

        def make(own: dict[str, str]) -> Consumer:
            return fetching.make_consumer(settings, role, **{"on_commit": committed, **own})

        return fetching.make_fetcher(self._engine, make, fetching.chunk, self._bell)
