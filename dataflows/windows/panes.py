"""The windows of one shard: watermark over the source partitions, panes, corrections. It knows no Kafka and no Bytewax.

All times are event time in integer microseconds since 1970, but for `now`, which is the machine's clock in seconds.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from dataflows.contract.constants import SHARDS
from dataflows.contract.errors import RecoveryError
from dataflows.contract.settings import Settings
from dataflows.intake.rules import SECOND, Rules
from dataflows.windows.cells import CellStore
from dataflows.wire.cell_bytes import Share
from dataflows.wire.records import Records


class SourceClock(msgspec.Struct, frozen=True, array_like=True):
    """How far a source partition is: the highest event time seen (None before the first), and whether it is read to its end and silent."""

    time: int | None
    idle: bool


class Partial(msgspec.Struct, gc=False):
    """What one poll of one source partition has for one shard. Data and clock travel together, so that neither overtakes the other."""

    partition: int
    partitions: int
    clock: SourceClock
    cells: dict[int, bytes]
    """By start of the window, as `dataflows.wire.cell_bytes` defines them."""
    behind: bool = False
    """Whether the log had more to read at once: its results will change again in a moment, and can wait."""


def split(
    partition: int, partitions: int, clock: SourceClock, shares: Iterable[Share], *, behind: bool = False, to_all: bool = True
) -> list[tuple[str, Partial]]:
    """Return one `Partial` per shard, keyed by the shard's name; with `to_all` also the empty ones, so the clock reaches every shard."""
    partials = [Partial(partition, partitions, clock, {}, behind) for _ in range(SHARDS)]
    for shard, window, cells in shares:
        by_window = partials[shard].cells
        by_window[window] = by_window.get(window, b"") + cells
    return [(str(shard), partial) for shard, partial in enumerate(partials) if to_all or partial.cells]


