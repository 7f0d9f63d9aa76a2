"""The values of the flow's metrics, and whether it is live and ready.

The parts of the flow record their figures here a few times a second; a scrape adds nothing to their work.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
from prometheus_client import CollectorRegistry, Histogram

from dataflows.flow import metric_table as table
from dataflows.intake.admission import AdmissionCounts
from dataflows.intake.partition import Counters
from dataflows.intake.rules import SECOND
from dataflows.telemetry.ages import catching_up
from dataflows.telemetry.families import BUCKETS, READY, Value, make_registry
from dataflows.telemetry.server import Pulse, Served
from dataflows.windows.panes import Figures

LOOK_SECONDS = 0.25
"""Minimum interval between two updates of the figures of a part of the flow."""


class PartitionProgress(msgspec.Struct, frozen=True):
    """Progress of one partition; `counters` are a copy, `clock` is in microseconds since 1970, None before the first event.

    `admissions`: what each breakdown admitted and refused in this process.
    """

    counters: Counters
    offset: int | None
    lag: int | None
    clock: int | None
    is_open: bool
    admissions: Sequence[AdmissionCounts] = ()


class Outgoing:
    """Outcomes of the records of one topic. Each part counts `sent` for itself, because parts run on several threads."""

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
        """Return a counter in which one part counts the records that it has sent."""
        count = [0]
        self.sent.append(count)
        return count

    def acknowledged(self) -> int:
        """Return the number of acknowledged records; it never decreases, although the three figures are not of one moment."""
        with self._lock:
            known = sum(count[0] for count in self.sent) - self.failed() - self.pending()
            self._acknowledged = max(self._acknowledged, known)
            return self._acknowledged

    def arrived(self, moment: int) -> None:
        """Record that the result of an event of `moment` (microseconds since 1970) was acknowledged."""
        age = self._now() - moment / SECOND
        if catching_up(age, self._window):
            self.catching_up += 1
        elif age >= 0:  # otherwise the clocks of the sender and of this machine differ, and the age is unknown
            self._age.observe(age)


class Observed:
    """The values that the parts of the flow in this process have recorded, and the metrics made of them."""

    def __init__(
        self,
        window_seconds: float,
        *,
        stopping: Callable[[], bool] = lambda: False,
        reachable: Callable[[], bool] = lambda: False,
        partitions: Callable[[], int] = lambda: 0,
        recovery: Path | None = None,
        intake: str = "",
        tables: Sequence[str] = ("results",),
        breakdowns: Sequence[str] = (),
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`stopping`, `reachable`, `partitions`: whether the process must stop, whether the broker answers, how many partitions there are.

        `recovery`: the recovery folder; `intake`: ``native`` or ``python``; `tables`: the label of each table; `breakdowns`: their names.
        `now` and `monotonic`: seconds; `now` since 1970.
        """
        self.pulse = Pulse(monotonic)
        self._recovery = recovery
        self._intake = intake
        self._tables = tables
        self._breakdowns = breakdowns
        self._shards: list[Callable[[], Figures]] = []
        self._slots: set[int] = set()
        self._assigned: set[int] = set()
        self._stopping = stopping
        self._reachable = reachable
        self._partitions = partitions
        self._now = now
        self._window = window_seconds
        self._partitions_read: dict[int, PartitionProgress] = {}
        self._begun: dict[int, Counters] = {}
        self._age = Histogram(table.AGE, table.AGE_HELP, buckets=BUCKETS, registry=None)
        self._outgoing: dict[str, Outgoing] = {}

    def outgoing(self, topic: str) -> Outgoing:
        """Return the figures of the sink of a topic: ``results``, ``results.<breakdown>`` or ``rejected``."""
        return self._outgoing.setdefault(topic, Outgoing(self._window, self._age, self.pulse, self._now))

    def add_shard(self, figures: Callable[[], Figures]) -> None:
        """Add a shard of this process; `figures` returns its figures, from any thread."""
        self._shards.append(figures)

    def add_slot(self, number: int) -> None:
        """Add a part of the source in this process; the process is not ready until `assign` has been called for each."""
        self._slots.add(number)

    def assign(self, slot: int) -> None:
        """Note that a part of the source knows which partitions it reads."""
        self._assigned.add(slot)

    def begin(self, partition: int, counters: Counters) -> None:
        """Note that a partition is read from now on; `counters` are those of the snapshot."""
        self._begun[partition] = msgspec.structs.replace(counters)

    def note(self, partition: int, progress: PartitionProgress) -> None:
        """Note how far a partition is."""
        self._partitions_read[partition] = progress

    def not_live_reason(self) -> str:
        """Return why the flow is not alive; a wait for the broker's acknowledgement does not count."""
        return self.pulse.stall_reason()

    def not_ready_reason(self) -> str:
        """Return why the process is not ready; empty if the broker answers and every partition assigned to this process is being read."""
        if self._stopping():
            return "it is stopping"
        if not self._reachable():
            return "the broker does not answer"
        if not self._partitions():
            return "the topic of logs does not exist yet"
        if not self._slots or not self._slots <= self._assigned:
            return "its partitions are not assigned yet"
        closed = [
            str(number)
            for number in list(self._begun)
            if number not in self._partitions_read or not self._partitions_read[number].is_open
        ]
        return f"not read yet: partition {', '.join(sorted(closed))}" if closed else ""

    def served(self) -> Served:
        """Return what the process serves over HTTP."""
        return Served(self.registry(), self.not_live_reason, self.not_ready_reason)

    def registry(self) -> CollectorRegistry:
        """Return the registry of all metrics of the dataflow."""
        registry = make_registry("dataflow", table.METRICS, self._gather)
        registry.register(self._age)
        return registry

    def _gather(self) -> Iterable[Value]:
        yield READY, (), float(not self.not_ready_reason())
        yield table.BROKER_UP, (), float(self._reachable())
        yield table.PARTITIONS, (), self._partitions()
        yield table.PARTITIONS_READ, (), sum(progress.is_open for progress in list(self._partitions_read.values()))
        if self._intake:
            yield table.INTAKE, (self._intake,), 1
        for partition, progress in sorted(self._partitions_read.items()):
            yield from _partition(str(partition), progress, self._begun[partition])
            yield from _admissions(str(partition), dict(zip(self._breakdowns, progress.admissions, strict=False)))
        yield from self._windows()
        for topic, outgoing in self._outgoing.items():
            yield table.ACKNOWLEDGED, (topic,), outgoing.acknowledged()
            yield table.FAILED, (topic,), outgoing.failed()
            yield table.PENDING, (topic,), outgoing.pending()
        yield table.SNAPSHOT_WAIT, (), sum(sum(list(outgoing.waits.values())) for outgoing in self._outgoing.values())
        yield table.CATCHING_UP, (), sum(outgoing.catching_up for outgoing in self._outgoing.values())
        yield from self._store()

    def _windows(self) -> Iterable[Value]:
        shards = [figures() for figures in list(self._shards)]
        yield table.OPEN_WINDOWS, (), max((shard.open_windows for shard in shards), default=0)
        yield table.WINDOWS, (), max((shard.windows for shard in shards), default=0)
        for number, name in enumerate(self._tables):
            yield table.OPEN_CELLS, (name,), sum(shard.open_cells[number] for shard in shards)
            yield table.CELLS, (name,), sum(shard.cells[number] for shard in shards)
        marks = [shard.watermark for shard in shards if shard.watermark is not None]
        if marks:
            yield table.WATERMARK, (), min(marks) / SECOND
            yield table.WATERMARK_LAG, (), self._now() - min(marks) / SECOND

    def _store(self) -> Iterable[Value]:
        if self._recovery is None:
            return
        try:
            files = [file.stat() for file in self._recovery.glob("part-*.sqlite3*")]
        except OSError:  # one of them was a journal that has been deleted
            return
        if files:
            yield table.SNAPSHOT, (), max(file.st_mtime for file in files)
            yield table.STORE, (), sum(file.st_size for file in files)


