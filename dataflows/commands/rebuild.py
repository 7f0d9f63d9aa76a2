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
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import msgspec

from dataflows.commands.counters import positions
from dataflows.commands.recount import Range, Sums, count
from dataflows.contract.errors import InputError
from dataflows.contract.metrics import CellKey
from dataflows.contract.schema import (
    HEADERS,
    WindowResult,
    breakdown_codec,
    decode_result,
    decode_result_key,
    rfc3339,
)
from dataflows.contract.settings import Settings
from dataflows.intake.decode import DECODE_ERRORS
from dataflows.intake.rules import SECOND, Rules
from dataflows.kafka.clients import deliver
from dataflows.kafka.scan import refuse_foreign, scan
from dataflows.kafka.tombstones import Tombstones, read_settled
from dataflows.telemetry import log_lines
from dataflows.windows.cells import Cell, TableRules, to_record, to_result

ResultKey = tuple[str | bool | None, ...]
"""The start of the window, and the key of the cell."""


class Change(msgspec.Struct, frozen=True):
    """A cell whose result does not show what the logs hold: `before` events by the results (None: no result), `after` by the logs.

    `table`, `key` and `record`: which cell it is, and its record for the topic of that table. `gains`: whether the logs hold more, so that
    the result is to be replaced; a row of a breakdown is kept with its cell of the results where the logs hold fewer events of that.
    """

    table: int
    key: CellKey
    result: WindowResult
    record: tuple[bytes, bytes]
    before: int | None
    gains: bool

    @property
    def after(self) -> int:
        """Number of events in the logs."""
        return self.result.events


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


def changes(settings: Settings, sums: Sums) -> list[Change]:
    """Return the cells whose results show a different number of events than `sums`, in the order of windows and tables.

    Raises `InputError` if they follow a later version of the contract: this version would overwrite it.
    """
    tables = TableRules.all_of(Rules.of(settings))
    topics = (settings.results_topic, *settings.breakdown_topics)
    shown = [read_settled(partial(_shown, settings, topic, rules)) for topic, rules in zip(topics, tables, strict=True)]
    changed: list[Change] = []
    kept: set[ResultKey] = set()
    for (window, table), cells in sorted(sums.items(), key=lambda item: item[0]):
        start = rfc3339(window // SECOND)
        for key, metrics in sorted(cells.items(), key=lambda item: [(value is None, str(value)) for value in item[0]]):
            before = shown[table].get((start, *key))
            main = (start, *key[:2], key[-1])
            if before == metrics.events:
                continue
            if table == 0 and before is not None and before > metrics.events:
                kept.add(main)
            gains = (before is None or metrics.events > before) and main not in kept
            cell = Cell(metrics, "corrected")
            result, record = to_result(window, tables[table], key, cell), to_record(window, tables[table], key, cell)
            changed.append(Change(table, key, result, record, before, gains))
    return changed


def _shown(settings: Settings, topic: str, rules: TableRules, tombstones: Tombstones[ResultKey]) -> dict[ResultKey, int]:
    """Return the highest revision of each result on `topic` that no tombstone has deleted."""
    shown: dict[ResultKey, int] = {}
    decode_key, decode = _readers(rules)
    for message in scan(settings, topic):
        refuse_foreign(topic, message)
        position, value = tombstones.position(message), message.value()
        with contextlib.suppress(*DECODE_ERRORS):  # not a result: it is not shown
            if value is None:
                tombstones.add(decode_key(message.key() or b""), position)
                continue
            key, revision = decode(value)
            if not tombstones.has_deleted(key, position):
                shown[key] = max(revision, shown.get(key, 0))
    return shown


def _readers(rules: TableRules) -> tuple[Callable[[bytes], ResultKey], Callable[[bytes], tuple[ResultKey, int]]]:
    """Return what reads the key of a record of a table, and what reads the same key and the revision from its value."""
    if rules.breakdown is None:

        def of_result(value: bytes) -> tuple[ResultKey, int]:
            result = decode_result(value)
            return (result.window_start, result.campaign_id, result.channel, result.currency), result.revision

        return decode_result_key, of_result
    codec = breakdown_codec(rules.breakdown)

    def key_of_row(key: bytes) -> ResultKey:
        start, campaign, channel, values, currency = codec.decode_key(key)
        return start, campaign, channel, *values, currency

    def of_row(value: bytes) -> tuple[ResultKey, int]:
        result, values = codec.decode(value)
        return (result.window_start, result.campaign_id, result.channel, *values, result.currency), result.revision

    return key_of_row, of_row


def write(settings: Settings, gained: Sequence[Change]) -> int:
    """Put the results of changes on their topics and wait for the acknowledgements; their number. Raises `DeliveryError`."""
    for table, topic in enumerate((settings.results_topic, *settings.breakdown_topics)):
        records: Iterable[tuple[bytes, bytes]] = [change.record for change in gained if change.table == table]
        if records:
            deliver(settings, "rebuild", topic, records, headers=[*HEADERS])
    return len(gained)


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
        log_lines.tell(f"{result.window_start}  {_in_words(settings, change)}: {before} → {change.after:,} events{note}")
    if not dry_run:
        write(settings, gained)
    log_lines.tell(f"{len(gained):,} results {'would change' if dry_run else 'changed'}")


def _in_words(settings: Settings, change: Change) -> str:
    """Return which cell changes: campaign, channel, the values of a breakdown by their fields, and currency."""
    campaign, channel, *values, currency = change.key
    words = f"{campaign!r} {channel!r} {currency}"
    if change.table == 0:
        return words
    breakdown = settings.breakdown_list[change.table - 1]
    shown = ("(other)" if value is True else "(not set)" if value is None else repr(value) for value in values)
    named = ", ".join(f"{field}={value}" for field, value in zip(breakdown.fields, shown, strict=True))
    return f"{words} {breakdown.name}: {named}"
