"""Admission of cells to breakdowns: a partition admits the first distinct cells of a breakdown and window in the order of its log.

So the number of cells is bounded, and which ones there are is a function of the partition's log alone.
"""

from __future__ import annotations

from dataflows.contract.breakdowns import OTHER
from dataflows.contract.metrics import CellKey


class Admissions:
    """The cells that one partition has admitted, by window and table."""

    def __init__(self, bound: int, horizon: int) -> None:
        """`bound`: cells of each breakdown and window; `horizon`: time from a window's start until its events are late, microseconds."""
        self._bound = bound
        self._horizon = horizon
        self._admitted: dict[int, dict[int, set[CellKey]]] = {}

    def __len__(self) -> int:
        """Return the number of cells that are remembered."""
        return sum(len(keys) for tables in self._admitted.values() for keys in tables.values())

    def admit(self, window: int, table: int, key: CellKey, clock: int) -> CellKey:
        """Return the key under which an event counts: `key`, or that of the row of all cells that were not admitted.

        `clock`: that of the partition (microseconds); windows that it has left behind for good are dropped.
        """
        tables = self._admitted.get(window)
        if tables is None:
            self._drop(clock)
            tables = self._admitted[window] = {}
        keys = tables.setdefault(table, set())
        if key in keys:
            return key
        if len(keys) >= self._bound:
            return other(key)
        keys.add(key)
        return key

    def _drop(self, clock: int) -> None:
        for window in [window for window in self._admitted if window + self._horizon <= clock]:
            del self._admitted[window]


def other(key: CellKey) -> CellKey:
    """Return the key of the row that sums what was not admitted of the campaign, channel and currency of `key`."""
    return (*key[:2], *(OTHER for _ in key[3:]), key[-1])
