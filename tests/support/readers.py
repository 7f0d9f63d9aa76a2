"""A `Reader` whose surroundings and clock a test sets."""

from __future__ import annotations

from collections import Counter

from dataflows.contract.settings import Settings
from dataflows.flow.reader import Haul, Reader, ReaderState
from dataflows.kafka.lag import Span
from tests.support.engines.panes import cells_of
from tests.support.flows import wait_for


class Around:
    """Surroundings that a test sets."""

    def __init__(self) -> None:
        self.up = True
        self.clock: int | None = None

    def reachable(self) -> bool:
        return self.up

    def newest(self) -> int | None:
        return self.clock

    def behind(self, partition: int, span: Span) -> int:
        del partition
        return span.end - span.first


class Time:
    """A clock that moves only when it is told to."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def reader(
    settings: Settings, state: ReaderState | None = None, *, start: str = "earliest", around: Around | None = None
) -> Reader:
    return Reader(settings, 0, state, around or Around(), start=start, monotonic=Time())


def read(one: Reader, count: int) -> Counter[tuple[int, str]]:
    """Poll until `count` messages were read in all; events by window and campaign."""
    found: Counter[tuple[int, str]] = Counter()

    def enough() -> bool:
        haul = one.poll()
        for window, (campaign, _), metrics in cells_of(haul.windows, haul.packed) if haul else ():
            found[window, campaign] += metrics.events
        return one.counters.read >= count

    wait_for(enough, f"{count} messages")
    return found


def until_idle(one: Reader) -> Haul:
    """The haul that says that the partition is idle."""
    hauls: list[Haul] = []

    def idle() -> bool:
        haul = one.poll()
        if haul is not None:
            hauls.append(haul)
        return bool(hauls) and hauls[-1].clock.idle

    wait_for(idle, "the reader to be idle")
    return hauls[-1]
