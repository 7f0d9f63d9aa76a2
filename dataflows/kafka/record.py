"""A Kafka message as the code of both engines sees it, from any client. This module does not know a client."""

from __future__ import annotations

from typing import Protocol

LOG_APPEND_TIME = 2
"""Type of a message timestamp that the broker set: within a partition it goes back only if the broker's clock was set back."""


class Record(Protocol):
    """The part of a Kafka message that is used here; `timestamp` is (its type, milliseconds since 1970)."""

    def value(self) -> bytes | None:
        """Return the payload; None for a tombstone."""
        ...

    def offset(self) -> int | None:
        """Return the offset in the partition."""
        ...

    def timestamp(self) -> tuple[int, int]:
        """Return the type of the message timestamp and the timestamp."""
        ...
