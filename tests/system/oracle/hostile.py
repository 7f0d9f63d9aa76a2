"""Logs that contain everything at once: disorder, repeats, poison, names and money at their limits, and all kinds of types and values."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from typing import Any

from tests.support.malformed import BAD
from tests.support.records import payload

NAMES = ["c", "ünïcode", '"],["', "<b>", "\u202e", "x" * 256, "a\u0000b"]

BREAKDOWNS = "ad=adgroup_id,ad_id;device;place=shelf,country"
"""`shelf` is a field that only this deployment knows."""

EVENT_TYPES = "add_to_cart,lead:conversion,renewal:purchase,chargeback:refund,A.b-c_9:click,view:impression"

FIELDS = ("adgroup_id", "ad_id", "device", "shelf", "country")

TYPES = [
    *("impression", "click", "conversion", "purchase", "refund", "cost"),
    *("add_to_cart", "lead", "renewal", "chargeback", "A.b-c_9", "view"),
]
UNDECLARED = ["add_to_card", "Lead", "lead ", "", "lead:conversion", "IMPRESSION", "counts"]

CURRENCIES = ["USD", "EUR", "JPY", "GBP", "CHF", "TND", "XAU", "ZZZ", None]
NOT_CURRENCIES: list[Any] = ["usd", "", "US", "USDX", "USD\n", " USD", "ＵＳＤ", "U$D", 840, True, ["USD"]]

VALUES: list[Any] = [
    *(
        None,
        "(other)",
        "(not set)",
        "true",
        "null",
        "True",
        "1",
        "a",
        "A",
        "a ",
        "\u00e9",
        "e\u0301",
        "\n",
        "\u0000",
        '"',
        "\\",
        "[true]",
    ),
    *("😀" * 256, "v" * 256, "\U0010ffff", "\u2028", "\ud7ff"),
]
NOT_VALUES: list[Any] = ["", "v" * 257, "😀" * 257, True, False, 0, 1.5, [], ["a"], {}, {"a": 1}]
"""Each makes an event malformed in a field that is validated."""

MONEY: list[dict[str, Any]] = [
    {},
    {"cost_micros": 2**63 - 1},
    {"cost_micros": -5},
    {"cost_micros": None},
    {"revenue_micros": 10**12},
]


def hostile(count: int, seed: int, pace: float = 2.0) -> list[bytes | None]:
    """`count` payloads, `pace` seconds of event time apart, and a last one that is too large."""
    return [*endless(count, seed, pace), payload("big", 0, note="n" * 70_000)]


def endless(count: int, seed: int, pace: float) -> Iterator[bytes | None]:
    """The same, one at a time, without the last one."""
    rng = random.Random(seed)
    poison = list(BAD.values())
    for number in range(count):
        seconds = number * pace - (rng.random() * 900 if rng.random() < 0.05 else rng.random() * 5)
        if rng.random() < 0.02:
            yield rng.choice(poison)
            continue
        name = f"e{number if rng.random() > 0.03 else rng.randrange(max(0, number - 300), number + 1)}"
        fields = _kinds(rng) | rng.choice(MONEY) | _dimensions(rng, number)
        if rng.random() < 0.005:
            fields["timestamp"] = "9999-12-31T23:59:59Z"
        yield payload(name, seconds, campaign_id=rng.choice(NAMES), channel=rng.choice(NAMES[:3]), **fields)


def varied(payloads: Iterable[bytes], seed: int) -> Iterator[bytes]:
    """Events with values, currencies and declared types added, the same for all copies of one; what is not an event stays as it was."""
    for value in payloads:
        try:
            event = json.loads(value)
            name = event["event_id"]
        except (ValueError, LookupError, TypeError):
            yield value
            continue
        rng = random.Random(f"{seed} {name}")
        more = {**_dimensions(rng, rng.randrange(1000)), "currency": rng.choice(CURRENCIES)}
        if rng.random() < 0.3:
            more["event_type"] = rng.choice(TYPES)
        yield json.dumps({**event, **more}).encode()


def _kinds(rng: random.Random) -> dict[str, Any]:
    kinds: dict[str, Any] = {"event_type": rng.choice(TYPES if rng.random() > 0.02 else UNDECLARED)}
    if rng.random() > 0.4:
        kinds["currency"] = rng.choice(CURRENCIES if rng.random() > 0.02 else NOT_CURRENCIES)
    return kinds


def _dimensions(rng: random.Random, number: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in FIELDS:
        if rng.random() < 0.3:
            continue
        values = VALUES if rng.random() > 0.005 else NOT_VALUES
        # Few values mostly, and now and then one that no other event has.
        found[field] = rng.choice(values) if rng.random() < 0.3 else f"v{number if rng.random() < 0.1 else number % 3}"
    return found


def crowded(count: int, distinct: int, minutes: int = 1) -> Iterator[bytes]:
    """`count` events over `minutes`, with `distinct` values of `device` and of `ad_id`, in two currencies and all types."""
    for number in range(count):
        seconds = 60 * minutes * number / count
        value = f"value {number % distinct}"
        kind, currency = TYPES[number % len(TYPES)], CURRENCIES[number % 2]
        fields = {"adgroup_id": f"g{number % 7}", "ad_id": value, "device": value, "country": None, "shelf": value[:7]}
        yield payload(f"e{number}", seconds, event_type=kind, currency=currency, cost_micros=number, revenue_micros=7, **fields)
