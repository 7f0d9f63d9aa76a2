"""What the flow is given in the scenarios."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tests.support.records import payload

Payloads = Sequence[bytes | None]


def events(tag: str, count: int, seconds: float, begin: float = 0.0) -> list[bytes | None]:
    """`count` impressions with cost over `seconds`, a little out of order, on four campaigns whose names need JSON keys."""
    rng = random.Random(tag)
    names = [("a|b", "c"), ("a", "b|c"), ("ü", "search"), ("c", "search")]
    given: list[bytes | None] = []
    for number in range(count):
        campaign, channel = names[number % 4]
        moment = begin + number * seconds / count + rng.random()
        given.append(payload(f"{tag}-{number}", moment, campaign_id=campaign, channel=channel, cost_micros=number + 1))
    return given


def odd(tag: str) -> list[bytes | None]:
    """What needs care: repeats, broken payloads, no value, money beyond a double's 53 bits, a time that rounds up to the next minute."""
    return [
        *events("twin", 40, 50),
        b"{bad",
        None,
        b"\xff",
        payload(f"{tag}-big", 5, campaign_id="big", cost_micros=2**53 + 1),
        payload(f"{tag}-edge", timestamp="2026-01-01T12:00:59.9999999Z", campaign_id="edge"),
    ]


def by_device(tag: str, devices: str, minute: int = 0) -> list[bytes | None]:
    """An event of each device in `devices`, a letter each, of which ``-`` is none; every third one in euros, a quarter of them leads."""
    types, currencies = ("lead", "impression", "add_to_cart", "click"), ("EUR", None, "USD")
    return [
        payload(
            *(f"{tag}-{number}", 60 * minute + number),
            device=None if device == "-" else device,
            event_type=types[number % 4],
            currency=currencies[number % 3],
            cost_micros=2**number,
            revenue_micros=3,
        )
        for number, device in enumerate(devices)
    ]
