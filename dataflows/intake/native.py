"""The native engine's intake: C judges and counts valid events on the fast path; Python reads the other messages on the slow path.

`dataflows.intake.reference` is the specification of what it does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from typing_extensions import override

from dataflows.contract.schema import Event, to_micros
from dataflows.intake.decode import NotAnEvent
from dataflows.intake.messages import latest_time, too_far_ahead
from dataflows.intake.partition import Intake, IntakeState
from dataflows.intake.rules import Rules
from dataflows.intake.tables import Tables
from dataflows.kafka.record import Record
from dataflows.native import COUNTED, LATE, NEVER, MessageBatch, Noted, Tally
from dataflows.wire.cell_bytes import Share


class NativeIntake(Intake):
    """Intake that judges a batch of messages in C, and handles in Python those that C notes. Raises `MemoryError` if memory runs out."""

    def __init__(self, rules: Rules, topic: str, partition: int, state: IntakeState, now: Callable[[], float]) -> None:
        self._tally = Tally(
            window=rules.window, delay=rules.lateness + rules.out_of_order, dedup=rules.dedup, currency=rules.currency
        )
        self._shares: list[Share] = []
        self._tables = Tables(rules)
        super().__init__(rules, topic, partition, state, now)

    @override
    def take(self, records: Sequence[Record]) -> None:
        batch = MessageBatch.of(records)
        slow = {index: event for index in self._tally.read(batch) if (event := self._read_slowly(batch[index], index))}
        if self._tally.newest != NEVER:
            self._judge(batch, slow)
        if not self._is_refilling:
            self.counters.read += len(batch)

    def _read_slowly(self, record: Record, index: int) -> Event | None:
        """Return the event of a message on the slow path, which C then judges with the others; None if it has none."""
        try:
            event = self._read(record)
        except NotAnEvent as verdict:
            self._tally.refuse(index)
            self._reject(verdict, record.offset() or 0, record.value())
            return None
        self._tally.put(index, to_micros(event.timestamp), event.event_id)
        return event

    def _judge(self, batch: MessageBatch, slow: dict[int, Event]) -> None:
        """Have the batch judged, up to each event that begins a generation of ids. `slow`: events of the slow path by their index in it."""
        tally, refilling = self._tally, self._is_refilling
        limit: int | list[int] = batch.least_time() * 1000 + self.rules.max_ahead
        if tally.newest > limit:
            limit = [latest_time(record, self.rules) for record in batch]
        if self._generation is None:
            tally.unturn()
        index = 0
        while True:
            index, noted = tally.judge(index, NEVER if self.clock is None else self.clock, limit, refill=refilling)
            self.clock = None if tally.clock == NEVER else tally.clock
            if not refilling:
                self.counters.counted += tally.counted
                self.counters.duplicate += tally.duplicate
                for note in noted:
                    self._handle(note, batch[note.number], slow.get(note.number))
            if index == len(batch):
                return
            self._advance_clock(tally.time(index), batch[index].offset() or 0)

    def _handle(self, note: Noted, record: Record, event: Event | None) -> None:
        """Handle a message that C leaves to Python: count an event of the slow path, or reject it with the reason in words."""
        if event and note.status == COUNTED:
            self._tables.add(self.rules.start(note.time), self._tables.keys(event), event)
            return
        verdict = self._late(note.time, note.clock) if note.status == LATE else too_far_ahead(note.time, record, self.rules)
        self._reject(verdict, record.offset() or 0, record.value())

    @override
    def _take_shares(self) -> list[Share]:
        shares = [Share._make(share) for share in self._tally.pack()]
        return shares + self._tables.take_shares()

    @override
    def _turn(self, generation: int) -> None:
        self._tally.turn(generation, (generation + 1) * self.rules.id_span)
