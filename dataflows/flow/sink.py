"""The sink of the flow: a record counts as written when the broker has acknowledged it, and a snapshot waits for that."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from confluent_kafka import KafkaError, Producer
from typing_extensions import override

from dataflows.contract.constants import SHARDS
from dataflows.contract.errors import DeliveryError
from dataflows.contract.schema import HEADERS
from dataflows.flow.context import FlowContext
from dataflows.flow.lifecycle import Lifecycle
from dataflows.flow.telemetry import Observed, Outgoing
from dataflows.kafka.clients import STOPPED, describe, make_producer, why_stopped
from dataflows.kafka.diagnosis import is_forbidden, lack
from dataflows.kafka.produce import PythonSender, RecordSender
from dataflows.telemetry.ages import EVENT_TIME
from dataflows.wire.records import Records

log = logging.getLogger("adtally.sink")

GIVE_UP_SECONDS = 10.0
"""Seconds that a stop waits for an unreachable broker; without a last snapshot the next run sends the same records again."""


HEAR_SECONDS = 0.1
"""Maximum time between two checks of the broker's acknowledgements."""


class Outbox:
    """One idempotent producer of a process, and the broker's delivery reports for its records. Shared by the sink's parts."""

    def __init__(
        self,
        producer: Producer,
        topic: str,
        stopping: Callable[[], bool],
        outgoing: Outgoing | None = None,
        sender: RecordSender | None = None,
        *,
        give_up_seconds: float = GIVE_UP_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`producer` need report failures only; `stopping`: whether the process was asked to stop; `sender`: its sender.

        `give_up_seconds`: seconds that a stop waits for an unreachable broker.
        """
        self._give_up_seconds = give_up_seconds
        self._monotonic = monotonic
        self.outgoing = outgoing or Observed(0).outgoing(topic)
        self._producer = producer
        self._sender: RecordSender = sender or PythonSender(producer, topic, HEADERS)
        self.outgoing.follow(pending=producer.__len__, failed=self._sender.refused)
        self._topic = topic
        self._stopping = stopping
        self._measured: deque[tuple[int, int]] = deque()
        self._lock = threading.Lock()
        self._failure: DeliveryError | None = None
        self._said = False
        self._stop_asked: float | None = None

    def send(self, records: Records) -> None:
        """Hand over `records`; waits while the buffer is full. Raises `DeliveryError` for any record that failed so far.

        Of the one whose event has waited longest it is measured how old that is when the broker has it, and where it is read.
        """
        measured, header = -1, None
        if records.waited is not None:
            measured, moment = records.waited
            header = EVENT_TIME, str(moment // 1000).encode()
        waited_since: float | None = None
        next_byte = 0
        while True:
            self._check()
            try:
                next_byte = self._sender.send(records, next_byte, measured, header)
            except STOPPED as error:
                raise self._no_more(why_stopped(error)) from None
            if next_byte == len(records.text):
                break
            waited_since = self._wait(waited_since, self._producer.poll)
        if records.waited is not None:
            with self._lock:  # with the last of these records: the others arrive at nearly the same time
                self._measured.append((self._sender.sent(), records.waited[1]))

    def check_reports(self) -> None:
        """Take in what the broker has said meanwhile, without waiting; what it refused is raised by the next `send` or `flush`."""
        try:
            self._producer.poll(0)
        except STOPPED as error:
            self._no_more(why_stopped(error))
        self._look()

    def _look(self) -> None:
        """Report the measured records that are acknowledged, which happens nearly in the order of sending: a topic has partitions."""
        with self._lock:
            arrived = self._sender.sent() - len(self._producer)
            while not self._sender.refused() and self._measured and self._measured[0][0] <= arrived:
                self.outgoing.arrived(self._measured.popleft()[1])

    def flush(self) -> None:
        """Wait until every record is acknowledged; raises `DeliveryError` if one is not."""
        waited_since: float | None = None
        while len(self._producer):
            self._check()
            waited_since = self._wait(waited_since, self._producer.flush)  # which sends buffered records at once
        self._check()
        self._look()
        if self._said:
            self._said = False
            log.warning("the broker has acknowledged all records of %s", self._topic)

    def _wait(self, since: float | None, wait: Callable[[float], int]) -> float:
        now = self._monotonic()
        self.outgoing.pulse.beat()
        since = now if since is None else since
        try:
            wait(0.1)
        except STOPPED as error:
            raise self._no_more(why_stopped(error)) from None
        if now - since > 3 and len(self._producer) and not self._said:
            self._said = True
            log.warning(
                "waiting for the broker to acknowledge %d records of %s; they are kept and sent again",
                len(self._producer),
                self._topic,
            )
        if self._stopping() and self._stop_asked is None:
            self._stop_asked = now
        if self._stop_asked is not None and now - self._stop_asked > self._give_up_seconds:
            raise DeliveryError(
                f"stopped before the broker acknowledged {len(self._producer)} records of {self._topic}; the next run sends them again."
            )
        return since

    def _check(self) -> None:
        refusal = self._sender.refusal()
        if refusal is not None:
            self._no_more(refusal)
        if self._failure is not None:
            raise self._failure

    def _no_more(self, error: KafkaError) -> DeliveryError:
        """Return the error to raise after a record was refused, or if the producer can't continue; the first reason is kept."""
        if self._failure is None:
            why = f"{describe(error)}: {lack('Write', f'topic {self._topic}')}" if is_forbidden(error) else describe(error)
            if error.code() in {KafkaError.INVALID_RECORD, KafkaError.INVALID_TIMESTAMP}:
                why += "; check this machine's clock, or set message.timestamp.type=LogAppendTime on the topic"
            self._failure = DeliveryError(
                f"the broker refused a record of {self._topic}: {why}. Fix that and start the flow again: nothing is lost."
            )
        return self._failure


def _attend(outbox: weakref.ref[Outbox]) -> None:
    """Process delivery reports as long as the outbox exists: when few records are sent, the next one may take long."""
    while (live_outbox := outbox()) is not None:
        live_outbox.check_reports()
        del live_outbox
        time.sleep(HEAR_SECONDS)


class OutboxPart(StatefulSinkPartition[Records, None]):
    """One part of the sink: stateless, except that its snapshot waits for the acknowledgements."""

    def __init__(self, *outboxes: Outbox, lifecycle: Lifecycle | None = None) -> None:
        """`outboxes`: that of each table."""
        self._outboxes = outboxes
        self._lifecycle = lifecycle or Lifecycle()
        self._sent = [outbox.outgoing.own_count() for outbox in outboxes]

    @override
    def write_batch(self, values: list[Records]) -> None:
        with self._lifecycle.one_line_errors():
            for records in values:
                self._outboxes[records.table].send(records)
                self._sent[records.table][0] += records.count
            for outbox in self._outboxes:
                outbox.check_reports()  # once for all of them: a check costs as much as sending a record

    @override
    def snapshot(self) -> None:
        with self._lifecycle.one_line_errors():
            for outbox in self._outboxes:
                begun = time.monotonic()
                outbox.flush()
                outbox.outgoing.note_wait(id(self), time.monotonic() - begun)

    @override
    def close(self) -> None:
        with self._lifecycle.one_line_errors():
            for outbox in self._outboxes:
                outbox.flush()


class TopicSink(FixedPartitionedSink[Records, None]):
    """Sink of one topic, or of one for each table of the records.

    Items are keyed by a number in text, which only spreads them over the workers.
    """

    def __init__(self, context: FlowContext, topics: Mapping[str, str]) -> None:
        """`topics`: the topic of each table, in their order, by its label in the metrics."""
        self._context = context
        self._topics = topics
        self._outboxes: list[Outbox] = []
        self._lock = threading.Lock()

    @override
    def list_parts(self) -> list[str]:
        return [f"{part:02}" for part in range(SHARDS)]

    @override
    def part_fn(self, item_key: str) -> int:
        return int(item_key)

    @override
    def build_part(self, step_id: str, for_part: str, resume_state: None) -> OutboxPart:
        with self._lock, self._context.lifecycle.one_line_errors():
            if not self._outboxes:
                self._outboxes = [self._make_outbox(label, topic) for label, topic in self._topics.items()]
        return OutboxPart(*self._outboxes, lifecycle=self._context.lifecycle)

    def _make_outbox(self, label: str, topic: str) -> Outbox:
        producer, sender = self._make_sender(topic)
        stopping = self._context.lifecycle.stopping.is_set
        outbox = Outbox(producer, topic, stopping, self._context.observed.outgoing(label), sender)
        threading.Thread(target=_attend, args=(weakref.ref(outbox),), name=f"outbox-{topic}", daemon=True).start()
        return outbox

    def _make_sender(self, topic: str) -> tuple[Producer, RecordSender]:
        settings = self._context.settings

        def make(own: dict[str, str]) -> Producer:
            # No time limit: the sink waits for an unreachable broker as long as necessary.
            # A Python callback for each delivered record would cost more than its JSON.
            return make_producer(settings, topic, **{"message.timeout.ms": 0, "delivery.report.only.error": True, **own})

        return self._context.engine.make_sender(make, topic, HEADERS)
