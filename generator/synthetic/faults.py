"""Faults of real traffic, injected deliberately: events out of order, late, sent twice, malformed.

The shares are shares of all messages. What is injected is drawn from a generator of its own, so that the events around it stay as
they would be without it.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from dataflows.contract.settings import Settings
from generator.batches import Mark, Message

WARM_UP = 200
"""No late event among the first messages: the clock that makes it late has to be on each partition first."""


class Faults(msgspec.Struct, frozen=True):
    """Shares of all messages, 0 to 1; `disorder_seconds` is how far behind its neighbours an event out of order lies at most."""

    disorder: float = 0.0
    disorder_seconds: float = 3.0
    duplicates: float = 0.0
    late: float = 0.0
    malformed: float = 0.0


class Injector:
    """Applies `Faults`. `rate` (messages/s) bounds how old a repeated event can be; `settings` say what is late."""

    def __init__(self, faults: Faults, seed: int, rate: float, settings: Settings) -> None:
        self._faults = faults
        self._random = random.Random(f"faults {seed}")  # noqa: S311 - traffic to look at, no secret
        horizon = settings.window_seconds + settings.allowed_lateness_seconds + settings.out_of_order_seconds
        # A partition's clock may be some messages behind: the margin makes late events late on any of them.
        self._late = int((horizon + 30 + 100 / rate) * 1_000_000)
        # Repeats come within half a minute, and within the time in which they can be recognised.
        self._recent: deque[Message] = deque(maxlen=max(1, min(1000, int(rate * 30))))
        self._kinds = list(KINDS.values())

    def times(self, first: int, slots: list[int]) -> tuple[list[int], dict[int, Mark]]:
        """Return the event time of each slot (microseconds), and the marks of the faults to come; message `first` is at index 0."""
        faults, draw = self._faults, self._random.random
        shares = (faults.malformed, faults.duplicates, faults.late, faults.disorder)
        if not any(shares):
            return slots, {}
        malformed, duplicates = faults.malformed, faults.malformed + faults.duplicates
        late = duplicates + faults.late
        times, marks = list(slots), dict[int, Mark]()
        for index, slot in enumerate(slots):
            chance = draw()
            if chance < malformed:
                marks[index] = "malformed"
            elif chance < duplicates:
                marks[index] = "duplicates"
            elif chance < late:
                if first + index >= WARM_UP:
                    marks[index] = "late"
                    times[index] = slot - self._late - int(draw() * 300_000_000)
            elif chance < late + faults.disorder:
                times[index] = slot - int(draw() * faults.disorder_seconds * 1_000_000)
        return times, marks

    def messages(self, messages: list[Message], marks: dict[int, Mark]) -> list[Message]:
        """`messages` with those that are marked as malformed broken, and those marked as duplicates replaced by earlier ones."""
        if not (self._faults.malformed or self._faults.duplicates):
            return messages
        recent, draw = self._recent, self._random.random
        for index, message in enumerate(messages):
            mark = marks.get(index)
            if mark == "malformed":
                messages[index] = self._broken(message)
            elif mark == "duplicates" and recent:
                messages[index] = recent[int(draw() * len(recent))]
            elif mark == "duplicates":
                del marks[index]  # the very first message repeats nothing
            elif mark is None:
                recent.append(message)
        return messages

    def _broken(self, message: Message) -> Message:
        key, value = message
        kind = self._kinds[int(self._random.random() * len(self._kinds))]
        event = msgspec.json.decode(value, type=dict[str, Any])
        return key, kind(event, value.encode() if isinstance(value, str) else value)


_json = msgspec.json.encode


def _without(name: str) -> Callable[[dict[str, Any], bytes], bytes]:
    return lambda event, _: _json({key: value for key, value in event.items() if key != name})


def _with(name: str, value: object) -> Callable[[dict[str, Any], bytes], bytes]:
    return lambda event, _: _json(event | {name: value})


KINDS: dict[str, Callable[[dict[str, Any], bytes], bytes]] = {
    "cut short": lambda _, payload: payload[: len(payload) * 2 // 3],
    "no JSON": lambda event, _: f"GET /pixel.gif?id={event['event_id']} HTTP/1.1".encode(),
    "not UTF-8": lambda _, payload: payload.replace(b'"channel":"', b'"channel":"\xff\xfe', 1),
    "two in one": lambda _, payload: payload + payload,
    "a list": lambda _, payload: b"[" + payload + b"]",
    "null": lambda _event, _payload: b"null",
    "no event_id": _without("event_id"),
    "no timestamp": _without("timestamp"),
    "no campaign_id": _without("campaign_id"),
    "time without a zone": lambda event, _: _json(event | {"timestamp": event["timestamp"].rstrip("Z")}),
    "time as a number": _with("timestamp", 1_767_225_600),
    "no such day": lambda event, _: _json(event | {"timestamp": "2026-02-30" + event["timestamp"][10:]}),
    "unknown type": _with("event_type", "page view"),  # a name that no deployment can declare
    "money as a float": _with("cost_micros", 1.25),
    "money as text": _with("cost_micros", "1250000"),
    "money as a boolean": _with("revenue_micros", True),
    "money beyond 64 bits": _with("revenue_micros", 2**63),
    "empty campaign_id": _with("campaign_id", ""),
    "channel too long": _with("channel", "x" * 257),
    "channel null": _with("channel", None),
    "currency in small letters": _with("currency", "usd"),
    "empty currency": _with("currency", ""),
    "device as a number": _with("device", 3),
    "ad_id too long": _with("ad_id", "x" * 257),
    "empty country": _with("country", ""),
}
"""Ways to be malformed: each takes the event as a dictionary and as JSON, and returns the broken payload (without a line end)."""
