"""Admission of cells to breakdowns: a partition admits the first distinct cells of a breakdown and window in the order of its log.

So the number of cells is bounded, and which ones there are is a function of the partition's log alone.
"""

from __future__ import annotations

from collections import defaultdict

import msgspec

from dataflows.contract.breakdowns import OTHER
from dataflows.contract.metrics import CellKey


class AdmissionCounts(msgspec.Struct):
    """What one breakdown has admitted and refused in one partition.

    `admitted_cells`: by window; `full_windows`: those in which an event was refused; `other_events`: events counted in the row of all
    cells that were not admitted.
    """

    admitted_cells: int = 0
    full_windows: int = 0
    other_events: int = 0


class Admissions:
    """The cells that one partition has admitted, by window and table."""

    def __init__(self, bound: int, horizon: int) -> None:
        """`bound`: cells of each breakdown and window; `horizon`: time from a window's start until its events are late, microseconds."""
        self._bound = bound
        self._horizon = horizon
        self._admitted: dict[int, dict[int, set[CellKey]]] = {}
        self._full: set[tuple[int, int]] = set()
        self._counts = defaultdict[int, AdmissionCounts](AdmissionCounts)

    def __len__(self) -> int:
        """Return the number of cells that are remembered."""
        return sum(len(keys) for tables in self._admitted.values() for keys in tables.values())

    def counts(self, table: int) -> AdmissionCounts:
        """Return a copy of what the breakdown of `table` has admitted and refused, but for refills."""
        return msgspec.structs.replace(self._counts[table])

    def admit(self, window: int, table: int, key: CellKey, clock: int, *, refill: bool = False) -> CellKey:
        """Return the key under which an event counts: `key`, or that of the row of all cells that were not admitted.

        `clock`: that of the partition (microseconds); windows that it has left behind for good are dropped. `refill`: the event was
        counted before a restart, and changes no count.
        """
        tables = self._admitted.get(window)
        if tables is None:
            self._drop(clock)
            tables = self._admitted[window] = {}
        keys = tables.setdefault(table, set())
        if key in keys:
            return key
        counts = AdmissionCounts() if refill else self._counts[table]
        if len(keys) >= self._bound:
            counts.other_events += 1
            counts.full_windows += (window, table) not in self._full
            self._full.add((window, table))
            return other(key)
        counts.admitted_cells += 1
        keys.add(key)
        return key

    def _drop(self, clock: int) -> None:
        for window in [window for window in self._admitted if window + self._horizon <= clock]:
            self._full -= {(window, table) for table in self._admitted.pop(window)}


def other(key: CellKey) -> CellKey:
    """Return the key of the row that sums what was not admitted of the campaign, channel and currency of `key`."""
    return (*key[:2], *(OTHER for _ in key[3:]), key[-1])