class Steps:
    """Decides, for one partition, whether its clock must go to every shard or only to those for which the poll has cells.

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


class PanesState(msgspec.Struct):
    """What a snapshot keeps of a shard: the windows' length, clocks, watermark, and each window's cells as encoded bytes."""

    window: int
    partitions: int
    clocks: dict[int, SourceClock]
    watermark: int
    panes: dict[int, bytes]


class Figures(msgspec.Struct, frozen=True):
    """What one shard holds; `watermark` in microseconds since 1970, None before there is one."""

    watermark: int | None
    open_windows: int
    windows: int
    open_cells: int
    cells: int


_NEVER = -(2**63)


class Panes:
    """The open and the correctable windows of one shard.

    A window is *provisional* until the watermark has passed its end, then *final*; a cell that changes after that is *corrected*. The
    watermark is the least clock of the source partitions that are not idle, less the out-of-orderness bound. A window leaves only
    when **every** partition's clock, idle ones included, has passed its end and the allowed lateness: up to then an event of it may be
    accepted by its partition, and must find its cell.
    """

    def __init__(self, settings: Settings, cells: CellStore, state: PanesState | None = None) -> None:
        """`cells`: empty; `state`: what `state` gave before a restart. Raises `RecoveryError` if its windows have another length."""
        self._rules = Rules.of(settings)
        if state and state.window != self._rules.window:
            raise RecoveryError(
                f"the recovery folder holds windows of {state.window / SECOND:g} s, but ADTALLY_WINDOW_SECONDS is "
                f"{settings.window_seconds}; set it back, or start with an empty folder and other topics."
            )
        self._cells = cells
        self._partitions = state.partitions if state else 0
        # None is idle before it says so again: while this run was down, a backlog may have come.
        self._clocks = {partition: SourceClock(clock.time, False) for partition, clock in state.clocks.items()} if state else {}
        self._watermark = state.watermark if state else _NEVER
        self._open: set[int] = set()
        for window, data in state.panes.items() if state else ():
            self._cells.restore(window, data)
            if not self._is_closed(window):
                self._open.add(window)

    def take(self, partials: Iterable[Partial], now: float) -> Records | None:
        """Merge `partials` and move the watermark; the results that are due at `now`, None without any."""
        behind = False
        for partial in partials:
            behind = behind or partial.behind
            self._partitions = max(self._partitions, partial.partitions)
            self._clocks[partial.partition] = partial.clock
            for window, cells in partial.cells.items():
                self._merge(window, cells, partial.clock.time)
            self._advance(now)
        self._cells.settle(self._watermark, now, behind=behind)
        self._finish(now)
        self._forget(now)
        return self._cells.take_results()

    def tick(self, now: float) -> Records | None:
        """The results that have become due by waiting until `now`."""
        self._advance(now)
        self._cells.tick(self._watermark, now)
        self._finish(now)
        return self._cells.take_results()

    def flush(self, now: float) -> Records | None:
        """The results of every cell that waits for its next update, at once."""
        self._cells.flush(sorted(self._open), now)
        return self._cells.take_results()

    def wake_at(self) -> float | None:
        """When, on the machine's clock, `tick` has something to do; None if only an event can change anything."""
        due = self._cells.next_due()
        times = [] if due is None else [due]
        if self._all_idle():
            times += [self._end(window) / SECOND for window in self._open]
        return min(times, default=None)

    def figures(self) -> Figures:
        """How much is held; asked by other threads than the one that changes it, so it may be of two moments."""
        sizes = self._cells.sizes()
        return Figures(
            watermark=None if self._watermark == _NEVER else self._watermark,
            open_windows=len(self._open),
            windows=len(sizes),
            open_cells=sum(sizes.get(window, 0) for window in list(self._open)),
            cells=sum(sizes.values()),
        )

    def state(self) -> PanesState:
        """What must be kept over a restart; only windows that changed since the last call are encoded anew."""
        panes = {window: self._cells.encoded(window) for window in self._cells.sizes()}
        return PanesState(self._rules.window, self._partitions, dict(self._clocks), self._watermark, panes)

    def _merge(self, window: int, cells: bytes, clock: int | None) -> None:
        closed = self._is_closed(window)
        if not closed:
            self._open.add(window)
        self._cells.merge(window, cells, min(clock or 0, self._end(window)), closed=closed)

    def _end(self, window: int) -> int:
        return window + self._rules.window

    def _is_closed(self, window: int) -> bool:
        return self._end(window) <= self._watermark

    def _all_idle(self) -> bool:
        return 0 < self._partitions <= len(self._clocks) and all(clock.idle for clock in self._clocks.values())

    def _advance(self, now: float) -> None:
        """Move the watermark; it never goes back, though a partition that returns from silence may."""
        if len(self._clocks) < self._partitions:
            return  # a partition that has not been heard yet may hold anything
        if self._all_idle():
            # Nothing is left to read: time goes on to the end of the newest window that holds data and whose own time is over.
            over = [self._end(window) for window in self._open if self._end(window) <= now * SECOND]
            self._watermark = max([self._watermark, *over])
            return
        times = [clock.time for clock in self._clocks.values() if not clock.idle]
        if None not in times:
            self._watermark = max(self._watermark, min(time for time in times if time is not None) - self._rules.out_of_order)

    def _finish(self, now: float) -> None:
        """Have the last result given out of each cell whose window the watermark has passed."""
        for window in sorted(window for window in self._open if self._is_closed(window)):
            self._open.remove(window)
            self._cells.finish(window, now)

    def _forget(self, now: float) -> None:
        times = [clock.time for clock in self._clocks.values()]
        if len(times) < self._partitions or None in times:
            return
        floor = min(time for time in times if time is not None) - self._rules.out_of_order - self._rules.lateness
        for window in [window for window in self._cells.sizes() if self._end(window) <= floor]:
            if window in self._open:  # all are idle, and this machine's clock is far behind
                self._open.remove(window)
                self._cells.finish(window, now)
            self._cells.forget(window)
