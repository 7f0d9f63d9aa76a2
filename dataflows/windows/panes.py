"""The windows of one shard: provisional, final, corrected, evicted. It knows no Kafka and no Bytewax.

All times are event time in integer microseconds since 1970, except `now`, which is the machine's clock in seconds.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from dataflows.contract.errors import RecoveryError
from dataflows.contract.settings import Settings
from dataflows.intake.rules import SECOND, Rules
from dataflows.windows.cells import CellStore
from dataflows.windows.shards import Partial
from dataflows.windows.watermark import SourceClock, Watermark
from dataflows.wire.records import Records


class PanesState(msgspec.Struct):
    """Snapshot of a shard: the windows' length, clocks, watermark, and each window's cells as encoded bytes."""

    window: int
    partitions: int
    clocks: dict[int, SourceClock]
    watermark: int
    panes: dict[int, bytes]


class Figures(msgspec.Struct, frozen=True):
    """Figures of one shard; `watermark` in microseconds since 1970, None before there is one."""

    watermark: int | None
    open_windows: int
    windows: int
    open_cells: int
    cells: int


class Panes:
    """The open and the correctable windows of one shard.

    A window is *provisional* until the watermark has passed its end, then *final*; a cell that changes after that is *corrected*. A
    window is evicted only when **every** partition's clock, idle ones included, has passed its end and the allowed lateness: up to then
    an event of it may be accepted by its partition, and must find its cell.
    """

    def __init__(self, settings: Settings, cells: CellStore, state: PanesState | None = None) -> None:
        """`cells`: empty; `state`: what `state` gave before a restart. Raises `RecoveryError` if its windows have another length."""
        self._rules = Rules.of(settings)
        if state and state.window != self._rules.window:
            raise RecoveryError(
                f"the recovery folder holds windows of {state.window / SECOND:g} s, but ADTALLY_WINDOW_SECONDS is "
                f"{settings.window_seconds}; set it back, or start with an empty recovery folder and other topics."
            )
        self._cells = cells
        self._watermark = (
            Watermark(self._rules, state.partitions, state.clocks, state.watermark) if state else Watermark(self._rules)
        )
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
            self._watermark.note(partial.partition, partial.partitions, partial.clock)
            for window, cells in partial.cells.items():
                self._merge(window, cells, partial.clock.time)
            self._watermark.advance(map(self._end, self._open), now)
        self._cells.settle(self._watermark.value, now, behind=behind)
        self._finish(now)
        self._evict(now)
        return self._cells.take_results()

    def tick(self, now: float) -> Records | None:
        """Return the results that have become due by waiting until `now`."""
        self._watermark.advance(map(self._end, self._open), now)
        self._cells.tick(self._watermark.value, now)
        self._finish(now)
        return self._cells.take_results()

    def flush(self, now: float) -> Records | None:
        """Return the results of every cell that waits for its next update, at once."""
        self._cells.flush(sorted(self._open), now)
        return self._cells.take_results()

    def wake_at(self) -> float | None:
        """Return the time on the machine's clock at which `tick` has something to do; None if only an event can change anything."""
        due = self._cells.next_due()
        times = [] if due is None else [due]
        if self._watermark.all_idle():
            times += [self._end(window) / SECOND for window in self._open]
        return min(times, default=None)

    def figures(self) -> Figures:
        """Return the figures of this shard; other threads call this, so the figures may be of different moments."""
        sizes = self._cells.sizes()
        return Figures(
            watermark=self._watermark.time,
            open_windows=len(self._open),
            windows=len(sizes),
            open_cells=sum(sizes.get(window, 0) for window in list(self._open)),
            cells=sum(sizes.values()),
        )

    def state(self) -> PanesState:
        """Return the state to keep over a restart; only windows that changed since the last call are encoded again."""
        panes = {window: self._cells.encoded(window) for window in self._cells.sizes()}
        mark = self._watermark
        return PanesState(self._rules.window, mark.partitions, dict(mark.clocks), mark.value, panes)

    def _merge(self, window: int, cells: bytes, clock: int | None) -> None:
        closed = self._is_closed(window)
        if not closed:
            self._open.add(window)
        self._cells.merge(window, cells, min(clock or 0, self._end(window)), closed=closed)

    def _end(self, window: int) -> int:
        return window + self._rules.window

    def _is_closed(self, window: int) -> bool:
        return self._watermark.has_passed(self._end(window))

    def _finish(self, now: float) -> None:
        """Have the last result given out of each cell whose window the watermark has passed."""
        for window in sorted(window for window in self._open if self._is_closed(window)):
            self._open.remove(window)
            self._cells.finish(window, now)

    def _evict(self, now: float) -> None:
        before = self._watermark.evict_before()
        if before is None:
            return
        for window in [window for window in self._cells.sizes() if self._end(window) <= before]:
            if window in self._open:  # all are idle, and this machine's clock is far behind
                self._open.remove(window)
                self._cells.finish(window, now)
            self._cells.forget(window)
