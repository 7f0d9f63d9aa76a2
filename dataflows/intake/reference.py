"""The reference engine's intake: one message at a time, by the letter.

This is the specification of what `dataflows.intake.native` does in C. It runs everywhere, and is as exact.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from typing_extensions import override

from dataflows.contract.metrics import Cells, fold
from dataflows.contract.schema import Event, to_micros
from dataflows.intake.decode import NotAnEvent
from dataflows.intake.dedup import IdIndex
from dataflows.intake.partition import Intake, IntakeState
from dataflows.intake.rules import Rules
from dataflows.kafka.record import Record
from dataflows.wire.cell_bytes import Share, shares_of


class PythonIntake(Intake):
    """Decodes, judges, deduplicates and folds the messages of one partition."""

    def __init__(self, rules: Rules, topic: str, partition: int, state: IntakeState, now: Callable[[], float]) -> None:
        self._ids = IdIndex()
        self._windows = defaultdict[int, Cells](dict)
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
        """Add an event to its window, unless its id is known. A refill adds the id alone."""
        is_new = not self.rules.dedup or self._ids.add(event.event_id)
        if self._is_refilling:
            return
        if not is_new:
            self.counters.duplicate += 1
            return
        self.counters.counted += 1
        fold(self._windows[self.rules.start(to_micros(event.timestamp))], event)

    @override
    def _take_shares(self) -> list[Share]:
        shares = [share for window, cells in self._windows.items() for share in shares_of(window, cells)]
        self._windows.clear()
        return shares

    @override
    def _turn(self, generation: int) -> None:
        self._ids.turn(generation)
