"""Counts past windows again from the logs: ``adtally rebuild --from … --to … [--late] [--dry-run]``.

It reads the logs from their beginning, decides as the flow does (it *is* the flow's intake), compares with the results, and writes a cell
only where it counts more events than its result shows: `revision` is the number of events, so a second run changes nothing, and what the
log no longer holds takes nothing away. With ``--late`` it also counts late events, each id once.

It is safe while the flow runs, because the two never write the same window: it refuses windows that the flow may still write. A window is
closed for the flow when every partition's clock has passed its end plus the allowed lateness and a snapshot has recorded that: its
results were acknowledged before that snapshot, and no crash goes back beyond it. These clocks are in the flow's own commits.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import msgspec
from confluent_kafka import Message
from tqdm import tqdm

from dataflows.commands.counters import positions
from dataflows.contract.errors import InputError
from dataflows.contract.metrics import Cells, Metrics, fold
from dataflows.contract.schema import (
    HEADERS,
    Event,
    Rejected,
    WindowResult,
    decode_result,
    decode_result_key,
    encode,
    result_key,
    rfc3339,
    to_micros,
)
from dataflows.contract.settings import Settings
from dataflows.flow.engines import Engine
from dataflows.intake.decode import DECODE_ERRORS, EventDecoder, NotAnEvent
from dataflows.intake.partition import Intake, IntakeState
from dataflows.intake.rules import SECOND, Rules
from dataflows.kafka.clients import deliver
from dataflows.kafka.scan import refuse_foreign, scan
from dataflows.kafka.tombstones import Tombstones, read_settled
from dataflows.telemetry import log_lines
from dataflows.windows.cells import Cell, CellKey, to_result
from dataflows.wire.cell_bytes import unpack

CHUNK = 300
Sums = dict[tuple[int, CellKey], Metrics]
ResultKey = tuple[str, str, str]


class Range(msgspec.Struct, frozen=True):
    """Window starts from `first` up to, and without, `last`; microseconds since 1970."""

    first: int
    last: int

    def has(self, window: int) -> bool:
        """Whether the window that starts at `window` is meant."""
        return self.first <= window < self.last


class Change(msgspec.Struct, frozen=True):
    """A cell whose result does not show what the logs hold: `before` events by the results (None: no result), `after` by the logs."""

    result: WindowResult
    before: int | None

    @property
    def after(self) -> int:
        """Number of events in the logs."""
        return self.result.events

    @property
    def gains(self) -> bool:
        """Whether the logs hold more, so that the result is to be replaced."""
        return self.before is None or self.after > self.before


def latest_end(settings: Settings) -> int:
    """Return the time (microseconds) up to which the flow can no longer change windows; raises `InputError` if it is not known."""
    rules = Rules.of(settings)
    clocks = {row.partition: row.shown.kept for row in positions(settings, right="Read")}
    unknown = [str(partition) for partition, clock in clocks.items() if clock is None]
    if unknown:
        raise InputError(
            f"the flow (group {settings.group}) has not committed a time for partition {', '.join(unknown)} of {settings.logs_topic} "
            "yet, so any window may still change; let it run with -r for two snapshots, or, if a partition stays "
            "empty, for ADTALLY_IDLE_RETENTION_SECONDS."
        )
    return min(clock for clock in clocks.values() if clock is not None) - rules.lateness - rules.out_of_order


def count(settings: Settings, wanted: Range, *, late: bool, show: bool = False) -> Sums:
    """Count the logs for the windows of `wanted`, by window start and (campaign, channel). `late`: also count events that came too late."""
    sums, too_late = _counted(settings, wanted, show=show)
    if late and too_late:
        for event in _new(settings, too_late, show=show):
            moment = to_micros(event.timestamp)
            window = moment - moment % (settings.window_seconds * SECOND)
            if wanted.has(window):
                cells: Cells = {}
                fold(cells, event)
                _add(sums, window, cells.items())
    return sums


def _counted(settings: Settings, wanted: Range, *, show: bool) -> tuple[Sums, list[Rejected]]:
    engine = Engine(settings)
    intakes: dict[int, Intake] = {}
    sums: Sums = {}
    too_late: list[Rejected] = []
    for partition, records in _chunks(_reading(settings, show=show)):
        if partition not in intakes:
            intakes[partition] = engine.make_intake(partition, IntakeState(), time.time)
        intakes[partition].take(records)
        shares, rejected = intakes[partition].fetch()
        too_late += [record for record in rejected if record.reason == "late"]
        for share in shares:
            if wanted.has(share.window):
                _add(sums, share.window, unpack(share.cells))
    return sums, too_late


def _new(settings: Settings, too_late: Sequence[Rejected], *, show: bool) -> Iterator[Event]:
    """Yield the late events whose id was not counted anywhere in their partition, each id once."""
    decode = EventDecoder(settings.currency)
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
    yield from waiting.values()


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


def _add(sums: Sums, window: int, cells: Iterable[tuple[CellKey, Metrics]]) -> None:
    for key, metrics in cells:
        known = sums.get((window, key))
        if known is None:
            sums[window, key] = metrics
        else:
            known.merge(metrics)


def changes(settings: Settings, sums: Sums) -> list[Change]:
    """Return the cells whose results show a different number of events than `sums`, in the order of windows.

    Raises `InputError` if they follow a later version of the contract: this version would overwrite it.
    """
    shown = read_settled(partial(_shown, settings))
    rules = Rules.of(settings)
    changed: list[Change] = []
    for (window, key), metrics in sorted(sums.items(), key=lambda item: item[0]):
        before = shown.get((rfc3339(window // SECOND), *key))
        if before != metrics.events:
            changed.append(Change(to_result(window, rules, key, Cell(metrics, "corrected")), before))
    return changed


def _shown(settings: Settings, tombstones: Tombstones[ResultKey]) -> dict[ResultKey, int]:
    """Return the highest revision of each result that no tombstone has deleted."""
    shown: dict[ResultKey, int] = {}
    for message in scan(settings, settings.results_topic):
        refuse_foreign(settings.results_topic, message)
        position, value = tombstones.position(message), message.value()
        with contextlib.suppress(*DECODE_ERRORS):  # not a result: it is not shown
            if value is None:
                tombstones.add(decode_result_key(message.key() or b""), position)
                continue
            result = decode_result(value)
            key = (result.window_start, result.campaign_id, result.channel)
            if not tombstones.has_deleted(key, position):
                shown[key] = max(result.revision, shown.get(key, 0))
    return shown


def write(settings: Settings, results: Iterable[WindowResult]) -> int:
    """Put results on their topic and wait for the acknowledgements; their number. Raises `DeliveryError`."""
    records = ((result_key(result.window_start, result.campaign_id, result.channel), encode(result)) for result in results)
    return deliver(settings, "rebuild", settings.results_topic, records, headers=[*HEADERS])


def rebuild(settings: Settings, first: int, last: int, *, late: bool, dry_run: bool) -> None:
    """Count the windows from `first` to `last` (microseconds since 1970) again, and print each result that changes.

    `late` also counts late events; `dry_run` writes nothing. Raises `InputError` for windows that the flow may still write, and
    `BrokerError` or `DeliveryError`.
    """
    length = settings.window_seconds * SECOND
    wanted = Range(first // length * length, -(-last // length) * length)
    end = latest_end(settings)
    if wanted.last > end:
        raise InputError(
            f"windows that end after {rfc3339(end // SECOND)} may still be corrected by the flow; choose an earlier --to."
        )
    all_changes = changes(settings, count(settings, wanted, late=late, show=True))
    gained = [change for change in all_changes if change.gains]
    for change in all_changes:
        result, before = change.result, "none" if change.before is None else f"{change.before:,}"
        note = "" if change.gains else "  (unchanged: the logs no longer hold all of its events)"
        log_lines.tell(
            f"{result.window_start}  {result.campaign_id!r} {result.channel!r}: {before} → {change.after:,} events{note}"
        )
    if not dry_run:
        write(settings, [change.result for change in gained])
    log_lines.tell(f"{len(gained):,} results {'would change' if dry_run else 'changed'}")
