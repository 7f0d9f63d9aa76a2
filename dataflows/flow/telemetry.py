"""What the dataflow tells of itself. Its parts write here what they know, a few times a second; an answer adds nothing to their work.

Two kinds of figures: those **of the log** stand in the snapshot with the offset that they belong to, so after a restart they go on
where the snapshot left them and arrive at the same values, whatever was read twice. Those **of the process** begin at 0 with it; they are
what rates are made of.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import get_args

import msgspec
from prometheus_client import CollectorRegistry, Histogram

from dataflows.contract.schema import Reason
from dataflows.intake.partition import Counters
from dataflows.intake.rules import SECOND
from dataflows.telemetry.ages import catching_up
from dataflows.telemetry.families import BUCKETS, READY, Metric, Value, make_registry
from dataflows.telemetry.server import Pulse, Served
from dataflows.windows.panes import Figures

LOOK_SECONDS = 0.25
"""How often a part of the flow writes down what it knows, at most."""

OUTCOMES = ("counted", "duplicate", "late", "malformed")
REASONS: tuple[str, ...] = get_args(Reason)

_PROCESS = "Counter of the process: it starts at 0."
_LOG = "Value of the log: after a restart with the recovery folder it converges to the same value."
_READ = "Messages that were read from the logs topic."
_BECAME = "Messages by outcome: counted, duplicate, late, malformed (includes too_far_ahead and oversize)."
_REJECTED = "Rejected messages by reason: late, malformed, too_far_ahead, oversize."

READ = Metric("adtally_read_total", "counter", f"{_READ} {_PROCESS}", ("partition",))
EVENTS = Metric(
    "adtally_events_total",
    "counter",
    f"{_BECAME} {_PROCESS}",
    ("partition", "outcome"),
)
REJECTED = Metric(
    "adtally_rejected_total",
    "counter",
    f"{_REJECTED} {_PROCESS}",
    ("partition", "reason"),
)
LOG_READ = Metric("adtally_log_read", "gauge", f"{_READ} {_LOG}", ("partition",))
LOG_EVENTS = Metric(
    "adtally_log_events",
    "gauge",
    f"{_BECAME} {_LOG}",
    ("partition", "outcome"),
)
LOG_REJECTED = Metric(
    "adtally_log_rejected",
    "gauge",
    f"{_REJECTED} {_LOG}",
    ("partition", "reason"),
)
CONSERVATION = Metric(
    "adtally_conservation_difference",
    "gauge",
    f"Read minus counted, duplicate, late and malformed. Any value but 0 is a defect of adtally. {_LOG}",
    ("partition",),
)
OFFSET = Metric("adtally_offset", "gauge", f"Offset of the next message to be counted. {_LOG}", ("partition",))
LAG = Metric(
    "adtally_consumer_lag_messages",
    "gauge",
    "Messages that wait to be counted, including those behind an open transaction, excluding transaction markers and aborted messages.",
    ("partition",),
)
CLOCK = Metric(
    "adtally_partition_clock_timestamp_seconds",
    "gauge",
    f"Highest event time that was read, in seconds since 1970. {_LOG}",
    ("partition",),
)
WATERMARK = Metric(
    "adtally_watermark_timestamp_seconds",
    "gauge",
    "Event time, in seconds since 1970, up to which windows are final: the lowest watermark of the shards of this process.",
)
WATERMARK_LAG = Metric(
    "adtally_watermark_lag_seconds",
    "gauge",
    "Time between the watermark and the machine's clock. It increases while no events arrive.",
)
OPEN_WINDOWS = Metric("adtally_open_windows", "gauge", "Windows that are not final yet.")
WINDOWS = Metric(
    "adtally_windows", "gauge", "Windows in memory: those that are not final, and those that can still be corrected."
)
OPEN_CELLS = Metric(
    "adtally_open_cells", "gauge", "Cells (window, campaign and channel) in windows that are not final yet, in this process."
)
CELLS = Metric("adtally_cells", "gauge", "Cells (window, campaign and channel) in all windows in memory, in this process.")
PARTITIONS = Metric("adtally_partitions", "gauge", "Known partitions of the logs topic.")
PARTITIONS_READ = Metric("adtally_partitions_read", "gauge", "Partitions of the logs topic that this process reads.")
BROKER_UP = Metric("adtally_broker_up", "gauge", "Whether the broker answered within the last 5 s: 1 or 0.")
ACKNOWLEDGED = Metric(
    "adtally_records_acknowledged_total",
    "counter",
    f"Records that the broker acknowledged, by topic: results, rejected. {_PROCESS}",
    ("topic",),
)
FAILED = Metric(
    "adtally_delivery_failures_total",
    "counter",
    f"Records that the broker permanently refused. The first one ends the process, because otherwise it would be lost. {_PROCESS}",
    ("topic",),
)
PENDING = Metric("adtally_records_pending", "gauge", "Records that wait for the broker's acknowledgement.", ("topic",))
SNAPSHOT = Metric(
    "adtally_last_snapshot_timestamp_seconds",
    "gauge",
    "Time of the last snapshot, in seconds since 1970. No value without a recovery folder.",
)
SNAPSHOT_WAIT = Metric(
    "adtally_snapshot_wait_seconds",
    "gauge",
    "Time that the last snapshot waited for acknowledgements, summed over the parts of the sinks.",
)
STORE = Metric("adtally_recovery_store_bytes", "gauge", "Size of the files in the recovery folder.")
INTAKE = Metric(
    "adtally_intake_info", "gauge", "Always 1; the label is the engine of the intake: native (C) or python.", ("kind",)
)
CATCHING_UP = Metric(
    "adtally_catching_up_results_total",
    "counter",
    "Acknowledged results of old windows, which are not a measure of latency because adtally catches up after an outage or a log is "
    f"replayed. They are excluded from adtally_event_to_result_seconds. {_PROCESS}",
)
AGE = "adtally_event_to_result_seconds"
AGE_HELP = (
    "Age of an event when the broker acknowledges the result that contains it; for each batch of a shard, the result that "
    f"has waited longest. The newest event time of the partition is used as the event time. {_PROCESS}"
)

METRICS = (
    *(READ, EVENTS, REJECTED, LOG_READ, LOG_EVENTS, LOG_REJECTED, CONSERVATION, OFFSET, LAG, CLOCK, WATERMARK, WATERMARK_LAG),
    *(OPEN_WINDOWS, WINDOWS, OPEN_CELLS, CELLS, PARTITIONS, PARTITIONS_READ, BROKER_UP, READY, ACKNOWLEDGED, FAILED, PENDING),
    *(SNAPSHOT, SNAPSHOT_WAIT, STORE, INTAKE, CATCHING_UP),
)


class Place(msgspec.Struct, frozen=True):
    """How far one partition is; `counters` are a copy, `clock` is in microseconds since 1970, None before the first event."""

    counters: Counters
    offset: int | None
    lag: int | None
    clock: int | None
    is_open: bool


class Outgoing:
    """What became of the records of one topic. `sent` is counted by each part for itself, for parts run on several threads."""

    def __init__(self, window_seconds: float, age: Histogram, pulse: Pulse, now: Callable[[], float]) -> None:
        self._window = window_seconds
        self._age = age
        self._now = now
        self.pulse = pulse
        self.sent: list[list[int]] = []
        self.waits: dict[int, float] = {}
        self.catching_up = 0
        self.failed: Callable[[], int] = lambda: 0
        self.pending: Callable[[], int] = lambda: 0
        self._acknowledged = 0
        self._lock = threading.Lock()

    def follow(self, *, pending: Callable[[], int], failed: Callable[[], int]) -> None:
        """Take the numbers of records that wait for the broker, and that it refused, from the producer; once it is there."""
        self.pending, self.failed = pending, failed

    def note_wait(self, part: int, seconds: float) -> None:
        """Note how long the last snapshot of a part of the sink waited for the broker."""
        self.waits[part] = seconds

    def own_count(self) -> list[int]:
        """A count of one, for one part to add to what it has sent."""
        count = [0]
        self.sent.append(count)
        return count

    def acknowledged(self) -> int:
        """Records that the broker has acknowledged; it never goes back, though the three figures are not of one moment."""
        with self._lock:
            known = sum(count[0] for count in self.sent) - self.failed() - self.pending()
            self._acknowledged = max(self._acknowledged, known)
            return self._acknowledged

    def arrived(self, moment: int) -> None:
        """The result of an event of `moment` (microseconds since 1970) was acknowledged."""
        age = self._now() - moment / SECOND
        if catching_up(age, self._window):
            self.catching_up += 1
        elif age >= 0:  # else the clocks of its sender and of this machine disagree, and nothing is known
            self._age.observe(age)


class Observed:
    """What the parts of the flow in this process have written down, and what is told of it."""

    def __init__(
        self,
        window_seconds: float,
        *,
        stopping: Callable[[], bool] = lambda: False,
        reachable: Callable[[], bool] = lambda: False,
        partitions: Callable[[], int] = lambda: 0,
        recovery: Path | None = None,
        intake: str = "",
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`stopping`, `reachable`, `partitions`: whether the process must stop, whether the broker answers, how many partitions there are.

        `recovery`: the recovery folder; `intake`: ``native`` or ``python``. `now` and `monotonic`: seconds; `now` since 1970.
        """
        self.pulse = Pulse(monotonic)
        self._recovery = recovery
        self._intake = intake
        self._shards: list[Callable[[], Figures]] = []
        self._slots: set[int] = set()
        self._assigned: set[int] = set()
        self._stopping = stopping
        self._reachable = reachable
        self._partitions = partitions
        self._now = now
        self._window = window_seconds
        self._places: dict[int, Place] = {}
        self._begun: dict[int, Counters] = {}
        self._age = Histogram(AGE, AGE_HELP, buckets=BUCKETS, registry=None)
        self._outgoing: dict[str, Outgoing] = {}

    def outgoing(self, topic: str) -> Outgoing:
        """Where the sink of a topic, ``results`` or ``rejected``, writes."""
        return self._outgoing.setdefault(topic, Outgoing(self._window, self._age, self.pulse, self._now))

    def add_shard(self, figures: Callable[[], Figures]) -> None:
        """Take in a shard of this process; `figures` returns what it holds, from any thread."""
        self._shards.append(figures)

    def add_slot(self, number: int) -> None:
        """Take in a part of the source in this process; the process is not ready until `assign` has been called for each."""
        self._slots.add(number)

    def assign(self, slot: int) -> None:
        """Note that a part of the source knows which partitions it reads."""
        self._assigned.add(slot)

    def begin(self, partition: int, counters: Counters) -> None:
        """A partition is read from now on; `counters` are what the snapshot gave."""
        self._begun[partition] = msgspec.structs.replace(counters)

    def place(self, partition: int, place: Place) -> None:
        """How far a partition is."""
        self._places[partition] = place

    def live(self) -> str:
        """Why the flow is not alive; a wait for the broker's acknowledgement is no standstill."""
        return self.pulse.stands()

    def ready(self) -> str:
        """Why it is not ready; empty if the broker answers and every partition that falls to this process is being read."""
        if self._stopping():
            return "it is stopping"
        if not self._reachable():
            return "the broker does not answer"
        if not self._partitions():
            return "there is no topic of logs yet"
        if not self._slots or not self._slots <= self._assigned:
            return "its partitions are not assigned yet"
        closed = [str(number) for number in list(self._begun) if number not in self._places or not self._places[number].is_open]
        return f"not read yet: partition {', '.join(sorted(closed))}" if closed else ""

    def served(self) -> Served:
        """What the process answers with."""
        return Served(self.registry(), self.live, self.ready)

    def registry(self) -> CollectorRegistry:
        """All metrics of the dataflow."""
        made = make_registry("dataflow", METRICS, self._gather)
        made.register(self._age)
        return made

    def _gather(self) -> Iterable[Value]:
        yield READY, (), float(not self.ready())
        yield BROKER_UP, (), float(self._reachable())
        yield PARTITIONS, (), self._partitions()
        yield PARTITIONS_READ, (), sum(place.is_open for place in list(self._places.values()))
        if self._intake:
            yield INTAKE, (self._intake,), 1
        for partition, place in sorted(self._places.items()):
            yield from _partition(str(partition), place, self._begun[partition])
        yield from self._windows()
        for topic, outgoing in self._outgoing.items():
            yield ACKNOWLEDGED, (topic,), outgoing.acknowledged()
            yield FAILED, (topic,), outgoing.failed()
            yield PENDING, (topic,), outgoing.pending()
        yield SNAPSHOT_WAIT, (), sum(sum(list(one.waits.values())) for one in self._outgoing.values())
        yield CATCHING_UP, (), sum(one.catching_up for one in self._outgoing.values())
        yield from self._store()

    def _windows(self) -> Iterable[Value]:
        shards = [figures() for figures in list(self._shards)]
        yield OPEN_WINDOWS, (), max((one.open_windows for one in shards), default=0)
        yield WINDOWS, (), max((one.windows for one in shards), default=0)
        yield OPEN_CELLS, (), sum(one.open_cells for one in shards)
        yield CELLS, (), sum(one.cells for one in shards)
        marks = [one.watermark for one in shards if one.watermark is not None]
        if marks:
            yield WATERMARK, (), min(marks) / SECOND
            yield WATERMARK_LAG, (), self._now() - min(marks) / SECOND

    def _store(self) -> Iterable[Value]:
        if self._recovery is None:
            return
        try:
            files = [file.stat() for file in self._recovery.glob("part-*.sqlite3*")]
        except OSError:  # one of them was a journal that is gone by now
            return
        if files:
            yield SNAPSHOT, (), max(file.st_mtime for file in files)
            yield STORE, (), sum(file.st_size for file in files)


def _partition(partition: str, place: Place, begun: Counters) -> Iterable[Value]:
    now = place.counters
    one = (partition,)
    yield READ, one, now.read - begun.read
    yield LOG_READ, one, now.read
    for outcome in OUTCOMES:
        value = getattr(now, outcome)
        yield EVENTS, (partition, outcome), value - getattr(begun, outcome)
        yield LOG_EVENTS, (partition, outcome), value
    for reason in REASONS:
        value = now.rejected(reason)
        yield REJECTED, (partition, reason), value - begun.rejected(reason)
        yield LOG_REJECTED, (partition, reason), value
    yield CONSERVATION, one, now.difference()
    if place.offset is not None:
        yield OFFSET, one, place.offset
    if place.lag is not None:
        yield LAG, one, place.lag
    if place.clock is not None:
        yield CLOCK, one, place.clock / SECOND
