"""The intake in C, for the messages that are plain; what is odd it hands to the same Python that `PythonIntake` judges by."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence

from typing_extensions import override

from dataflows.contract.metrics import Cells, Metrics, fold
from dataflows.contract.schema import Event, Rejected, to_micros
from dataflows.intake.decode import CarefulDecoder, NotAnEvent
from dataflows.intake.messages import Chunk, check_bounds, latest, own_limit
from dataflows.intake.partition import Counters, Intake, IntakeState, payload_of
from dataflows.intake.rules import Rules, to_datetime
from dataflows.kafka.record import Record
from dataflows.native import COUNTED, LATE, NEVER, Batch, Noted, Tally
from dataflows.wire.cell_bytes import unpack


class NativeIntake(Intake):
    """Has the chunk read and judged in C, and sees to the places that C notes. Raises `MemoryError` where there is no memory."""

    def __init__(self, rules: Rules, topic: str, partition: int, state: IntakeState, now: Callable[[], float]) -> None:
        self._careful = CarefulDecoder(rules.currency)
        self._tally = Tally(
            window=rules.window, delay=rules.lateness + rules.out_of_order, dedup=rules.dedup, currency=rules.currency
        )
        super().__init__(rules, topic, partition, state, now)

    @override
    def take(self, records: Sequence[Record]) -> None:
        odd = self._tally.read_batch(records) if isinstance(records, Batch) else self._read(list(map(payload_of, records)))
        events = {place: event for place in odd if (event := self._by_hand(records[place], place))}
        if self._tally.newest != NEVER:
            self._judge(records, events)
        if not self._is_refilling:
            self._counters.read += len(records)

    def _read(self, values: Sequence[bytes | None]) -> list[int]:
        """Have `values` read; the places of those that are odd."""
        try:
            text, sizes = b"".join(values), array("i", list(map(len, values)))  # pyright: ignore[reportCallIssue, reportArgumentType]  # a None raises
        except TypeError:
            return self._read([value or b"" for value in values])
        return self._tally.read(text, sizes)

    def _by_hand(self, record: Record, place: int) -> Event | None:
        """The event of an odd message, which is then judged with the others; None if it is none."""
        value = record.value()
        try:
            (event,) = Chunk([record], [value], [self._careful(value)]).rounded_down(self.rules).events
            check_bounds(event.timestamp, record, self.rules)
        except NotAnEvent as verdict:
            self._tally.refuse(place)
            self._reject(verdict, record.offset() or 0, value)
            return None
        self._tally.put(place, to_micros(event.timestamp), event.event_id)
        return event

    def _judge(self, records: Sequence[Record], events: dict[int, Event]) -> None:
        tally, refilling = self._tally, self._is_refilling
        limit: int | list[int] = latest(records, self.rules)
        if tally.newest > limit:
            limit = [own_limit(record, self.rules) for record in records]
        if self._generation is None:
            tally.unturn()
        place = 0
        while True:
            place, noted = tally.judge(place, NEVER if self.clock is None else self.clock, limit, refill=refilling)
            self.clock = None if tally.clock == NEVER else tally.clock
            if not refilling:
                self._counters.counted += tally.counted
                self._counters.duplicate += tally.duplicate
                for one in noted:
                    self._see_to(one, records[one.place], events.get(one.place))
            if place == len(records):
                return
            self._tick(tally.time(place), records[place].offset() or 0)

    def _see_to(self, noted: Noted, record: Record, event: Event | None) -> None:
        """What C leaves to Python: to count an event that Python has read, and to refuse one in words."""
        if event and noted.status == COUNTED:
            fold(self._windows.setdefault(self.rules.start(noted.time), {}), [event])
            return
        try:
            if noted.status == LATE:
                raise NotAnEvent("late", self._how_late(noted.time, noted.clock))
            check_bounds(to_datetime(noted.time), record, self.rules)
        except NotAnEvent as verdict:
            self._reject(verdict, record.offset() or 0, record.value())

    @override
    def _settle(self) -> None:
        for _shard, window, packed in self._tally.pack():
            cells = self._windows.setdefault(window, {})
            for key, sums in unpack(packed):
                cells.setdefault(key, Metrics()).merge(sums)

    @property
    @override
    def counters(self) -> Counters:
        return self._counters  # they do not wait for the sums

    @override
    def fetch_packed(self) -> tuple[dict[int, Cells], list[tuple[int, int, bytes]], list[Rejected]]:
        packed = self._tally.pack()
        windows, rejected = self.fetch()
        return windows, packed, rejected

    @override
    def _turn(self, generation: int) -> None:
        self._tally.turn(generation, (generation + 1) * self.rules.id_span)
