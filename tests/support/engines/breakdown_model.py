"""A model of contract 2 that knows nothing of the engines: logs with everything in them, and the sums of every cell of every table."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from dataflows.contract.settings import Settings
from dataflows.intake.rules import KEPT, SECOND, Rules
from dataflows.wire.cell_bytes import Share
from tests.support.records import FakeRecord, event, micros

SETTINGS = Settings(
    breakdowns="ad=adgroup_id,ad_id;device;who=user_id,event_type;own=Größe",
    breakdown_cells=7,
    event_types="add_to_cart,view:impression,call:click,lead:conversion,renewal:purchase,chargeback:refund",
    window_seconds=10,
    allowed_lateness_seconds=20,
    out_of_order_seconds=5,
)

FIELDS = (("adgroup_id", "ad_id"), ("device",), ("user_id", "event_type"), ("Größe",))
"""The fields of each breakdown of `SETTINGS`."""

DECLARED = {
    "add_to_cart": None,
    "view": "impression",
    "call": "click",
    "lead": "conversion",
    "renewal": "purchase",
    "chargeback": "refund",
}
COUNTS = {
    "impression": ("impressions",),
    "click": ("clicks",),
    "conversion": ("conversions",),
    "purchase": ("conversions", "purchases"),
    "refund": ("refunds",),
}
HOSTILE = ("(other)", "(not set)", "true", "null", "\0", "x" * 256, "ü" * 256, "😀", '"\\\n\t', "\u2028", " ", "a\x1fb")

Row = tuple[int, int, tuple[Any, ...]]
"""Table, start of the window in microseconds, and key: campaign, channel, values, currency."""

Sums = dict[Row, dict[str, int]]


def make_log(count: int, seed: int, *, values: int = 12, step: float = 1.0) -> list[FakeRecord]:
    """Return `count` messages with all types, roles, currencies, disorder, late and repeated events, and hostile values."""
    rng = random.Random(seed)
    records: list[FakeRecord] = []
    for number in range(count):
        seconds = max(0.0, number * step - rng.choice([0, 0, 0, 3, 12, 25, 60]))
        twin = number - rng.choice([0, 0, 0, 1, 3, 20, 45])
        fields: dict[str, Any] = {
            "event_type": rng.choice([*COUNTS, "cost", *DECLARED]),
            "campaign_id": rng.choice("ab"),
            "cost_micros": rng.choice([None, 5, -7, 2**63 - 1]),
            "revenue_micros": rng.choice([None, 11, -3, -(2**63)]),
            "currency": rng.choice([None, "USD", "EUR", "JPY"]),
        }
        for field in ("adgroup_id", "ad_id", "device", "user_id", "Größe"):
            fields[field] = rng.choice([None, rng.choice(HOSTILE), f"v{rng.randrange(values)}"])
            if rng.random() < 0.2:
                del fields[field]
        text = json.dumps(event(f"id-{max(0, twin)}", seconds, **fields), ensure_ascii=rng.random() < 0.5)
        if rng.random() < 0.2:  # an escaped key is the same key
            text = text.replace('"device"', '"\\u0064evice"').replace('"campaign_id"', '"campaign\\u005fid"')
        records.append(FakeRecord(text.encode(), number))
    return records


def expected(records: Iterable[FakeRecord], settings: Settings = SETTINGS) -> Sums:
    """Return the sums of each cell that one partition with the log `records` counts."""
    window_length, delay = settings.window_seconds * SECOND, round(settings.out_of_order_seconds * SECOND)
    lateness = round(settings.allowed_lateness_seconds * SECOND)
    generation_span = -(-(window_length + lateness + delay) // (KEPT - 1))
    clock: int | None = None
    last_seen: dict[str, int] = {}
    admitted: dict[tuple[int, int], set[tuple[Any, ...]]] = defaultdict(set)
    sums: Sums = {}
    for record in records:
        fields = json.loads(record.payload or b"")
        moment = round(dt.datetime.fromisoformat(fields["timestamp"].replace("Z", "+00:00")).timestamp() * SECOND)
        window = moment - moment % window_length
        if clock is not None and window + window_length + lateness <= clock - delay:
            continue
        clock = moment if clock is None else max(clock, moment)
        generation = clock // generation_span
        known = last_seen.get(fields["event_id"], -KEPT) > generation - KEPT
        last_seen[fields["event_id"]] = generation
        if known and settings.dedup:
            continue
        for table, of_breakdown in enumerate(((), *FIELDS)):
            name, currency = (fields["campaign_id"], fields["channel"]), fields.get("currency") or settings.currency
            key = (*name, *(fields.get(field) for field in of_breakdown), currency)
            taken = admitted[table, window]
            if table and key not in taken and len(taken) >= settings.breakdown_cells:
                key = (*name, *(True for _ in of_breakdown), currency)
            elif table:
                taken.add(key)
            _add(sums.setdefault((table, window, key), defaultdict(int)), fields)
    return {row: dict(cell) for row, cell in sums.items()}


def _add(cell: dict[str, int], fields: dict[str, Any]) -> None:
    kind = fields["event_type"]
    role = DECLARED.get(kind, kind)
    cell["events"] += 1
    for name in COUNTS.get(role or "", ()):
        cell[name] += 1
    if kind in DECLARED:
        cell[f"counts.{kind}"] += 1
    cell["spend_micros"] += fields.get("cost_micros") or 0
    cell["refund_micros" if role == "refund" else "revenue_micros"] += fields.get("revenue_micros") or 0


def rows_of(shares: Iterable[Share], settings: Settings = SETTINGS) -> Sums:
    """Return the sums of each cell in `shares`, in the form of `expected`."""
    rules = Rules.of(settings)
    formats = rules.formats()
    rows: Sums = {}
    for _, window, table, data in shares:
        for key, metrics in formats[table].unpack(data):
            cell = rows.setdefault((table, window, key), defaultdict(int))
            for name in metrics.__struct_fields__[:-1]:
                cell[name] += getattr(metrics, name)
            for name, count in zip(rules.types, metrics.declared, strict=True):
                cell[f"counts.{name}"] += count
    return {row: dict(cell) for row, cell in rows.items()}


def without_zeros(sums: Sums) -> Sums:
    """Return `sums` without the measures that are 0."""
    return {row: {name: number for name, number in cell.items() if number} for row, cell in sums.items()}


def summed_to_main(sums: Sums, table: int) -> Sums:
    """Return the sums of the rows of `table` by campaign, channel and currency, as rows of the results."""
    total: Sums = {}
    for (of_table, window, key), cell in sums.items():
        if of_table == table:
            main = total.setdefault((0, window, (*key[:2], key[-1])), defaultdict(int))
            for name, number in cell.items():
                main[name] += number
    return total


def check_equation(sums: Sums, tables: Sequence[int]) -> None:
    """Assert that the rows of each of `tables` sum to the cells of the results, for every measure."""
    main = without_zeros({row: cell for row, cell in sums.items() if row[0] == 0})
    for table in tables:
        assert without_zeros(summed_to_main(sums, table)) == main, f"table {table}"


def window_at(seconds: float, settings: Settings = SETTINGS) -> int:
    """Return the start of the window of `seconds` after T0, in microseconds."""
    return micros(seconds) // (settings.window_seconds * SECOND) * settings.window_seconds * SECOND
