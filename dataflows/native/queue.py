"""The messages of one partition straight from librdkafka's own queue, without an object of Python's for each.

confluent-kafka makes a `Message` for each, which costs more than to read, judge and add up what is in it. Here its `Consumer` stays
who it is - configured, authorised, assigned and closed as everywhere - and only the queue of its one partition is taken away from it,
which is librdkafka's documented way to serve a partition by itself (``rd_kafka_queue_get_partition``, ``rd_kafka_queue_forward``). What is
not of the partition stays with the consumer, which must be polled for it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from confluent_kafka import Consumer, KafkaError

from dataflows.damage import Fault
from dataflows.native.batch import Batch
from dataflows.native.client import client_library, functions_of, handle_of, why_no_client
from dataflows.native.library import library
from dataflows.rest import Bell

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
"""The functions of librdkafka in the order of `Client` in fetch.h."""


@lru_cache(maxsize=1)
def why_no_queue() -> str | None:
    """Why `Queue` can't be used here, in words; None if it can, for which a consumer without brokers is looked at."""
    if reason := why_no_client(_CALLED_BY_C):
        return reason
    try:
        handle_of(client_library()[0], Consumer({"group.id": "adtally", "log_level": 0}))
    except RuntimeError as error:
        return str(error)
    return None


class Queue:
    """The queue of the one partition of a consumer, taken away from it before it is assigned. Close it before the consumer."""

    def __init__(self, consumer: Consumer, topic: str, partition: int, most: int, bell: Bell | None = None) -> None:
        """Fetch at most `most` messages at a time; `bell` is rung for `partition` when the empty queue gets a message.

        Raises `RuntimeError` if the queue can't be used (`why_no_queue`), and `MemoryError`.
        """
        if reason := why_no_queue():
            raise RuntimeError(reason)
        found: Any = library()[0]
        client, _ = client_library()
        self._library = found
        self._client = client
        self._queue = client.rd_kafka_queue_get_partition(handle_of(client, consumer), topic.encode(), partition)
        if not self._queue:
            raise RuntimeError(f"librdkafka has no queue for partition {partition} of {topic}")
        client.rd_kafka_queue_forward(self._queue, None)
        self._bell = bell
        if bell is not None:
            text = bell.encode(partition)
            client.rd_kafka_queue_io_event_enable(self._queue, bell.descriptor, text, len(text))
        self._fetch = found.fetch_new(functions_of(client, _CALLED_BY_C), self._queue, most)
        if not self._fetch:
            client.rd_kafka_queue_destroy(self._queue)
            raise MemoryError
        self._fetched: Any = self._fetch.contents
        # Who frees a consumer whose queue is held waits for ever. So it lives as long as the queue, whoever else lets go of it.
        self._consumer: Consumer | None = consumer

    def __del__(self) -> None:
        if getattr(self, "_fetch", None):
            self.close()

    def fetch(self) -> tuple[Batch, list[Fault]]:
        """What is there, without waiting: messages, and what stands between them. What was fetched before is gone.

        Raises `ValueError` once it is closed.
        """
        if self._fetch is None:
            raise ValueError("the queue is closed")
        self._library.fetch_more(self._fetch)
        fetched = self._fetched
        faults = [_fault(one) for one in fetched.faults[: fetched.fault_count]] if fetched.fault_count else []
        return Batch(fetched, 0, fetched.count), faults

    def release(self) -> None:
        """Give back what was fetched, where nothing more will be for a while."""
        if self._fetch is not None:
            self._library.fetch_release(self._fetch)

    def close(self) -> None:
        """Let go of the queue: librdkafka waits, when its consumer is closed, for whatever is still held."""
        if self._fetch is not None:
            self._library.fetch_free(self._fetch)
            # librdkafka may keep the queue longer than this object, and the pipe's descriptor may be reused for another file.
            self._client.rd_kafka_queue_io_event_enable(self._queue, -1, None, 0)
            self._client.rd_kafka_queue_destroy(self._queue)
            self._fetch = self._consumer = None


def _fault(one: Any) -> Fault:
    words = one.words.decode(errors="replace") if one.words else None
    return Fault(KafkaError(one.code, words), max(0, one.offset), one.place)