def _partition(partition: str, progress: PartitionProgress, begun: Counters) -> Iterable[Value]:
    now = progress.counters
    label = (partition,)
    yield table.READ, label, now.read - begun.read
    yield table.LOG_READ, label, now.read
    for outcome in table.OUTCOMES:
        value = getattr(now, outcome)
        yield table.EVENTS, (partition, outcome), value - getattr(begun, outcome)
        yield table.LOG_EVENTS, (partition, outcome), value
    for reason in table.REASONS:
        value = now.rejected(reason)
        yield table.REJECTED, (partition, reason), value - begun.rejected(reason)
        yield table.LOG_REJECTED, (partition, reason), value
    yield table.CONSERVATION, label, now.difference()
    if progress.offset is not None:
        yield table.OFFSET, label, progress.offset
    if progress.lag is not None:
        yield table.LAG, label, progress.lag
    if progress.clock is not None:
        yield table.CLOCK, label, progress.clock / SECOND


def _admissions(partition: str, breakdowns: Mapping[str, AdmissionCounts]) -> Iterable[Value]:
    for name, counts in breakdowns.items():
        label = (partition, name)
        yield table.ADMITTED_CELLS, label, counts.admitted_cells
        yield table.FULL_WINDOWS, label, counts.full_windows
        yield table.OTHER_EVENTS, label, counts.other_events
