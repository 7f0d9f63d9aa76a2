"""Fetchers of the messages of one assigned partition: as objects of confluent-kafka, or as they lie in librdkafka's memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from confluent_kafka import Consumer, TopicPartition
from typing_extensions import override

from dataflows.kafka.bell import Bell
from dataflows.kafka.clients import CLOSE_SECONDS, close_within
from dataflows.kafka.corruption import Fault
from dataflows.kafka.record import Record
from dataflows.native.client import ClientHandle
from dataflows.native.queue import Queue, Wake


class FetchResult(NamedTuple):
    """Result of one fetch: messages in their order, the errors between them, and whether there may be more at once."""

    records: Sequence[Record]
    faults: list[Fault]
    more: bool


class Fetcher(ABC):
    """Fetcher of the messages of one partition, from its first offset on; it owns its consumer, and closes it."""

    rings = False
    """Whether librdkafka rings the bell when messages arrive."""

    def __init__(self, consumer: Consumer, most: int) -> None:
        """`most`: messages in a fetch."""
        self.consumer = consumer
        self._most = most

    def begin(self, topic: str, partition: int, offset: int) -> None:
        """Have the partition fetched from `offset` on; once."""
        self.consumer.assign([TopicPartition(topic, partition, offset)])

    @abstractmethod
    def fetch(self) -> FetchResult:
        """Return the messages that are available now, without waiting. They stay valid until the next call, or `release`."""

    @abstractmethod
    def release(self) -> None:
        """Release the messages: this poll fetches no more."""

    def abandon(self) -> Consumer:
        """Release what is held without closing; return the consumer, which must be kept until the process ends."""
        return self.consumer

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Close the consumer; if the broker does not answer within `seconds`, without its knowledge."""
        close_within(self.abandon().close, seconds)


class PythonFetcher(Fetcher):
    """Fetcher that uses confluent-kafka alone."""

    @override
    def fetch(self) -> FetchResult:
        records: list[Record] = []
        faults: list[Fault] = []
        messages = self.consumer.consume(self._most, 0)
        for message in messages:
            error = message.error()
            if error is None:
                records.append(message)
            else:
                faults.append(Fault(error, message.offset() or 0, len(records)))
        return FetchResult(records, faults, len(messages) == self._most)

    @override
    def release(self) -> None:
        pass  # its messages are Python's


class NativeFetcher(PythonFetcher):
    """Fetcher that makes no object for each message."""

    def __init__(self, consumer: Consumer, handle: ClientHandle, most: int, bell: Bell | None = None) -> None:
        """`handle`: that of `consumer`; `most`: messages in a fetch; `bell`: rung when the empty queue gets a message."""
        super().__init__(consumer, most)
        self._handle = handle
        self._bell = bell
        self._queue: Queue | None = None

    @override
    def begin(self, topic: str, partition: int, offset: int) -> None:
        # Before it is assigned, so that no message of it gets into the consumer's own queue.
        wake = Wake(self._bell.descriptor, self._bell.encode(partition)) if self._bell else None
        self._queue = Queue(self.consumer, self._handle, topic, partition, self._most, wake)
        self.rings = self._bell is not None
        super().begin(topic, partition, offset)

    @override
    def fetch(self) -> FetchResult:
        # The consumer's own queue has what is not of the partition: errors of the connection, and librdkafka's calls of ours.
        aside = super().fetch()
        if aside.records or aside.faults or self._queue is None:
            return aside
        batch, errors = self._queue.fetch()
        return FetchResult(batch, [Fault(*error) for error in errors], len(batch) + len(errors) == self._most)

    @override
    def release(self) -> None:
        if self._queue is not None:
            self._queue.release()

    @override
    def abandon(self) -> Consumer:
        if self._queue is not None:
            self._queue.close()
        return super().abandon()
