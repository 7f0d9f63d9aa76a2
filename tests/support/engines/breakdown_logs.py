"""Random logs of events with breakdowns, declared types and currencies, and all that an intake makes of them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

from dataflows.contract.metrics import CellKey, Metrics
from dataflows.contract.schema import Rejected
from dataflows.contract.settings import Settings
from dataflows.intake.partition import Intake, IntakeState
from dataflows.intake.rules import Rules
from dataflows.kafka.record import Record
from tests.support.engines.intakes import intake_kind, laid
from tests.support.records import FakeRecord, event, micros

BREAKDOWNS = (
    "",
    "ad=adgroup_id,ad_id;device;country",
    "device;d2=device;all=adgroup_id,ad_id,device,sku,kind,country,click_id,user_id",
    "s=sku;t=event_type,sku;i=event_id",
    "k=küche,sku",
    ";".join(f"b{number}={','.join(f'f{number * 8 + field}' for field in range(8))}" for number in range(16)),
)
EVENT_TYPES = ("", "add_to_cart,lead:conversion,renewal:purchase,chargeback:refund", "view,a:click,b:impression")
_TYPES = ("impression", "click", "conversion", "purchase", "refund", "cost")
_FIELDS = ("adgroup_id", "ad_id", "device", "sku", "küche", "kind", "country", "click_id", "user_id", "placement", "f0", "f127")
_HOSTILE: tuple[Any, ...] = (
    *("(other)", "null", "true", "", "日本", "\x00", "😀", 'q"\\\n', "ü" * 256, "ü" * 257, "x" * 256, "x" * 257),
    *(None, 5, True, False, [1], {"a": 1}),
)
_CURRENCIES: tuple[Any, ...] = ("USD", "EUR", "JPY", "ZZZ", "eur", "", "EURO", "EU", "ÄBC", "EUR\n", None, 5)
_MONEY = (0, 5, -7, 123_456, 10**13)
_LARGE = (*_MONEY, 2**62, 2**63 - 1, -(2**63))


class BreakdownLog(NamedTuple):
    """A log, and the rules by which it is judged."""

    rules: Rules
    records: list[FakeRecord]


def breakdown_log(seed: int, count: int = 400) -> BreakdownLog:
    """Return a log of `count` messages and the rules by which it is judged, of all kinds that there are."""
    rng = random.Random(seed)
    rules = Rules.of(
        Settings(
            breakdowns=rng.choice(BREAKDOWNS),
            event_types=rng.choice(EVENT_TYPES),
            breakdown_cells=rng.choice([1, 3, 20, 10_000]),
            dedup=rng.random() < 0.7,
            currency=rng.choice(["USD", "EUR"]),
            allowed_lateness_seconds=rng.choice([600.0, 60.0]),
            max_ahead_seconds=30.0,
        )
    )
    wall = micros(0) // 1000
    lateness = rng.choice([50, 900])
    records: list[FakeRecord] = []
    for number in range(count):
        late = rng.choice([0.0, 0.0, 0.0, rng.random() * 5, rng.random() * lateness])
        seconds = round(number * rng.choice([1, 1, 1, 2]) * 0.8 - late, 3)
        twin = rng.choice([0, 0, 0, 3, 50, 300])
        types = (*_TYPES, *rules.types, *rules.types)
        records.append(FakeRecord(_message(rng, f"id-{number - twin}", seconds, types), number, wall + number * 800))
    return BreakdownLog(rules, records)


def _message(rng: random.Random, event_id: str, seconds: float, types: Sequence[str]) -> bytes:
    """Return an event as text, most of the time a right one of the fast path, with its fields in any order."""
    money = _LARGE if rng.random() < 0.05 else _MONEY
    fields: dict[str, Any] = event(
        *(event_id, seconds),
        event_type=rng.choice(types) if rng.random() > 0.05 else rng.choice(["nope", "lead", "view", "Click"]),
        campaign_id=rng.choice("abcd"),
        channel=rng.choice(["x", "y", "xy"]),
        cost_micros=rng.choice(money),
        revenue_micros=rng.choice(money),
    )
    for field in _FIELDS:
        chance = rng.random()
        if chance < 0.75:
            fields[field] = f"v{int(rng.random() ** 2 * 40)}"
        elif chance < 0.77:
            fields[field] = rng.choice(_HOSTILE)
    if rng.random() < 0.7:
        fields["currency"] = rng.choice(_CURRENCIES[: rng.choice([4] * 9 + [len(_CURRENCIES)])])
    pairs = list(fields.items())
    rng.shuffle(pairs)
    if rng.random() < 0.1:
        name, value = rng.choice(pairs)
        pairs.append((name, rng.choice([value, "again", None])))  # a field that is given twice: its last value counts
    return f"{{{','.join(f'{_name(rng, name)}:{_value(rng, value)}' for name, value in pairs)}}}".encode()


def _name(rng: random.Random, name: str) -> str:
    return json.dumps(name, ensure_ascii=False) if rng.random() > 0.01 else f'"\\u{ord(name[0]):04x}{name[1:]}"'


def _value(rng: random.Random, value: object) -> str:
    return json.dumps(value, ensure_ascii=rng.random() < 0.3)


Sums = dict[tuple[int, int, int, CellKey], Metrics]
"""By shard, start of the window, table and key."""


def outcomes(
    kind: type[Intake], log: BreakdownLog, seed: int, *, restarts: bool = True
) -> list[tuple[Sums, list[Rejected], IntakeState]]:
    """Return all that an intake makes of `log`, which it takes in random pieces, if `restarts` with restarts at random moments."""
    rules, records = log
    rng = random.Random(seed)
    formats = rules.formats()
    intake, shown, position = kind(rules, "logs", 0, IntakeState(), now=lambda: 0.0), list[Any](), 0
    while position < len(records):
        begin, position = position, position + rng.randrange(1, 120)
        intake.take(_laid(rng)(records[begin:position]))
        again = restarts and rng.random() < 0.08
        if not again and rng.random() < 0.3 and position < len(records):
            continue
        shares, rejected = intake.fetch()
        sums: Sums = {}
        for share in shares:
            for key, own in formats[share.table].unpack(share.cells):
                add(sums, (share.shard, share.window, share.table, key), own)
        shown.append((sums, rejected, intake.state()))
        if again:
            intake = _restarted(intake, records[:position], rng)
    return shown


def add(sums: Sums, cell: tuple[int, int, int, CellKey], own: Metrics) -> None:
    """Add the sums of a cell to those that it has."""
    sums.setdefault(cell, Metrics(declared=[0] * len(own.declared))).merge(own)


def totals(shown: Sequence[tuple[Sums, list[Rejected], IntakeState]]) -> Sums:
    """Return the sums of each cell over all that an intake gave."""
    sums: Sums = {}
    for cells, _, _ in shown:
        for cell, own in cells.items():
            add(sums, cell, own)
    return sums


def _laid(rng: random.Random) -> Callable[[Sequence[Record]], Sequence[Record]]:
    return laid if rng.random() < 0.5 else list


def _restarted(intake: Intake, records: Sequence[FakeRecord], rng: random.Random) -> Intake:
    """Return an intake that resumes from the state of `intake`, which has taken `records`."""
    again = type(intake)(intake.rules, "logs", 0, intake.state(), now=lambda: 0.0)
    begin = again.rewind()
    while begin is not None and begin < len(records):
        end = min(len(records), begin + rng.randrange(1, 200))
        again.refill(_laid(rng)(records[begin:end]))
        begin = end
    again.resume()
    return again


def counted(choice: Literal["on", "off"]) -> list[object]:
    """Return what one kind of intake makes of a number of logs."""
    return [outcomes(intake_kind(choice), breakdown_log(seed), seed) for seed in range(18)]
