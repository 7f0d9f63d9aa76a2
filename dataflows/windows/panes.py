"""The windows of one shard: provisional, final, corrected, evicted. It knows no Kafka and no Bytewax.

All times are event time in integer microseconds since 1970, except `now`, which is the machine's clock in seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from dataflows.contract.errors import RecoveryError
from dataflows.contract.settings import Settings
from dataflows.intake.rules import SECOND, Rules
from dataflows.windows.cells import CellStore
from dataflows.windows.shards import Partial
from dataflows.windows.watermark import SourceClock, Watermark
from dataflows.wire.records import Records


class PanesState(msgspec.Struct):
    """Snapshot of a shard: the windows' length, clocks, watermark, and of each table each window's cells as encoded bytes."""

    window: int
    partitions: int
    clocks: dict[int, SourceClock]
    watermark: int
    panes: list[dict[int, bytes]]


class Figures(msgspec.Struct, frozen=True):
    """Figures of one shard; `watermark` in microseconds since 1970, None before there is one; the cells by table."""

    watermark: int | None
    open_windows: int
    windows: int
    open_cells: tuple[int, ...]
    cells: tuple[int, ...]


class Panes:
    """The open and the correctable windows of one shard.

    A window is *provisional* until the watermark has passed its end, then *final*; a cell that changes after that is *corrected*. A
    window is evicted only when **every** partition's clock, idle ones included, has passed its end and the allowed lateness: up to then
    an event of it may be accepted by its partition, and must find its cell. All tables have the same windows.
    """

    def __init__(self, settings: Settings, tables: Sequence[CellStore], state: PanesState | None = None) -> None:
        """`tables`: the cells of each table, empty; `state`: what `state` gave before a restart.

        Raises `RecoveryError` if its windows have another length.
        """
        self._rules = Rules.of(settings)
        if state and state.window != self._rules.window:
            raise RecoveryError(
                f"the recovery folder holds windows of {state.window / SECOND:g} s, but ADTALLY_WINDOW_SECONDS is "
                f"{settings.window_seconds}; set it back, or start with an empty recovery folder and other topics."
            )
        self._tables = tables
        self._watermark = (
            Watermark(self._rules, state.partitions, state.clocks, state.watermark) if state else Watermark(self._rules)
        )
        self._open: set[int] = set()
        for cells, panes in zip(tables, state.panes, strict=True) if state else ():
            for window, data in panes.items():
                cells.restore(window, data)
                if not self._is_closed(window):
                    self._open.add(window)

    def take(self, partials: Iterable[Partial], now: float) -> list[Records]:
        """Merge `partials` and move the watermark; return the results that are due at `now`, of each table that has some."""
        behind = False
        for partial in partials:
            behind = behind or partial.behind
            self._watermark.note(partial.partition, partial.partitions, partial.clock)
            for (window, table), cells in partial.cells.items():
                self._merge(window, table, cells, partial.clock.time)
            self._watermark.advance(map(self._end, self._open), now)
        for table in self._tables:
            table.settle(self._watermark.value, now, behind=behind)
        self._finish(now)
        self._evict(now)
        return self._results()

    def tick(self, now: float) -> list[Records]:
        """Return the results that have become due by waiting until `now`."""
        self._watermark.advance(map(self._end, self._open), now)
        for table in self._tables:
            table.tick(self._watermark.value, now)
        self._finish(now)
        return self._results()

    def flush(self, now: float) -> list[Records]:
        """Return the results of every cell that waits for its next update, at once."""
        for table in self._tables:
            table.flush(sorted(self._open & table.sizes().keys()), now)
        return self._results()

    def _results(self) -> list[Records]:
        """Return what has gathered in each table, under the number of its table."""
        gathered = ((number, table.take_results()) for number, table in enumerate(self._tables))
        return [msgspec.structs.replace(records, table=number) for number, records in gathered if records is not None]

    def wake_at(self) -> float | None:
        """Return the time on the machine's clock at which `tick` has something to do; None if only an event can change anything."""
        times = [due for table in self._tables if (due := table.next_due()) is not None]
        if self._watermark.all_idle():
            times += [self._end(window) / SECOND for window in self._open]
        return min(times, default=None)

    def figures(self) -> Figures:
        """Return the figures of this shard; other threads call this, so the figures may be of different moments."""
        sizes = [table.sizes() for table in self._tables]
        open_windows = list(self._open)
        return Figures(
            watermark=self._watermark.time,
            open_windows=len(open_windows),
            windows=len(sizes[0]),
            open_cells=tuple(sum(of_table.get(window, 0) for window in open_windows) for of_table in sizes),
            cells=tuple(sum(of_table.values()) for of_table in sizes),
        )

    def state(self) -> PanesState:
        """Return the state to keep over a restart; only windows that changed since the last call are encoded again."""
        panes = [{window: table.encoded(window) for window in table.sizes()} for table in self._tables]
        mark = self._watermark
        return PanesState(self._rules.window, mark.partitions, dict(mark.clocks), mark.value, panes)

    def _merge(self, window: int, table: int, cells: bytes, clock: int | None) -> None:
        closed = self._is_closed(window)
        if not closed:
            self._open.add(window)
        self._tables[table].merge(window, cells, min(clock or 0, self._end(window)), closed=closed)

    def _end(self, window: int) -> int:
        return window + self._rules.window

    def _is_closed(self, window: int) -> bool:
        return self._watermark.has_passed(self._end(window))

    def _finish(self, now: float) -> None:
        """Have the last result given out of each cell whose window the watermark has passed."""
        for window in sorted(window for window in self._open if self._is_closed(window)):
            self._open.remove(window)
            self._finish_window(window, now)

    def _finish_window(self, window: int, now: float) -> None:
        for table in self._tables:
            if window in table.sizes():
                table.finish(window, now)

    def _evict(self, now: float) -> None:
        before = self._watermark.evict_before()
        if before is None:
            return
        # Every event counts in the results, so no table has a window that they do not have.
        for window in [window for window in self._tables[0].sizes() if self._end(window) <= before]:
            if window in self._open:  # all are idle, and this machine's clock is far behind
                self._open.remove(window)
                self._finish_window(window, now)
            for table in self._tables:
                if window in table.sizes():
                    table.forget(window)
