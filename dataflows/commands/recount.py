"""Counting of past windows from the logs, for ``adtally rebuild``: by the flow's own intake, and late events on request."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import msgspec
from confluent_kafka import Message
from tqdm import tqdm

from dataflows.contract.breakdowns import OTHER
from dataflows.contract.metrics import CellKey, Cells, Metrics
from dataflows.contract.schema import Event, Rejected, to_micros
from dataflows.contract.settings import Settings
from dataflows.flow.engines import Engine
from dataflows.intake.admission import Admissions
from dataflows.intake.decode import EventDecoder, NotAnEvent
from dataflows.intake.partition import Intake, IntakeState
from dataflows.intake.rules import Rules
from dataflows.intake.tables import Tables
from dataflows.kafka.scan import scan

CHUNK = 300
Sums = dict[tuple[int, int], Cells]
"""Cells by the start of their window, and their table."""

_ALWAYS = -(2**63)
"""A clock that leaves no window behind."""


class Range(msgspec.Struct, frozen=True):
    """Window starts from `first` up to, and without, `last`; microseconds since 1970."""

    first: int
    last: int

    def has(self, window: int) -> bool:
        """Whether the window that starts at `window` is meant."""
        return self.first <= window < self.last


def count(settings: Settings, wanted: Range, *, late: bool, show: bool = False) -> Sums:
    """Count the logs for the windows of `wanted`; with `late` also the events that came too late, each id once, after all others."""
    sums: Sums = {}
    rules = Rules.of(settings)
    admissions = defaultdict[int, Admissions](lambda: Admissions(rules.breakdown_cells, rules.horizon))
    too_late: list[Rejected] = []
    for partition, window, table, cells in _counted(settings, too_late, show=show):
        if wanted.has(window):
            _add(sums, window, table, cells)
            for key in cells if late and table else ():
                if OTHER not in key:
                    admissions[partition].admit(window, table, key, _ALWAYS)
    if late and too_late:
        tables = Tables(rules)
        for partition, event in _new(settings, too_late, show=show):
            window = rules.start(to_micros(event.timestamp))
            if wanted.has(window):
                keys = tables.keys(event)
                for table, key in enumerate(keys[1:], start=1):
                    keys[table] = admissions[partition].admit(window, table, key, _ALWAYS)
                tables.add(window, keys, event)
        for (window, table), cells in tables.take().items():
            _add(sums, window, table, cells)
    return sums


def _counted(settings: Settings, too_late: list[Rejected], *, show: bool) -> Iterator[tuple[int, int, int, Cells]]:
    """Yield the cells of each partition with its number, their window and table; add the late events to `too_late`."""
    engine, formats = Engine(settings), Rules.of(settings).formats()
    intakes: dict[int, Intake] = {}
    for partition, records in _chunks(_reading(settings, show=show)):
        if partition not in intakes:
            intakes[partition] = engine.make_intake(partition, IntakeState(), time.time)
        intakes[partition].take(records)
        shares, rejected = intakes[partition].fetch()
        too_late += [record for record in rejected if record.reason == "late"]
        for _, window, table, data in shares:
            cells: Cells = {}
            for key, metrics in formats[table].unpack(data):
                _merge(cells, key, metrics)
            yield partition, window, table, cells


def _new(settings: Settings, too_late: Sequence[Rejected], *, show: bool) -> Iterator[tuple[int, Event]]:
    """Yield the late events whose id was not counted anywhere in their partition, each id once, with the partition."""
    decode = EventDecoder.of(settings)
    places = {(record.partition, record.offset) for record in too_late}
    waiting: dict[tuple[int, str], Event] = {}
    for record in too_late:
        event = decode((record.payload or "").encode())
        waiting.setdefault((record.partition, event.event_id), event)
    for message in _reading(settings, show=show):
        partition, offset = message.partition() or 0, message.offset() or 0
        if (partition, offset) not in places:
            try:
                waiting.pop((partition, decode(message.value()).event_id), None)
            except NotAnEvent:
                continue
    for (partition, _), event in waiting.items():
        yield partition, event


def _reading(settings: Settings, *, show: bool) -> Iterable[Message]:
    return tqdm(
        scan(settings, settings.logs_topic), unit=" messages", unit_scale=True, disable=None if show else True, leave=False
    )


def _chunks(messages: Iterable[Message]) -> Iterator[tuple[int, list[Message]]]:
    """Yield the messages grouped by partition, in their order, `CHUNK` at a time."""
    gathered: dict[int, list[Message]] = {}
    for message in messages:
        partition = message.partition() or 0
        records = gathered.setdefault(partition, [])
        records.append(message)
        if len(records) == CHUNK:
            yield partition, gathered.pop(partition)
    yield from gathered.items()


def _add(sums: Sums, window: int, table: int, cells: Cells) -> None:
    known = sums.setdefault((window, table), {})
    for key, metrics in cells.items():
        _merge(known, key, msgspec.structs.replace(metrics, declared=[*metrics.declared]))


def _merge(cells: Cells, key: CellKey, metrics: Metrics) -> None:
    if key in cells:
        cells[key].merge(metrics)
    else:
        cells[key] = metrics
