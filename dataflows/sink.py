"""The sink of the flow: a record counts as written when the broker has acknowledged it, and a snapshot waits for that."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from confluent_kafka import KafkaError, Message, Producer
from typing_extensions import override

from dataflows.errors import DeliveryError
from dataflows.kafka import STOPPED, describe, make_producer, why_stopped
from dataflows.refusal import is_forbidden, lack
from dataflows.runtime import one_line_errors, stopping
from dataflows.schema import HEADERS
from dataflows.settings import Settings
from dataflows.telemetry.ages import EVENT_TIME
from dataflows.telemetry.flow import Observed, Outgoing
from dataflows.windows import SHARDS

log = logging.getLogger("adtally.sink")

Record = tuple[bytes, bytes] | tuple[bytes, bytes, int]
"""The key and the value of a Kafka record; of one that is measured also the time of an event in it (microseconds since 1970)."""

GIVE_UP_SECONDS = 10.0
"""How long a stop waits for a broker that is away; without a last snapshot the next run sends the same again."""


HEAR_SECONDS = 0.1
"""How often it is heard what the broker has acknowledged, at least."""


class Outbox:
    """One idempotent producer of a process, and what the broker said of the records it was given. Shared by the sink's parts."""

    def __init__(self, producer: Producer, topic: str, stopping: Callable[[], bool], outgoing: Outgoing | None = None) -> None:
        """`producer` need tell of failures alone; `stopping`: whether the process was asked to stop."""
        self.outgoing = outgoing or Observed(0).outgoing(topic)
        self.outgoing.pending = producer.__len__
        self._producer = producer
        self._topic = topic
        self._stopping = stopping
        self._failure: DeliveryError | None = None
        self._given = 0
        self._measured: deque[tuple[int, int]] = deque()
        self._lock = threading.Lock()
        self._said = False
        self._stop_asked: float | None = None

    def send(self, records: Iterable[Record]) -> None:
        """Hand over `records`; waits while the buffer is full. Raises `DeliveryError` for any record that failed so far."""
        waited_since: float | None = None
        for record in records:
            while True:
                self._check()
                try:
                    self._produce(record[0], record[1], record[2] if len(record) == 3 else None)
                    break
                except BufferError:
                    waited_since = self._wait(waited_since, self._producer.poll)

    def _produce(self, key: bytes, value: bytes, moment: int | None = None) -> None:
        """`moment`: of a record of which it is measured how old an event in it is when the broker has it, and where it is read."""
        headers = HEADERS if moment is None else [*HEADERS, (EVENT_TIME, str(moment // 1000).encode())]
        try:
            self._producer.produce(self._topic, key=key, value=value, headers=headers, on_delivery=self._refused)
        except STOPPED as error:
            raise self._no_more(why_stopped(error)) from None
        with self._lock:
            self._given += 1
            if moment is not None:
                self._measured.append((self._given, moment))

    def hear(self) -> None:
        """Take in what the broker has said meanwhile, without waiting; what it refused is raised by the next `send` or `flush`."""
        try:
            self._producer.poll(0)
        except STOPPED as error:
            self._no_more(why_stopped(error))
        self._look()

    def _look(self) -> None:
        """Which of those that are measured have arrived: they leave in the order in which they came, nearly, for there are partitions."""
        with self._lock:
            arrived = self._given - len(self._producer)
            while self._failure is None and self._measured and self._measured[0][0] <= arrived:
                self.outgoing.arrived(self._measured.popleft()[1])

    def flush(self) -> None:
        """Wait until every record is acknowledged; raises `DeliveryError` if one is not."""
        waited_since: float | None = None
        while len(self._producer):
            self._check()
            waited_since = self._wait(waited_since, self._producer.flush)  # which sends at once what still gathers
        self._check()
        self._look()
        if self._said:
            self._said = False
            log.warning("the broker has taken all records of %s", self._topic)

    def _wait(self, since: float | None, wait: Callable[[float], int]) -> float:
        now = time.monotonic()
        self.outgoing.pulse.beat()
        since = now if since is None else since
        try:
            wait(0.1)
        except STOPPED as error:
            raise self._no_more(why_stopped(error)) from None
        if now - since > 3 and len(self._producer) and not self._said:
            self._said = True
            log.warning("waiting for the broker to take %d records of %s", len(self._producer), self._topic)
        if self._stopping() and self._stop_asked is None:
            self._stop_asked = now
        if self._stop_asked is not None and now - self._stop_asked > GIVE_UP_SECONDS:
            raise DeliveryError(
                f"stopped while the broker did not take {len(self._producer)} records of {self._topic}; the next run sends them again."
            )
        return since

    def _refused(self, error: KafkaError | None, _message: Message) -> None:
        if error is None:
            return
        self.outgoing.failed += 1
        self._no_more(error)

    def _no_more(self, error: KafkaError) -> DeliveryError:
        """What to raise after a record was refused, or where the producer can't go on at all; the first reason stays."""
        if self._failure is None:
            why = f"{describe(error)}: {lack('Write', f'topic {self._topic}')}" if is_forbidden(error) else describe(error)
            if error.code() in {KafkaError.INVALID_RECORD, KafkaError.INVALID_TIMESTAMP}:
                why += (
                    "; is this machine's clock right? With message.timestamp.type=LogAppendTime on the topic it would not matter"
                )
            self._failure = DeliveryError(
                f"the broker refused a record of {self._topic}: {why}. Mend that and start again: nothing is lost."
            )
        return self._failure

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure


def _attend(outbox: weakref.ref[Outbox]) -> None:
    """Hear what the broker says as long as there is an outbox: where little is sent, the next record may be long in coming."""
    while (found := outbox()) is not None:
        found.hear()
        del found
        time.sleep(HEAR_SECONDS)


class OutboxPart(StatefulSinkPartition[list[Record], None]):
    """One part of the sink: it is stateless but for the promise that its snapshot comes after the acknowledgements."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._sent = outbox.outgoing.own_count()

    @override
    def write_batch(self, values: list[list[Record]]) -> None:
        with one_line_errors():
            for records in values:
                self._outbox.send(records)
                self._sent[0] += len(records)
            self._outbox.hear()  # once for all of them: it costs as much as to send one

    @override
    def snapshot(self) -> None:
        with one_line_errors():
            begun = time.monotonic()
            self._outbox.flush()
            self._outbox.outgoing.waits[id(self)] = time.monotonic() - begun

    @override
    def close(self) -> None:
        with one_line_errors():
            self._outbox.flush()


class TopicSink(FixedPartitionedSink[list[Record], None]):
    """Writes lists of records to one topic; items are keyed by a number in text, which only spreads them over the workers."""

    def __init__(self, settings: Settings, topic: str, outgoing: Outgoing | None = None) -> None:
        self._settings = settings
        self._topic = topic
        self._outgoing = outgoing
        self._outbox: Outbox | None = None
        self._lock = threading.Lock()

    @override
    def list_parts(self) -> list[str]:
        return [f"{part:02}" for part in range(SHARDS)]

    @override
    def part_fn(self, item_key: str) -> int:
        return int(item_key)

    @override
    def build_part(self, step_id: str, for_part: str, resume_state: None) -> OutboxPart:
        with self._lock, one_line_errors():
            if self._outbox is None:
                # No time limit: a broker that is away is waited for, as long as it takes.
                # And a call of Python for each record that went well costs more than its JSON.
                producer = make_producer(
                    self._settings, self._topic, **{"message.timeout.ms": 0, "delivery.report.only.error": True}
                )
                self._outbox = Outbox(producer, self._topic, stopping.is_set, self._outgoing)
                attend = threading.Thread(
                    target=_attend, args=(weakref.ref(self._outbox),), name=f"outbox-{self._topic}", daemon=True
                )
                attend.start()
        return OutboxPart(self._outbox)
