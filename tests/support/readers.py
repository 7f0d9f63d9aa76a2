"""A `Reader` whose topology and clock a test sets."""

from __future__ import annotations

from collections import Counter

from typing_extensions import override

from dataflows.contract.settings import Settings
from dataflows.flow.connection import Fetching
from dataflows.flow.context import FlowContext
from dataflows.flow.position import ReaderState
from dataflows.flow.reader import PollResult, Reader
from dataflows.flow.topology import Topology
from dataflows.kafka.lag import OffsetRange
from tests.support.engines.panes import cells_of
from tests.support.flows import wait_for


class FakeTopology(Topology):
    """`count` partitions; `clock`: that of all others (microseconds); `up`: whether the broker answers."""

    def __init__(self, count: int = 1, clock: int | None = None) -> None:
        super().__init__(Settings(), give_up=lambda: True)
        self.count = count
        self.clock = clock
        self.up = True

    @override
    def start(self) -> None: ...

    @override
    def close(self) -> None: ...

    @override
    def partitions(self) -> int:
        return self.count

    @override
    def reachable(self) -> bool:
        return self.up

    @override
    def newest(self) -> int | None:
        return self.clock

    @override
    def oldest(self) -> int | None:
        return self.clock

    @override
    def behind(self, partition: int, span: OffsetRange) -> int:
        return span.end - span.first

    @override
    def report(self, partition: int, clock: int | None) -> None: ...


class ManualTime:
    """A clock that moves only on request."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def reader(
    settings: Settings,
    state: ReaderState | None = None,
    *,
    start: str = "earliest",
    around: FakeTopology | None = None,
    clock: ManualTime | None = None,
    fetching: Fetching | None = None,
) -> Reader:
    context = FlowContext(settings, topology=around or FakeTopology(), monotonic=clock or ManualTime())
    return Reader(context, 0, state, start=start, fetching=fetching)


def read(one: Reader, count: int) -> Counter[tuple[int, str]]:
    """Poll until `count` messages were read in all; events by window and campaign."""
    found: Counter[tuple[int, str]] = Counter()

    def enough() -> bool:
        polled = one.poll()
        for window, key, metrics in cells_of(polled.shares) if polled else ():
            found[window, str(key[0])] += metrics.events
        return one.counters.read >= count

    wait_for(enough, f"{count} messages")
    return found


def until_idle(one: Reader) -> PollResult:
    """The result that says that the partition is idle."""
    results: list[PollResult] = []

    def idle() -> bool:
        polled = one.poll()
        if polled is not None:
            results.append(polled)
        return bool(results) and results[-1].clock.idle

    wait_for(idle, "the reader to be idle")
    return results[-1]
