"""The reference engine's cells of one shard: one cell at a time, by the letter.

This is the specification of what `dataflows.windows.native` does in C. It runs everywhere, and is as exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from typing_extensions import override

from dataflows.contract.constants import QUEUES_A_SECOND
from dataflows.contract.metrics import CellKey
from dataflows.windows.cells import (
    BEHIND,
    Cell,
    CellStore,
    TableRules,
    decode_window,
    encode_window,
    to_record,
)
from dataflows.wire.records import Records

WindowCell = tuple[int, CellKey]
"""A cell of this shard and table: the start of its window, and its key."""


class PythonCells(CellStore):
    """The cells of one shard, an object each."""

    def __init__(self, rules: TableRules, emit_seconds: float) -> None:
        """`emit_seconds`: the least time between two updates of an open cell."""
        self._rules = rules
        self._format = rules.format()
        self._emit_seconds = emit_seconds
        self._panes: dict[int, dict[CellKey, Cell]] = {}
        self._encoded: dict[int, bytes] = {}
        self._touched: dict[WindowCell, Cell] = {}
        self._queues: dict[float, list[WindowCell]] = {}
        self._waiting_since: dict[WindowCell, int] = {}
        self._results: list[tuple[bytes, bytes]] = []
        self._longest: tuple[int, int] | None = None

    @override
    def sizes(self) -> Mapping[int, int]:
        return {window: len(pane) for window, pane in list(self._panes.items())}

    @override
    def merge(self, window: int, cells: bytes, moment: int, *, closed: bool) -> None:
        pane = self._panes.setdefault(window, {})
        self._encoded.pop(window, None)
        for key, metrics in self._format.unpack(cells):
            cell = pane.get(key)
            if cell is None:
                cell = pane[key] = Cell(metrics)
            else:
                cell.metrics.merge(metrics)
            cell.changed = True
            if closed:
                cell.state = "corrected"
            self._touched[window, key] = cell
            self._waiting_since.setdefault((window, key), moment)

    @override
    def settle(self, watermark: int, now: float, *, behind: bool) -> None:
        for (window, key), cell in self._touched.items():
            if self._is_closed(window, watermark):
                if cell.state == "corrected":  # the others get their last result from `finish`
                    self._emit(window, key, now)
            elif self._is_due_now(window, key, cell, now, behind):
                self._emit(window, key, now)
        self._touched.clear()

    def _is_closed(self, window: int, watermark: int) -> bool:
        return window + self._rules.window <= watermark

    def _is_due_now(self, window: int, key: CellKey, cell: Cell, now: float, behind: bool) -> bool:
        """Return whether a cell of an open window gets its next result at once; if not, it waits in a queue."""
        if behind and not cell.emitted_at:
            cell.emitted_at = now  # while a backlog is read, the first result waits too
        due = cell.emitted_at + self._emit_seconds * (BEHIND if behind else 1)
        if not cell.emitted_at <= now < due:  # the machine's clock may have been set back
            return True
        if not cell.waits:
            self._queue(window, key, cell, due)
        return False

    def _queue(self, window: int, key: CellKey, cell: Cell, due: float) -> None:
        cell.waits = True
        tick = math.ceil(due * QUEUES_A_SECOND) / QUEUES_A_SECOND
        self._queues.setdefault(tick, []).append((window, key))

    @override
    def tick(self, watermark: int, now: float) -> None:
        for due in [due for due in self._queues if due <= now]:
            for window, key in self._queues.pop(due):
                cell = self._panes.get(window, {}).get(key)
                if cell is not None:
                    cell.waits = False
                    if cell.changed and not self._is_closed(window, watermark):
                        self._emit(window, key, now)

    @override
    def finish(self, window: int, now: float) -> None:
        for key, cell in self._panes[window].items():
            if cell.state == "provisional":
                cell.state = "final"
                self._emit(window, key, now)

    @override
    def flush(self, windows: Iterable[int], now: float) -> None:
        self._queues.clear()
        for window in windows:
            for key, cell in self._panes[window].items():
                if cell.changed:
                    self._emit(window, key, now)

    @override
    def forget(self, window: int) -> None:
        del self._panes[window]
        self._encoded.pop(window, None)

    @override
    def next_due(self) -> float | None:
        return min(self._queues, default=None)

    @override
    def take_results(self) -> Records | None:
        if not self._results:
            return None
        records = Records.of(self._results, self._longest)
        self._results, self._longest = [], None
        return records

    @override
    def encoded(self, window: int) -> bytes:
        if window not in self._encoded:
            pane = self._panes[window]
            self._encoded[window] = encode_window((list(pane), list(pane.values())))
        return self._encoded[window]

    @override
    def restore(self, window: int, data: bytes) -> None:
        pane = self._panes[window] = dict(zip(*decode_window(data), strict=True))
        self._encoded[window] = data
        for key, cell in pane.items():
            cell.emitted_at, cell.waits = 0.0, False
            if cell.changed:
                self._queue(window, key, cell, due=0.0)

    def _emit(self, window: int, key: CellKey, now: float) -> None:
        cell = self._panes[window][key]
        moment = self._waiting_since.pop((window, key), None)
        if moment is not None and (self._longest is None or moment < self._longest[1]):
            self._longest = len(self._results), moment
        cell.changed = cell.waits = False
        cell.emitted_at = now
        self._encoded.pop(window, None)
        self._results.append(to_record(window, self._rules, key, cell))
