"""The cells of one shard in Python: the letter of how they are given out, and what runs where there is no C compiler."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from typing_extensions import override

from dataflows.contract.constants import QUEUES_A_SECOND
from dataflows.contract.metrics import Cells
from dataflows.contract.schema import WindowResult
from dataflows.intake.rules import Rules
from dataflows.windows.cells import (
    BEHIND,
    Cell,
    CellKey,
    CellStore,
    Updates,
    decode_window,
    encode_window,
    to_result,
)
from dataflows.wire.cell_bytes import unpack

Place = tuple[int, CellKey]
Pane = dict[CellKey, Cell]


class PythonCells(CellStore):
    """The cells of one shard as objects of Python's."""

    def __init__(self, rules: Rules, emit_seconds: float) -> None:
        """`emit_seconds`: the least time between two updates of an open cell."""
        self._rules = rules
        self._emit_seconds = emit_seconds
        self._panes: dict[int, Pane] = {}
        self._encoded: dict[int, bytes] = {}
        self._touched: dict[Place, Cell] = {}
        self._queues: dict[float, list[Place]] = {}
        self._waiting: dict[Place, int] = {}
        self._results: list[WindowResult] = []
        self._longest: tuple[int, int] | None = None

    @override
    def sizes(self) -> Mapping[int, int]:
        return {window: len(pane) for window, pane in list(self._panes.items())}

    @override
    def merge(self, window: int, share: Cells | bytes, moment: int, *, closed: bool) -> None:
        waiting, touched = self._waiting, self._touched
        pane = self._panes.setdefault(window, {})
        self._encoded.pop(window, None)
        for key, metrics in unpack(share) if isinstance(share, bytes) else share.items():
            cell = pane.get(key)
            if cell is None:
                cell = pane[key] = Cell(metrics)
            else:
                cell.metrics.merge(metrics)
                cell.changed = True
            if closed:
                cell.state = "corrected"
            place = window, key
            touched[place] = cell
            waiting.setdefault(place, moment)

    @override
    def settle(self, watermark: int, now: float, *, behind: bool) -> None:
        for place, cell in self._touched.items():
            if self._is_due(place, cell, watermark, now, behind):
                self._emit(place, cell, now)
        self._touched.clear()

    def _is_closed(self, window: int, watermark: int) -> bool:
        return window + self._rules.window <= watermark

    def _is_due(self, place: Place, cell: Cell, watermark: int, now: float, behind: bool) -> bool:
        if self._is_closed(place[0], watermark):
            return cell.state == "corrected"  # the others get their last result from `finish`
        if behind and not cell.emitted_at:
            cell.emitted_at = now
        due = cell.emitted_at + self._emit_seconds * (BEHIND if behind else 1)
        if not cell.emitted_at <= now < due:
            return True
        if not cell.waits:
            cell.waits = True
            queue = math.ceil(due * QUEUES_A_SECOND) / QUEUES_A_SECOND
            self._queues.setdefault(queue, []).append(place)
        return False

    @override
    def tick(self, watermark: int, now: float) -> None:
        for due in [due for due in self._queues if due <= now]:
            for place in self._queues.pop(due):
                cell = self._panes.get(place[0], {}).get(place[1])
                if cell is not None:
                    cell.waits = False
                    if cell.changed and not self._is_closed(place[0], watermark):
                        self._emit(place, cell, now)

    @override
    def finish(self, window: int, now: float) -> None:
        for key, cell in self._panes[window].items():
            if cell.state == "provisional":
                cell.state = "final"
                self._emit((window, key), cell, now)

    @override
    def flush(self, windows: Iterable[int], now: float) -> None:
        self._queues.clear()
        for window in windows:
            for key, cell in self._panes[window].items():
                if cell.changed:
                    self._emit((window, key), cell, now)

    @override
    def forget(self, window: int) -> None:
        del self._panes[window]
        self._encoded.pop(window, None)

    @override
    def next_due(self) -> float | None:
        return min(self._queues, default=None)

    @override
    def taken(self) -> Updates | None:
        if not self._results:
            return None
        updates = Updates(self._results, self._longest)
        self._results, self._longest = [], None
        return updates

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
            cell.emitted_at, cell.waits = 0.0, cell.changed
            if cell.changed:
                self._queues.setdefault(0.0, []).append((window, key))

    def _emit(self, place: Place, cell: Cell, now: float) -> None:
        window, key = place
        moment = self._waiting.pop(place, None)
        if moment is not None and (self._longest is None or moment < self._longest[1]):
            self._longest = len(self._results), moment
        cell.changed = cell.waits = False
        cell.emitted_at = now
        self._encoded.pop(window, None)
        self._results.append(to_result(window, self._rules, key, cell))
