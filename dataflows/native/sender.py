"""Sender that passes records to the librdkafka of a confluent-kafka `Producer` without an object and a call for each.

The producer is configured, authorised, polled, flushed and closed as everywhere. Only the records and their acknowledgements bypass it:
its own callbacks would need an object for each record.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from ctypes import c_int32
from functools import lru_cache
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException, Producer

from dataflows.native.client import ClientHandle, client_library, functions_of, not_usable_reason
from dataflows.native.library import Header, library

_CALLED_BY_C = ("produceva", "error_code", "error_destroy")
"""The functions of librdkafka in the order of `SendApi` in send.c."""

_BUFFER_FULL = -184
"""``RD_KAFKA_RESP_ERR__QUEUE_FULL``"""


class PackedRecords(Protocol):
    """Records in one piece of bytes, each after the sizes of its key and its value."""

    @property
    def text(self) -> bytes:
        """The records."""
        ...


@lru_cache(maxsize=1)
def no_sender_reason() -> str | None:
    """Return why `NativeSender` can't be used here, in words; None if it can."""
    return not_usable_reason(_CALLED_BY_C)


class NativeSender:
    """Sender of records to one topic; it knows whether one was refused."""

    def __init__(self, producer: Producer, handle: ClientHandle, topic: str, headers: Sequence[tuple[str, bytes]]) -> None:
        """`handle`: that of `producer`; `headers`: of each record, no more than `MOST_HEADERS` of send.c.

        Raises `RuntimeError` if it can't be used (`no_sender_reason`).
        """
        if reason := no_sender_reason():
            raise RuntimeError(reason)
        self._library: Any = library()[0]
        self._client = client_library()[0]
        self._library.send_prepare(functions_of(self._client, _CALLED_BY_C))
        self._handle = handle
        self._headers = [Header(name.encode(), value, len(value)) for name, value in headers]
        self._producer = producer  # it lives as long as its topic is held
        self._name = topic
        self._topic: int | None = None
        self._lock = threading.Lock()

    def __del__(self) -> None:
        if getattr(self, "_topic", None):
            self._client.rd_kafka_topic_destroy(self._topic)

    def _begin(self) -> int:
        """Name the topic to librdkafka, which looks for it from then on: not before there is something to send."""
        with self._lock:
            if self._topic is None:
                self._topic = self._client.rd_kafka_topic_new(self._handle.value, self._name.encode(), None)
            if self._topic is None:
                raise RuntimeError(f"librdkafka takes no topic {self._name}")
            return self._topic

    def send(self, records: PackedRecords, start: int, measured: int, extra: tuple[str, bytes] | None) -> int:
        """Send `records` from the byte `start` on, the one that begins at `measured` with one header more.

        Returns how far the producer's buffer took them, in bytes. Raises `KafkaException` for a record that can't be sent.
        """
        topic = self._topic or self._begin()
        more = [Header(extra[0].encode(), extra[1], len(extra[1]))] if extra else []
        headers = (Header * (len(self._headers) + len(more)))(*self._headers, *more)
        code = c_int32()
        sent = self._library.send_records(
            *(self._handle.address, topic, records.text, start, len(records.text)),
            *(headers, len(self._headers), measured if extra else -1, code),
        )
        if code.value not in {0, _BUFFER_FULL}:
            raise KafkaException(KafkaError(code.value))
        return sent

    def sent(self) -> int:
        """Return how many records the producer's buffer took so far."""
        return self._handle.sent()

    def refused(self) -> int:
        """Return how many of them the broker refused."""
        return self._handle.refused()

    def refusal(self) -> KafkaError | None:
        """Return why the broker refused the first of these; None if there are none."""
        return self._handle.refusal()
