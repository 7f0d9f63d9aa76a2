"""The messages of one partition straight from librdkafka's own queue, without an object of Python's for each.

confluent-kafka makes a `Message` for each, which costs more than to read, judge and add up what is in it. Here its `Consumer` is
configured, authorised, assigned and closed as everywhere; only the queue of its one partition is taken away from it, which is
librdkafka's documented way to serve a partition by itself (``rd_kafka_queue_get_partition``, ``rd_kafka_queue_forward``). What is
not of the partition goes to the consumer, which must be polled for it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError

from dataflows.native.batch import FetchedBatch
from dataflows.native.client import ClientHandle, client_library, functions_of, not_usable_reason
from dataflows.native.library import library

_CALLED_BY_C = (
    "queue_poll",
    "event_message_next",
    "event_error",
    "event_error_string",
    "event_topic_partition",
    "topic_partition_destroy",
    "event_destroy",
    "message_timestamp",
)
"""The functions of librdkafka in the order of `FetchApi` in fetch.h."""


class QueueError(NamedTuple):
    """Error that librdkafka reports in place of a message, the offset that it names, and how many messages of the fetch precede it."""

    error: KafkaError
    offset: int
    place: int


class Wake(NamedTuple):
    """Wake-up of a sleeping thread: librdkafka writes `signal` to the file `descriptor` when a message arrives in an empty queue."""

    descriptor: int
    signal: bytes


@lru_cache(maxsize=1)
def no_queue_reason() -> str | None:
    """Return why `Queue` can't be used here, in words; None if it can."""
    return not_usable_reason(_CALLED_BY_C)


class Queue:
    """The queue of the one partition of a consumer, taken away from it before it is assigned. Close it before the consumer."""

    def __init__(  # noqa: PLR0917 - which queue of whom, then how much
        self, consumer: Consumer, handle: ClientHandle, topic: str, partition: int, most: int, wake: Wake | None = None
    ) -> None:
        """Fetch at most `most` messages at a time; `handle`: that of `consumer`.

        Raises `RuntimeError` if the queue can't be used (`no_queue_reason`), and `MemoryError`.
        """
        if reason := no_queue_reason():
            raise RuntimeError(reason)
        native: Any = library()[0]
        client, _ = client_library()
        self._library = native
        self._client = client
        self._queue = client.rd_kafka_queue_get_partition(handle.value, topic.encode(), partition)
        if not self._queue:
            raise RuntimeError(f"librdkafka has no queue for partition {partition} of {topic}")
        client.rd_kafka_queue_forward(self._queue, None)
        if wake is not None:
            client.rd_kafka_queue_io_event_enable(self._queue, wake.descriptor, wake.signal, len(wake.signal))
        self._fetch = native.fetch_new(functions_of(client, _CALLED_BY_C), self._queue, most)
        if not self._fetch:
            client.rd_kafka_queue_destroy(self._queue)
            raise MemoryError
        self._fetched: Any = self._fetch.contents
        # Freeing a consumer whose queue is still held would block forever, so the consumer lives as long as the queue.
        self._consumer: Consumer | None = consumer

    def __del__(self) -> None:
        if getattr(self, "_fetch", None):
            self.close()

    def fetch(self) -> tuple[FetchedBatch, list[QueueError]]:
        """Return what is there, without waiting: messages, and the errors between them. What was fetched before is gone.

        Raises `ValueError` once it is closed.
        """
        if self._fetch is None:
            raise ValueError("the queue is closed")
        self._library.fetch_more(self._fetch)
        fetched = self._fetched
        errors = [_error(fault) for fault in fetched.faults[: fetched.fault_count]] if fetched.fault_count else []
        return FetchedBatch(fetched, 0, fetched.count), errors

    def release(self) -> None:
        """Give back what was fetched, where nothing more will be for a while."""
        if self._fetch is not None:
            self._library.fetch_release(self._fetch)

    def close(self) -> None:
        """Release the queue: librdkafka waits, when its consumer is closed, for everything that is still held."""
        if self._fetch is not None:
            self._library.fetch_free(self._fetch)
            # librdkafka may keep the queue longer than this object, and the pipe's descriptor may be reused for another file.
            self._client.rd_kafka_queue_io_event_enable(self._queue, -1, None, 0)
            self._client.rd_kafka_queue_destroy(self._queue)
            self._fetch = self._consumer = None


def _error(fault: Any) -> QueueError:
    words = fault.words.decode(errors="replace") if fault.words else None
    return QueueError(KafkaError(fault.code, words), max(0, fault.offset), fault.place)
