"""Metrics of the generator (sent, acknowledged, failed, waiting) and whether it is alive and ready."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import get_args

from prometheus_client import CollectorRegistry

from dataflows.telemetry.families import READY, Metric, Value, make_registry
from dataflows.telemetry.server import Pulse, Served
from generator.batches import Mark

SENT = Metric("adtally_generator_sent_total", "counter", "Messages passed to the Kafka client since the start.")
ACKNOWLEDGED = Metric("adtally_generator_acknowledged_total", "counter", "Messages that the broker acknowledged since the start.")
FAILED = Metric("adtally_generator_failures_total", "counter", "Messages that the broker permanently refused since the start.")
QUEUE = Metric("adtally_generator_queue_messages", "gauge", "Messages that wait for the broker's acknowledgement.")
KINDS = Metric(
    "adtally_generator_messages_total",
    "counter",
    "Messages sent by injected fault: plain (none, or only disorder), duplicates, late, malformed.",
    ("kind",),
)

METRICS = (SENT, ACKNOWLEDGED, FAILED, QUEUE, KINDS, READY)


class SendingState:
    """The figures of one run; the sender writes them after each slice, on its own thread."""

    def __init__(self) -> None:
        self.pulse = Pulse()
        self.sent = self.acknowledged = self.failed = 0
        self.pending: Callable[[], int] = lambda: 0
        self.away: Callable[[], bool] = lambda: True
        self.marks = Counter[Mark]()

    def note(self, sent: int, acknowledged: int, failed: int, marks: Counter[Mark]) -> None:
        """Set the number of messages `sent`, `acknowledged` and `failed` so far, and the number with each mark."""
        self.pulse.beat()
        # A message is counted as sent a moment after the client has it: the shown figure never decreases.
        self.sent, self.acknowledged, self.failed = sent, max(self.acknowledged, acknowledged), failed
        self.marks = Counter(marks)

    def not_ready_reason(self) -> str:
        """Return why it is not ready; empty once it sends and the broker answers."""
        if not self.pulse.turned():
            return "it has not begun to send"
        return "the broker does not answer" if self.away() else ""

    def served(self) -> Served:
        """Return what the process serves over HTTP."""
        return Served(self.registry(), self.pulse.stall_reason, self.not_ready_reason)

    def registry(self) -> CollectorRegistry:
        """Return all metrics of the generator."""
        return make_registry("generator", METRICS, self._gather)

    def _gather(self) -> Iterable[Value]:
        marks = self.marks
        yield SENT, (), self.sent
        yield ACKNOWLEDGED, (), self.acknowledged
        yield FAILED, (), self.failed
        yield QUEUE, (), self.pending()
        yield KINDS, ("plain",), self.sent - marks.total()
        for mark in get_args(Mark):
            yield KINDS, (mark,), marks[mark]
        yield READY, (), float(not self.not_ready_reason())
