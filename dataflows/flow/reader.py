"""The reader of one source partition: polls its connection, counts from its position, and judges whether the partition is idle."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import msgspec
from confluent_kafka import KafkaError

from dataflows.contract.errors import RecoveryError
from dataflows.contract.schema import Rejected
from dataflows.flow.connection import Connection, Fetching
from dataflows.flow.context import FlowContext
from dataflows.flow.position import ReaderPosition, ReaderState
from dataflows.flow.progress import CommittedCounters
from dataflows.flow.telemetry import PartitionProgress
from dataflows.intake.partition import Counters, IntakeState
from dataflows.intake.rules import SECOND
from dataflows.kafka.bell import Bell
from dataflows.kafka.clients import PASSING, describe
from dataflows.kafka.corruption import Fault, Passage
from dataflows.kafka.diagnosis import unreadable
from dataflows.kafka.lag import OffsetRange
from dataflows.windows.watermark import SourceClock
from dataflows.wire.cell_bytes import Share

log = logging.getLogger("adtally.reader")

_GONE = {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}


class PollResult(msgspec.Struct):
    """Result of one poll: the clock after it, the counted and the rejected events, and whether more can be read at once."""

    clock: SourceClock
    shares: list[Share]
    rejected: list[Rejected]
    more: bool


class Reader:
    """Reader of one partition of the logs, in order, from the position of the last snapshot."""

    def __init__(
        self,
        context: FlowContext,
        partition: int,
        state: ReaderState | None,
        *,
        start: str,
        after: int | None = None,
        bell: Bell | None = None,
        fetching: Fetching | None = None,
    ) -> None:
        """For a partition without state, `start` is ``earliest`` or ``latest``, and `after` its first clock (microseconds).

        `bell`: rung when there is something to poll (`rings`). Raises `RecoveryError` if `state` belongs to another topic.
        """
        settings = context.settings
        if state and state.topic != settings.logs_topic:
            raise RecoveryError(
                f"the recovery folder belongs to topic {state.topic}, but ADTALLY_LOGS_TOPIC is "
                f"{settings.logs_topic}; set it back, or use another recovery folder."
            )
        self.partition = partition
        self._settings = settings
        self._topology = context.topology
        self._monotonic = context.monotonic
        self._now = context.now
        self._topic = settings.logs_topic
        self._most = (fetching or Fetching()).poll
        self._intake = context.engine.make_intake(partition, state.intake if state else IntakeState(clock=after), context.now)
        self._position = ReaderPosition(
            self._topic, partition, self._intake, state, start=start, warn_of_create_time=context.warn_of_create_time
        )
        self._connection = Connection(context, partition, bell, fetching or Fetching())
        self._passage = Passage(settings, self._topic)
        self._committed_at: int | None = None
        self._snapshot_clock = state.intake.clock if state else None
        self._caught_up = False
        self._read_at = context.monotonic()
        self._last_clock: SourceClock | None = None

    @property
    def counters(self) -> Counters:
        """Outcomes of the messages read so far."""
        return self._intake.counters

    def progress(self) -> PartitionProgress:
        """Return how far the partition is, for metrics."""
        counters, clock = msgspec.structs.replace(self.counters), self._intake.reached
        return PartitionProgress(
            counters, self._position.offset, self._lag(), clock, self.is_open, self._intake.admission_counts()
        )

    def _lag(self) -> int | None:
        offset = self._position.offset
        if offset is None:
            return None
        lag = self._connection.lag(offset)
        if not lag or not self._caught_up:
            return lag
        # This reader reached its end although the log is longer: the rest is held back by an open transaction.
        return self._topology.behind(self.partition, OffsetRange(offset, offset + lag))

    @property
    def is_open(self) -> bool:
        """Whether the broker has returned the first offset to read."""
        return self._connection.is_open

    @property
    def is_refilling(self) -> bool:
        """Whether messages are read again, for the index of ids, that were counted before a restart."""
        return self._position.is_refilling

    @property
    def rings(self) -> bool:
        """Whether the bell is rung when there is something to poll; if not, only a poll shows it."""
        return self._connection.rings

    def poll(self) -> PollResult | None:
        """Read what is there, up to `Fetching.poll` messages; None where nothing changed. Raises `OffsetGoneError` and `BrokerError`."""
        if not self.is_open and not self._open():
            return None
        taken, more = self._read()
        self._connection.release()
        self._connection.check_commits()
        if taken:
            self._read_at = self._monotonic()
        self._follow_others()
        clock = SourceClock(self._intake.reached, self._is_idle())
        shares, rejected = self._intake.fetch()
        if not (shares or rejected or more) and clock == self._last_clock:
            return None
        self._last_clock = clock
        return PollResult(clock, shares, rejected, more)

    def snapshot(self) -> ReaderState | None:
        """Return the position and what was decided up to it; None before the partition was opened for the first time."""
        return self._position.state()

    def commit_progress(self) -> None:
        """Commit offset, clock and counters to the consumer group, for people and monitors; a restart resumes from the snapshot alone."""
        offset = self._position.offset
        if not self.is_open or offset is None:
            return
        # When this snapshot is requested, the previous one has been written: a run that is killed goes back at most to that one.
        kept, self._snapshot_clock = self._snapshot_clock, self._intake.reached
        before, self._committed_at = self._committed_at, round(self._now() * SECOND)
        committed = CommittedCounters(
            **msgspec.structs.asdict(self.counters),
            clock=self._snapshot_clock,
            kept=kept,
            last=self._position.last,
            at=self._committed_at,
            pause=None if before is None else self._committed_at - before,
        )
        self._connection.commit(offset, committed.encode())

    def close(self) -> None:
        """Close the connection to the broker."""
        self._connection.close()

    def _open(self) -> bool:
        limits = self._connection.open()
        if limits is None:
            return False
        self._connection.begin(self._position.begin(*limits))
        self._read_at = self._monotonic()
        return True

    def _read(self) -> tuple[int, bool]:
        """Take what is there; return the number of messages, and whether there may be more at once."""
        taken, more = 0, True
        while more and taken < self._most and self.is_open:
            records, faults, more = self._connection.fetch()
            hurt = next((number for number, fault in enumerate(faults) if fault.is_damage), None)
            if hurt is not None:
                records = records[: faults[hurt].place]
            if records:
                self._caught_up = False  # until the end of the log is met again
                taken += len(records)
                self._position.take(records)
            if faults:
                self._handle(faults[:hurt], len(records))
            if hurt is not None and self.is_open:
                return taken + self._skip_damage(faults[hurt]), more
        return taken, more

    def _handle(self, faults: Sequence[Fault], count: int) -> None:
        """`count`: messages of the same fetch."""
        for error, end, index in faults:
            if error.code() == KafkaError._PARTITION_EOF:
                self._caught_up = index == count  # otherwise the log has grown in the meantime
                self._position.reach(end)
            elif error.code() in _GONE:
                # After reopening, the position is compared with the broker's current offsets: it is lost, or the ids are read again.
                self._connection.close()
                self._position.interrupt()
            elif error.code() in PASSING:
                self._caught_up = False
                log.debug("partition %d: %s", self.partition, describe(error))
            else:
                raise unreadable(self._settings, self._topic, self.partition, error)

    def _skip_damage(self, fault: Fault) -> int:
        """Read on behind a damaged batch, with a new consumer; reject its messages that are new, and return their number."""
        damage = self._passage.lead(self.partition, fault, self._position.next)
        lost = self._position.lose(damage) if damage else 0
        self._connection.restart(self._position.next)
        self._caught_up = False
        return lost

    def _is_idle(self) -> bool:
        silent = self._monotonic() - self._read_at >= self._settings.idle_seconds
        return self._caught_up and silent and self._topology.reachable()

    def _follow_others(self) -> None:
        """Advance the clock of a partition that has been silent for the idle retention; otherwise it would hold back eviction."""
        offset = self._position.offset
        if offset is None or self._position.is_refilling or not self._is_idle():
            return
        newest = self._topology.newest()
        if newest is None:
            return
        # In whole windows, because each step goes to every shard.
        window = self._settings.window_seconds * SECOND
        floor = newest - round(self._settings.idle_retention_seconds * SECOND)
        self._intake.advance(floor - floor % window, offset)
