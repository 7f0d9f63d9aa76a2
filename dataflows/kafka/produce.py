"""Senders that put records into a producer's buffer: here with one call of `Producer.produce` each; `dataflows.native.sender` has none."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import dropwhile
from typing import Protocol

from confluent_kafka import KafkaError, Message, Producer

from dataflows.wire.records import Records

Header = tuple[str, bytes]


class RecordSender(Protocol):
    """Sender of records to one topic, from several threads; it knows which of them the broker refused."""

    def send(self, records: Records, start: int, measured: int, extra: Header | None) -> int:
        """Send `records` from the byte `start` on, the one that begins at `measured` with a header more.

        Returns up to which byte the producer's buffer took them. Raises `KafkaException` for a record that can't be sent.
        """
        ...

    def sent(self) -> int:
        """Return the number of records taken so far."""
        ...

    def refused(self) -> int:
        """Return how many of them the broker did not take."""
        ...

    def refusal(self) -> KafkaError | None:
        """Return why it did not take the first of these."""
        ...


class PythonSender(RecordSender):
    """Sender that calls `Producer.produce` for one record at a time."""

    def __init__(self, producer: Producer, topic: str, headers: Sequence[Header]) -> None:
        """`producer` need tell of failures alone; `headers`: of each record."""
        self._producer = producer
        self._topic = topic
        self._headers = list(headers)
        self._sent = self._refused = 0
        self._refusal: KafkaError | None = None
        self._lock = threading.Lock()

    def send(self, records: Records, start: int, measured: int, extra: Header | None) -> int:
        """See `RecordSender`."""
        for record in dropwhile(lambda record: record < start, records.starts()):
            key, value = records.pair(record)
            headers = [*self._headers, extra] if extra and record == measured else self._headers
            try:
                self._producer.produce(self._topic, key=key, value=value, headers=[*headers], on_delivery=self._heard)
            except BufferError:
                return record
            with self._lock:
                self._sent += 1
        return len(records.text)

    def _heard(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._refused += 1
            self._refusal = self._refusal or error

    def sent(self) -> int:
        """See `RecordSender`."""
        return self._sent

    def refused(self) -> int:
        """See `RecordSender`."""
        return self._refused

    def refusal(self) -> KafkaError | None:
        """See `RecordSender`."""
        return self._refusal
