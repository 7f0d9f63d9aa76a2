"""The sender's clock, passed in so that tests can replace it."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """The current time, and a way to wait."""

    def now(self) -> int:
        """Return the current time in microseconds since 1970."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait for at most `seconds`."""
        ...


class SystemClock:
    """The time of day at the start, and from then on the monotonic clock: a correction of the system time never breaks the pace."""

    def __init__(self) -> None:
        self._offset = time.time_ns() - time.monotonic_ns()

    def now(self) -> int:
        """Return the current time in microseconds since 1970."""
        return (self._offset + time.monotonic_ns()) // 1000

    def sleep(self, seconds: float) -> None:
        """Sleep for at most 0.1 s, so that a signal is noticed soon."""
        time.sleep(min(seconds, 0.1))
