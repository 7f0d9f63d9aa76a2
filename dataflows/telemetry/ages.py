"""Age of an event when its result is acknowledged: which events are measured, and the figures of the last minutes.

A result of an open minute carries the time of an event in it (`EVENT_TIME`); its age is the time that has passed since. While a log is
caught up with - after an outage, in a backfill, in a replay of last year - events are old by themselves, and their age says nothing of the
way through adtally: an age beyond `catching_up` is counted apart and stays out of the figures.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable

import msgspec

EVENT_TIME = "event_time"
"""The Kafka header of a result: milliseconds since 1970, in decimal. Only for measuring: no figure depends on it."""

LATE_SECONDS = 90
"""Time after the end of a minute from which its results are not live any more."""

SPAN_SECONDS = 300
"""Length of time that the quantiles cover."""

_SLOT = 10
_RATIO = math.log(1.02)
_LEAST = 0.001


def catching_up(age: float, window_seconds: float) -> bool:
    """Whether an event of this `age` (seconds) is one of a minute that is long over."""
    return age > window_seconds + LATE_SECONDS


class Recent(msgspec.Struct, frozen=True):
    """Ages of the last `SPAN_SECONDS`: median and 99th percentile in seconds (None if none was measured), counts measured and not."""

    p50: float | None
    p99: float | None
    measured: int
    catching_up: int
    seconds: int = SPAN_SECONDS


class _Slot:
    def __init__(self, number: int) -> None:
        self.number = number
        self.ages: Counter[int] = Counter()
        self.left_out = 0


class Ages:
    """Recorder of ages from one thread; returns quantiles of the last minutes to any thread, accurate to 1 %.

    Ages are counted in classes whose bounds lie 2 % apart, by slots of ten seconds, so the memory is bounded.
    """

    def __init__(
        self,
        window_seconds: float,
        measured: Callable[[float], None] = lambda _age: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`measured` gets each age that counts, in seconds."""
        self._told = measured
        self._window = window_seconds
        self._monotonic = monotonic
        self._slots: deque[_Slot] = deque(maxlen=SPAN_SECONDS // _SLOT)
        self._lock = threading.Lock()
        self.left_out = 0

    def take(self, age: float) -> bool:
        """Record an age (seconds); return whether it counts as measured.

        An age below 0 is neither recorded nor counted: the clocks of the sender and of this machine differ, so the age is unknown.
        """
        if age < 0:
            return False
        with self._lock:
            slot = self._slot()
            if catching_up(age, self._window):
                slot.left_out += 1
                self.left_out += 1
                return False
            slot.ages[math.floor(math.log(max(age, _LEAST)) / _RATIO)] += 1
        self._told(age)
        return True

    def recent(self) -> Recent:
        """Return the figures of the last `SPAN_SECONDS`."""
        with self._lock:
            first = int(self._monotonic() // _SLOT) - SPAN_SECONDS // _SLOT
            slots = [slot for slot in self._slots if slot.number > first]
            ages = sum((slot.ages for slot in slots), Counter[int]())
            left_out = sum(slot.left_out for slot in slots)
        return Recent(_quantile(ages, 0.5), _quantile(ages, 0.99), ages.total(), left_out)

    def _slot(self) -> _Slot:
        number = int(self._monotonic() // _SLOT)
        if not self._slots or self._slots[-1].number != number:
            self._slots.append(_Slot(number))
        return self._slots[-1]


def _quantile(ages: Counter[int], share: float) -> float | None:
    """Return the age that `share` of them do not exceed (nearest rank), as the middle of its class."""
    rank = math.ceil(share * ages.total())
    for number in sorted(ages):
        rank -= ages[number]
        if rank <= 0:
            return math.exp((number + 0.5) * _RATIO)
    return None
