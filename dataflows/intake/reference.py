"""The reference engine's intake: one message at a time, by the letter.

This is the specification of what `dataflows.intake.native` does in C. It runs everywhere, and is as exact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from typing_extensions import override

from dataflows.contract.schema import Event, to_micros
from dataflows.intake.admission import AdmissionCounts, Admissions
from dataflows.intake.decode import NotAnEvent
from dataflows.intake.dedup import IdIndex
from dataflows.intake.partition import Intake, IntakeState
from dataflows.intake.rules import Rules
from dataflows.intake.tables import Tables
from dataflows.kafka.record import Record
from dataflows.wire.cell_bytes import Share


class PythonIntake(Intake):
    """Decodes, judges, deduplicates and folds the messages of one partition."""

    def __init__(self, rules: Rules, topic: str, partition: int, state: IntakeState, now: Callable[[], float]) -> None:
        self._ids = IdIndex()
        self._admissions = Admissions(rules.breakdown_cells, rules.horizon)
        self._tables = Tables(rules)
        self._breakdowns = range(1, 1 + len(rules.breakdowns))
        super().__init__(rules, topic, partition, state, now)

    @override
    def take(self, records: Sequence[Record]) -> None:
        for record in records:
            try:
                event = self._judge(record)
            except NotAnEvent as verdict:
                self._reject(verdict, record.offset() or 0, record.value())
            else:
                self._count(event)
        if not self._is_refilling:
            self.counters.read += len(records)

    def _judge(self, record: Record) -> Event:
        """Return the event of a message and advance the clock; raises `NotAnEvent` for what is malformed, too far ahead or late.

        Only an event that is none of these advances the clock. Late is decided by the clock before it.
        """
        event = self._read(record)
        moment = to_micros(event.timestamp)
        if self.clock is not None and self.rules.is_late(moment, self.clock):
            raise self._late(moment, self.clock)
        self._advance_clock(moment, record.offset() or 0)
        return event

    def _count(self, event: Event) -> None:
        """Add an event to its window, unless its id is known. A refill restores the ids and the admitted cells alone."""
        is_new = not self.rules.dedup or self._ids.add(event.event_id)
        if not is_new:
            self.counters.duplicate += not self._is_refilling
            return
        moment = to_micros(event.timestamp)
        window = self.rules.start(moment)
        keys = self._tables.keys(event)
        for table in self._breakdowns:
            keys[table] = self._admissions.admit(window, table, keys[table], self.clock or moment, refill=self._is_refilling)
        if not self._is_refilling:
            self.counters.counted += 1
            self._tables.add(window, keys, event)

    @override
    def admission_counts(self) -> list[AdmissionCounts]:
        return [self._admissions.counts(table) for table in self._breakdowns]

    @override
    def _take_shares(self) -> list[Share]:
        return self._tables.take_shares()

    @override
    def _turn(self, generation: int) -> None:
        self._ids.turn(generation)
