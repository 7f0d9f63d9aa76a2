"""The watermark of one shard: the progress of event time over all source partitions.

All times are event time in microseconds since 1970, except `now`, which is the machine's clock in seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from dataflows.intake.rules import SECOND, Rules

_NEVER = -(2**63)


class SourceClock(msgspec.Struct, frozen=True, array_like=True):
    """Progress of a source partition: the highest event time seen (None before the first), and whether it is read to its end and silent."""

    time: int | None
    idle: bool


class Watermark:
    """The lowest clock of the source partitions that are not idle, less the out-of-orderness bound; it never goes back.

    If all partitions are idle, nothing is left to read, and it follows the machine's clock to the ends of the open windows.
    """

    def __init__(
        self, rules: Rules, partitions: int = 0, clocks: Mapping[int, SourceClock] | None = None, value: int = _NEVER
    ) -> None:
        """`partitions`: number of source partitions; `clocks` and `value`: those of a snapshot."""
        self._rules = rules
        self.partitions = partitions
        # No partition is idle until it reports so again: a backlog may have built up while the flow was down.
        self.clocks = {partition: SourceClock(clock.time, False) for partition, clock in (clocks or {}).items()}
        self.value = value

    @property
    def time(self) -> int | None:
        """The watermark; None before there is one."""
        return None if self.value == _NEVER else self.value

    def note(self, partition: int, partitions: int, clock: SourceClock) -> None:
        """Take in the clock of a partition, one of `partitions` as far as its reader knows."""
        self.partitions = max(self.partitions, partitions)
        self.clocks[partition] = clock

    def has_passed(self, moment: int) -> bool:
        """Return whether `moment` is at or below the watermark: a window that ends there is final."""
        return moment <= self.value

    def all_idle(self) -> bool:
        """Return whether every partition was read to its end and is silent."""
        return 0 < self.partitions <= len(self.clocks) and all(clock.idle for clock in self.clocks.values())

    def advance(self, ends: Iterable[int], now: float) -> None:
        """Move the watermark; `ends`: ends of the open windows."""
        if len(self.clocks) < self.partitions:
            return  # a partition that has not been read yet may hold anything
        if self.all_idle():
            self.value = max([self.value, *(end for end in ends if end <= now * SECOND)])
            return
        times = [clock.time for clock in self.clocks.values() if not clock.idle]
        if None not in times:
            self.value = max(self.value, min(time for time in times if time is not None) - self._rules.out_of_order)

    def evict_before(self) -> int | None:
        """Return the time up to which windows can't be corrected any more, whatever comes; None while that is unknown.

        Every partition counts, idle ones too: one that returns may still hold events that its own clock does not make late.
        """
        times = [clock.time for clock in self.clocks.values()]
        if len(times) < self.partitions or None in times:
            return None
        return min(time for time in times if time is not None) - self._rules.out_of_order - self._rules.lateness


class Steps:
    """Decision, for one partition, whether its clock must go to every shard or only to those for which the poll has cells.

    Windows end at whole seconds. Until the clock minus the out-of-orderness bound passes the next second, it ends no window, and the
    shards decide the same with the clock that they have.
    """

    def __init__(self, out_of_order: int) -> None:
        """`out_of_order`: microseconds."""
        self._out_of_order = out_of_order
        self._last: tuple[int, int | None, bool] | None = None

    def passes(self, partitions: int, clock: SourceClock) -> bool:
        """Return whether `clock` has passed a second, the partition became idle or active, or the number of partitions changed."""
        second = None if clock.time is None else (clock.time - self._out_of_order) // SECOND
        step = partitions, second, clock.idle
        passed = step != self._last
        self._last = step
        return passed
