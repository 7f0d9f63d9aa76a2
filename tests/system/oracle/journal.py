"""What a producer got acknowledged, by its delivery reports: the test's own producer, its journal, and the journal against the log."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from typing_extensions import override

from tests.system.oracle.topics import Record


@dataclass(frozen=True)
class Entry:
    """What was acknowledged: the key, and the SHA-256 of the payload (None: a message without value)."""

    key: bytes | None
    digest: str | None

    @classmethod
    def of(cls, key: bytes | None, payload: bytes | None) -> Entry:
        """The entry of a message with this key and payload."""
        return cls(key, None if payload is None else hashlib.sha256(payload).hexdigest())


@dataclass
class Journal:
    """The acknowledged messages of one topic by (partition, offset), and errors: refusals, and offsets acknowledged twice."""

    entries: dict[tuple[int, int], Entry] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    twice: list[tuple[int, int]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.entries)

    def note(self, entry: Entry, error: KafkaError | None, message: Message) -> None:
        """Write down a delivery report."""
        if error is not None:
            self.refused.append(error.str())
            return
        place = message.partition() or 0, message.offset() or 0
        if place in self.entries:
            self.twice.append(place)
        self.entries[place] = entry


def journal_differences(journal: Journal, logs: Sequence[Record]) -> list[str]:
    """A line for each acknowledged message that is not on the log as it was sent, and for each on the log that was not acknowledged."""
    found = {(message.partition, message.offset): Entry.of(key, message.payload) for key, message in logs}
    wrong = [f"journal: refused: {why}" for why in sorted(set(journal.refused))]
    wrong += [f"journal: partition {place[0]} offset {place[1]} was acknowledged for two messages" for place in journal.twice]
    for place in sorted(set(found) | set(journal.entries)):
        if found.get(place) == journal.entries.get(place):
            continue
        what = (
            "was not acknowledged" if place not in journal.entries else "is gone" if place not in found else "has other content"
        )
        wrong.append(f"journal: the message at partition {place[0]} offset {place[1]} {what}")
    return wrong


class Traffic(threading.Thread):
    """Sends payloads to `topic` at `rate` a second on a thread of its own, until all are acknowledged or `stop` is called.

    Idempotent, and as patient as it takes: a broker that is away is waited for, a full buffer too. A payload's key is its `event_id`.
    """

    def __init__(self, brokers: str, topic: str, payloads: Iterable[bytes | None], rate: float, partition: int = -1) -> None:
        """`partition`: send all to this one; by default the key decides."""
        super().__init__(name="traffic", daemon=True)
        self.journal = Journal()
        self._topic = topic
        self._payloads = payloads
        self._rate = rate
        self._partition = partition
        self._stop_asked = threading.Event()
        config: dict[str, Any] = {
            "bootstrap.servers": brokers,
            "enable.idempotence": True,
            "message.timeout.ms": 0,
            "linger.ms": 5,
        }
        config |= {"partitioner": "murmur2_random", "reconnect.backoff.max.ms": 1000, "log_level": 0}
        # A partition that is added is to get its share while a test still runs.
        config |= {"topic.metadata.refresh.interval.ms": 2000}
        self._producer = Producer(config)

    @override
    def run(self) -> None:
        begun = time.monotonic()
        for number, payload in enumerate(self._payloads):
            while (early := begun + number / self._rate - time.monotonic()) > 0 and not self._stop_asked.is_set():
                self._producer.poll(early)
            self._send(payload)
            if self._stop_asked.is_set():
                break
        while self._producer.flush(0.2) and not self._stop_asked.is_set():
            pass

    def _send(self, payload: bytes | None) -> None:
        key = event_id(payload)
        noted = partial(self.journal.note, Entry.of(key, payload))
        while not self._stop_asked.is_set():
            try:
                self._producer.produce(self._topic, payload, key, self._partition, on_delivery=noted)
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as error:
                self.journal.refused.append(str(error))
                return
            else:
                self._producer.poll(0)
                return

    def stop(self) -> None:
        """End soon, whatever is not acknowledged yet; the journal does not hold it."""
        self._stop_asked.set()
        self.join()


def send_all(brokers: str, topic: str, payloads: Iterable[bytes | None], partition: int = -1) -> Journal:
    """Send `payloads` as fast as it goes; the journal, when all of them are acknowledged."""
    traffic = Traffic(brokers, topic, payloads, rate=1e9, partition=partition)
    traffic.start()
    traffic.join()
    return traffic.journal


def event_id(payload: bytes | None) -> bytes | None:
    """The Kafka key of a payload: its `event_id`, None where it has none that could be one."""
    try:
        value = json.loads(payload or b"null")
        found = value.get("event_id") if isinstance(value, dict) else None
        return found.encode() if isinstance(found, str) else None
    except (ValueError, RecursionError):
        return None
