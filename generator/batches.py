"""What sources hand to the sender: batches of Kafka messages, each with the time at which it is due."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from typing import Literal, Protocol, TypeAlias

import msgspec

Message: TypeAlias = tuple[str, str | bytes]
"""Kafka key and value."""

Mark = Literal["duplicates", "late", "malformed"]
"""Fault that was injected into a message."""


class Batch(msgspec.Struct, gc=False):
    """Messages in the order in which they go out.

    `due` has a time for each (microseconds since 1970, ascending), or is empty: then all are due at once. `marks` says what was done
    to the message at an index.
    """

    messages: list[Message]
    due: list[int]
    marks: dict[int, Mark] = msgspec.field(default_factory=dict)

    def count(self, start: int, end: int) -> Counter[Mark]:
        """Return the number of messages from `start` to `end` with each mark."""
        return Counter(mark for index, mark in self.marks.items() if start <= index < end)


class Source(Protocol):
    """Anything that can be sent."""

    total: int | None
    """Total number of messages; None if unknown."""

    def batches(self) -> Iterator[Batch]:
        """Yield the messages in batches."""
        ...

    def title(self) -> str:
        """Return a short description of what is being sent."""
        ...


class Stamps:
    """RFC 3339 texts of times in microseconds since 1970; remembers the text of each second."""

    def __init__(self) -> None:
        self._seconds: dict[int, str] = {}

    def second(self, second: int) -> str:
        """``2026-01-01T12:00:00.``, to which six digits and ``Z`` are added; raises `OverflowError` outside the years 1 to 9999."""
        text = self._seconds.get(second)
        if text is None:
            if len(self._seconds) > 10_000:
                self._seconds.clear()
            moment = dt.datetime(1970, 1, 1) + dt.timedelta(seconds=second)
            text = self._seconds[second] = moment.isoformat(timespec="seconds") + "."
        return text

    def millisecond(self, milli: int) -> str:
        """``2026-01-01T12:00:00.000``, to which three digits and ``Z`` are added; raises `OverflowError` as `second` does."""
        second, rest = divmod(milli, 1_000)
        return f"{self.second(second)}{rest:03d}"

    def text(self, micros: int) -> str:
        """``2026-01-01T12:00:00.000000Z``."""
        second, rest = divmod(micros, 1_000_000)
        return f"{self.second(second)}{rest:06d}Z"
