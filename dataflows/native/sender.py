"""Hands records to a confluent-kafka `Producer`'s librdkafka without an object and a call for each.

The producer stays who it is - configured, authorised, polled, flushed and closed as everywhere. Only what is sent goes past it, and so
does what becomes of that: its own callbacks would want an object for each record.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from ctypes import c_int32
from functools import lru_cache
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from dataflows.native.client import client_library, functions_of, handle_of, why_no_client
from dataflows.native.library import Header, library
from dataflows.records import Records

_CALLED_BY_C = (
    "produceva",
    "error_code",
    "error_destroy",
    "conf_interceptor_add_on_new",
    "interceptor_add_on_acknowledgement",
    "interceptor_add_on_destroy",
)
"""The functions of librdkafka in the order of `SendClient` in send.c."""

_BUFFER_FULL = -184
"""``RD_KAFKA_RESP_ERR__QUEUE_FULL``"""


PLUGINS = "plugin.library.paths"
"""librdkafka's property that names plug-ins, with a semicolon between two of them."""


@lru_cache(maxsize=1)
def why_no_sender() -> str | None:
    """Why `Sender` can't be used here, in words; None if it can, which a producer without brokers is made to find out."""
    if reason := why_no_client(_CALLED_BY_C):
        return reason
    config = sender_config()
    if ";" in config[PLUGINS]:
        return f"librdkafka loads no plug-in from {config[PLUGINS]}"
    try:
        _handle_of(Producer({**config, "log_level": 0}))
    except KafkaException as error:  # a librdkafka that was built without them, a system that loads none
        return f"librdkafka takes no plug-in: {error.args[0].str()}"
    except RuntimeError as error:
        return str(error)
    return None


def sender_config(others: str = "") -> dict[str, str]:
    """What the configuration of a producer must hold for `Sender`: librdkafka's own way to be asked what becomes of its records.

    `others`: plug-ins that it is to have as well, as in `PLUGINS`.
    """
    found: Any = library()[0]
    found.send_prepare(functions_of(client_library()[0], _CALLED_BY_C))
    return {PLUGINS: ";".join([*filter(None, others.split(";")), found._name])}


def _handle_of(producer: Producer) -> int:
    """What C knows of a producer that was made with `sender_config`; raises `RuntimeError` where it knows nothing."""
    found: Any = library()[0]
    handle = found.send_of(handle_of(client_library()[0], producer))
    if not handle:
        raise RuntimeError("the producer was made without the plug-in of this library")
    return handle


class Sender:
    """Sends records of one topic, and knows whether one was refused."""

    def __init__(self, producer: Producer, topic: str, headers: Sequence[tuple[str, bytes]]) -> None:
        """`producer`: made with `sender_config`; `headers`: of each record, at the most as many as `MOST_HEADERS` of send.c says.

        Raises `RuntimeError` where it can't be done (`why_no_sender`), or the producer was made otherwise.
        """
        if reason := why_no_sender():
            raise RuntimeError(reason)
        self._library: Any = library()[0]
        self._client = client_library()[0]
        self._handle = _handle_of(producer)
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
                self._topic = self._client.rd_kafka_topic_new(handle_of(self._client, self._producer), self._name.encode(), None)
            if self._topic is None:
                raise RuntimeError(f"librdkafka takes no topic {self._name}")
            return self._topic

    def send(self, records: Records, start: int, measured: int, extra: tuple[str, bytes] | None) -> int:
        """Send `records` from the byte `start` on, the one that begins at `measured` with one header more.

        Returns how far the producer's buffer took them, in bytes. Raises `KafkaException` for a record that can't be sent.
        """
        topic = self._topic or self._begin()
        more = [Header(extra[0].encode(), extra[1], len(extra[1]))] if extra else []
        headers = (Header * (len(self._headers) + len(more)))(*self._headers, *more)
        code = c_int32()
        sent = self._library.send_records(
            *(self._handle, topic, records.text, start, len(records.text)),
            *(headers, len(self._headers), measured if extra else -1, code),
        )
        if code.value not in {0, _BUFFER_FULL}:
            raise KafkaException(KafkaError(code.value))
        return sent

    def sent(self) -> int:
        """How many the producer's buffer took so far."""
        return self._library.send_sent(self._handle)

    def refused(self) -> int:
        """How many of them the broker did not take."""
        return self._library.send_refused(self._handle)

    def refusal(self) -> KafkaError | None:
        """Why it did not take the first of these."""
        code = self._library.send_code(self._handle)
        return KafkaError(code) if code else None
