"""Ad events of a benchmark, generated from a description, and their true sums."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

CHANNELS = ("search", "social", "display", "email", "video")
BASE = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
"""Time of the first event."""

DISORDER_MS = 2000
"""Maximum disorder: milliseconds by which an event may be older than its position in the topic implies."""

LATE_MS = 750_000
"""How much older a late event is: more than a window, the allowed lateness of 600 s, the bound of 5 s, and the disorder."""

FLUSH = "__flush__"
"""Campaign of the last event of each partition, ten minutes later. It closes the last windows of engines that emit only closed windows."""

TWIN = 100
"""A duplicate repeats the event at this distance before it in its partition."""

BROKEN = b'{"event_id":"broken","event_type":'

DIMENSIONS = ("device", "country", "keyword")
"""Fields of an event that breakdowns can name, in a load that has `values` of them."""

Key = tuple[str, str, str]
"""Window start (RFC 3339, to the second), campaign, channel."""

Sums = tuple[int, int, int, int, int]
"""Impressions, clicks, conversions, cost and revenue in micros."""


@dataclass(frozen=True)
class Load:
    """Description of a topic's events. Shares between 0 and 1: `late` (beyond the allowed lateness), `duplicates`, `malformed`.

    `values`: distinct values of each of `DIMENSIONS`, 0 for events without them.
    """

    events: int
    campaigns: int = 50
    partitions: int = 4
    minutes: int = 20
    late: float = 0.0
    duplicates: float = 0.0
    malformed: float = 0.0
    seed: int = 7
    ids: str = "uuid"
    values: int = 0

    @property
    def clean(self) -> bool:
        """Whether every event counts; only then can a system without deduplication and lateness be exact."""
        return not (self.late or self.duplicates or self.malformed)


@dataclass
class Truth:
    """True sums of the events by the contract: duplicates count once, late and malformed events not at all."""

    cells: dict[Key, list[int]] = field(default_factory=dict[Key, list[int]])
    late: int = 0
    duplicate: int = 0
    malformed: int = 0

    @property
    def counted(self) -> int:
        """Number of events that count."""
        return sum(sum(sums[:3]) for sums in self.cells.values())

    def totals(self) -> dict[str, int]:
        """Return the sums over all cells, and the number of cells."""
        columns = [sum(sums[place] for sums in self.cells.values()) for place in range(5)]
        names = ("impressions", "clicks", "conversions", "cost_micros", "revenue_micros")
        others = {"counted": self.counted, "late": self.late, "duplicate": self.duplicate, "malformed": self.malformed}
        return {**dict(zip(names, columns, strict=True)), "cells": len(self.cells), **others}


class TimestampText:
    """Formats milliseconds since `BASE` as RFC 3339; each second is formatted once."""

    def __init__(self) -> None:
        self._seconds: dict[int, str] = {}

    def text(self, ms: int) -> str:
        """Return the time, as in ``2026-01-01T00:00:00.000Z``."""
        second, rest = divmod(ms, 1000)
        shown = self._seconds.get(second)
        if shown is None:
            shown = self._seconds[second] = (BASE + dt.timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S.")
        return f"{shown}{rest:03d}Z"

    def minute(self, ms: int) -> str:
        """Return the start of the time's minute, as in ``2026-01-01T00:00:00Z``."""
        return f"{self.text(ms - ms % 60_000)[:19]}Z"


def messages(load: Load, truth: Truth) -> Iterator[tuple[int, bytes]]:
    """Yield the messages as (partition, payload), about 245 bytes each, and add their sums to `truth`."""
    draw = random.Random(load.seed).random
    clock = TimestampText()
    span = load.minutes * 60_000
    back = TWIN * load.partitions
    recent = [b""] * back if not load.clean else []  # the payload that counted at this position of the last round, else empty
    duplicates, malformed = load.duplicates, load.duplicates + load.malformed
    late = malformed + load.late
    for place in range(load.events):
        ms = max(0, place * span // load.events - int(draw() * DISORDER_MS))
        fate = draw() if recent and place >= back else 1.0
        twin = recent[place % back] if fate < duplicates else b""
        if twin:
            payload = twin
            truth.duplicate += 1
        elif duplicates <= fate < malformed:
            payload = BROKEN
            truth.malformed += 1
        elif malformed <= fate < late:
            payload = _event(load, place, ms - LATE_MS, draw, clock, truth=None)
            truth.late += 1
        else:
            payload = _event(load, place, ms, draw, clock, truth=truth)
        if recent:
            recent[place % back] = b"" if duplicates <= fate < late else payload
        yield place % load.partitions, payload
    end = clock.text(span + 600_000)
    for partition in range(load.partitions):
        yield partition, _payload(f"flush-{partition}", "impression", end, (FLUSH, "search"), user="u", cost=0, revenue=0)


def _event(load: Load, place: int, ms: int, draw: Callable[[], float], clock: TimestampText, *, truth: Truth | None) -> bytes:
    kind, campaign, channel = draw(), f"campaign_{int(draw() * load.campaigns):05d}", CHANNELS[int(draw() * 5)]
    cost = revenue = 0
    if kind < 0.8:
        column, name, cost = 0, "impression", int(draw() * 20_000)
    elif kind < 0.97:
        column, name, cost = 1, "click", 200_000 + int(draw() * 5_000_000)
    else:
        column, name, revenue = 2, "conversion", 1_000_000 + int(draw() * 90_000_000)
    if truth is not None:
        sums = truth.cells.setdefault((clock.minute(ms), campaign, channel), [0, 0, 0, 0, 0])
        sums[column] += 1
        sums[3] += cost
        sums[4] += revenue
    noise = int(draw() * 2**47)
    event_id = f"{place:08x}-{noise & 0xFFFF:04x}-4000-8000-{noise:012x}" if load.ids == "uuid" else f"e{place}"
    user = f"user_{noise % 100_000:06d}"
    payload = _payload(event_id, name, clock.text(ms), (campaign, channel), user=user, cost=cost, revenue=revenue)
    return _with_dimensions(payload, load.values, draw) if load.values else payload


def _with_dimensions(payload: bytes, values: int, draw: Callable[[], float]) -> bytes:
    """Return the event with a value in each of `DIMENSIONS`, each drawn by itself."""
    more = ",".join(f'"{field}":"{field}-{int(draw() * values):04d}"' for field in DIMENSIONS)
    return payload[:-1] + f",{more}}}".encode()


def _payload(event_id: str, kind: str, time: str, cell: tuple[str, str], *, user: str, cost: int, revenue: int) -> bytes:
    campaign, channel = cell
    return (
        f'{{"event_id":"{event_id}","event_type":"{kind}","timestamp":"{time}","campaign_id":"{campaign}","channel":"{channel}",'
        f'"user_id":"{user}","cost_micros":{cost},"revenue_micros":{revenue},"currency":"USD"}}'
    ).encode()
