"""The native engine's intake: C judges and counts valid events on the fast path; Python reads the other messages on the slow path.

`dataflows.intake.reference` is the specification of what it does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import get_args

from typing_extensions import override

from dataflows.contract.schema import Event, EventType, to_micros, values_of
from dataflows.intake.admission import AdmissionCounts
from dataflows.intake.decode import NotAnEvent
from dataflows.intake.messages import latest_time, too_far_ahead
from dataflows.intake.partition import Intake, IntakeState
from dataflows.intake.rules import Rules
from dataflows.kafka.record import Record
from dataflows.native import LATE, NEVER, MessageBatch, Noted, SlowEvent, Tally, TallyPlan
from dataflows.wire.cell_bytes import Share


class NativeIntake(Intake):
    """Intake that judges a batch of messages in C, and handles in Python those that C notes. Raises `MemoryError` if memory runs out."""

    def __init__(self, rules: Rules, topic: str, partition: int, state: IntakeState, now: Callable[[], float]) -> None:
        self._tally = Tally(
            window=rules.window, delay=rules.lateness + rules.out_of_order, dedup=rules.dedup, plan=plan_of(rules)
        )
        self._values = values_of(rules.columns, rules.columns) if rules.columns else _no_values
        super().__init__(rules, topic, partition, state, now)

    @override
    def take(self, records: Sequence[Record]) -> None:
        batch = MessageBatch.of(records)
        for index in self._tally.read(batch):
            self._read_slowly(batch[index], index)
        if self._tally.newest != NEVER:
            self._judge(batch)
        if not self._is_refilling:
            self.counters.read += len(batch)

    def _read_slowly(self, record: Record, index: int) -> None:
        """Read the event of a message on the slow path, which C then judges and adds up with the others, or reject the message."""
        try:
            event = self._read(record)
        except NotAnEvent as verdict:
            self._tally.refuse(index)
            self._reject(verdict, record.offset() or 0, record.value())
            return
        self._tally.put(
            index,
            SlowEvent(
                time=to_micros(event.timestamp),
                event_id=event.event_id,
                event_type=event.event_type,
                campaign_id=event.campaign_id,
                channel=event.channel,
                currency=event.currency or self.rules.currency,
                cost=event.cost_micros or 0,
                revenue=event.revenue_micros or 0,
                values=self._values(event),
            ),
        )

    def _judge(self, batch: MessageBatch) -> None:
        """Have the batch judged, up to each event that begins a generation of ids."""
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
                    self._reject_for_time(note, batch[note.number])
            if index == len(batch):
                return
            self._advance_clock(tally.time(index), batch[index].offset() or 0)

    def _reject_for_time(self, note: Noted, record: Record) -> None:
        """Reject an event that is late or too far ahead, with the reason in words."""
        verdict = self._late(note.time, note.clock) if note.status == LATE else too_far_ahead(note.time, record, self.rules)
        self._reject(verdict, record.offset() or 0, record.value())

    @override
    def admission_counts(self) -> list[AdmissionCounts]:
        return [AdmissionCounts(*counts) for counts in self._tally.admission_counts()]

    @override
    def _take_shares(self) -> list[Share]:
        return [Share._make(share) for share in self._tally.pack()]

    @override
    def _turn(self, generation: int) -> None:
        self._tally.turn(generation, (generation + 1) * self.rules.id_span)


def plan_of(rules: Rules) -> TallyPlan:
    """Return what `rules` declare, as C reads it."""
    return TallyPlan(
        currency=rules.currency,
        roles=get_args(EventType),
        declared=[(declared.name, declared.role) for declared in rules.declared],
        fields=rules.columns,
        breakdowns=[breakdown.fields for breakdown in rules.breakdowns],
        bound=rules.breakdown_cells,
    )


def _no_values(_event: Event) -> tuple[str | None, ...]:
    return ()
