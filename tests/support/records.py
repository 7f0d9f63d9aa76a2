"""Messages as a test hands them to the intake, and events as it writes them down."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import Any

T0 = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
"""The time from which the tests count."""

FAR = 32_503_680_000_000
"""A time of Kafka's (milliseconds) so late that no event is too far ahead of it."""


@dataclass
class FakeRecord:
    """A Kafka message without Kafka; `time` in milliseconds since 1970, `kind` as in `Message.timestamp`."""

    payload: bytes | None
    at: int = 0
    time: int = FAR
    kind: int = 2

    def value(self) -> bytes | None:
        return self.payload

    def offset(self) -> int:
        return self.at

    def timestamp(self) -> tuple[int, int]:
        return self.kind, self.time


def stamp(seconds: float) -> str:
    """RFC 3339 for `seconds` after T0."""
    return (T0 + dt.timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def micros(seconds: float) -> int:
    """Microseconds since 1970 for `seconds` after T0."""
    return round((T0.timestamp() + seconds) * 1_000_000)


def event(event_id: str = "e1", seconds: float = 0.0, **fields: Any) -> dict[str, Any]:
    """An impression of campaign c on channel search, `seconds` after T0; `fields` replace or add."""
    base = {
        "event_id": event_id,
        "event_type": "impression",
        "timestamp": stamp(seconds),
        "campaign_id": "c",
        "channel": "search",
    }
    return {**base, **fields}


def payload(event_id: str = "e1", seconds: float = 0.0, **fields: Any) -> bytes:
    """`event` as JSON bytes."""
    return json.dumps(event(event_id, seconds, **fields)).encode()


def log(*payloads: bytes | None, start: int = 0) -> list[FakeRecord]:
    """Messages with these payloads at successive offsets."""
    return [FakeRecord(value, start + place) for place, value in enumerate(payloads)]
