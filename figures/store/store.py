"""The store: upserts of window results in memory, and consistent snapshots of them.

One thread writes (the feed), any number reads. Rows are kept per block of event time (`blocks`), bounded by `settings.store_hours`
back from the newest window; older rows are kept by day, up to `settings.history_days`, and packed by the hour where it has many
rows (`packed_days`). Memory: about 110 bytes a row, and 10 for one that is packed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import msgspec
import numpy as np
import polars as pl

from dataflows.contract.schema import WindowResult
from figures.measures import wide_of
from figures.store.content import Cell, Content, Retention, keys
from figures.store.extent import NOTHING_READ, ReadExtent
from figures.store.names import LABELS, Names, compacted
from figures.store.packed_days import DAY, HOUR
from figures.store.rows import Values, rows_of
from figures.store.shape import MAIN, Shape
from figures.store.snapshot import Memory, Snapshot

UNDO_SECONDS = 60.0
"""Time in seconds in which a clear can be undone."""

PACKED_FROM = 5_000
"""Number of rows from which a day is packed; fewer rows cost less as they are than packing and unpacking their hours."""

_PENDING = 20_000
_SPARE_NAMES = 1000
_NO_LIMIT = 2**62


class Undo(msgspec.Struct, frozen=True):
    """What a clear dropped, for its undo: `rows` rows, the fence before it, and until when it can be undone (of the store's clock)."""

    rows: int
    until: float
    content: Content
    fence: dict[int, ReadExtent]


class Store:
    """The results of one topic; `shape` says what its rows are split by and what is added up.

    `hours` of minutes are at hand and `days` packed behind them, both back from the newest window; `clock` gives seconds that only
    grow, and measures the time left for an undo. A day of `packed_from` rows or more is packed, one of fewer is kept as it is.
    `pending`: rows that may wait for a merge. Of more than `most_rows` the oldest are dropped; a packed row counts as a tenth of one.
    """

    def __init__(
        self,
        hours: float = 24.0,
        days: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        *,
        packed_from: int = PACKED_FROM,
        pending: int = _PENDING,
        most_rows: int = _NO_LIMIT,
        shape: Shape = MAIN,
    ) -> None:
        self.shape = shape
        self._most_pending = pending
        self._clock = clock
        self._lock = threading.RLock()
        self._retention = Retention(int(hours * HOUR), int(days * DAY), packed_from, most_rows)
        self._content = Content(self.shape, self._retention)
        self._pending: list[pl.DataFrame] = []
        self._pending_rows = 0
        self._names = self._no_names()
        self._version = 0
        self._positions: dict[int, ReadExtent] = {}
        self._fence: dict[int, ReadExtent] = {}
        self._undo: Undo | None = None
        self._memory = Memory()
        self._snapshot = self._take()
        self._taken = clock()
        self._listeners: list[Callable[[], None]] = []

    def _no_names(self) -> dict[str, Names]:
        return {dimension: Names(of_values=dimension in self.shape.values) for dimension in self.shape.dimensions}

    def apply(
        self,
        results: Iterable[WindowResult],
        positions: Mapping[int, ReadExtent] | None = None,
        values: Sequence[Values] = (),
    ) -> None:
        """Upsert `results`, as `decode.Codec.read` gives them; `positions` are how far each partition has been read with them.

        `values` has those of the breakdown's fields for each result, if the store is one of a breakdown.

        The order of arrival does not matter: per key the highest revision wins, at equal revision the later state.
        """
        records = results if isinstance(results, list) else list(results)
        with self._lock:
            for partition, extent in (positions or {}).items():
                # A record that is read again moves nothing.
                self._positions[partition] = self._positions.get(partition, NOTHING_READ).onward(extent.next - 1, extent.time)
            if not records:
                return
            rows = rows_of(records, self.shape, self._names, values)
            self._content.reach(int(rows["t"].max()))  # pyright: ignore[reportArgumentType]  # a column of Int64 that is not empty
            self._pending.append(rows)
            self._pending_rows += len(rows)
            if self._pending_rows > self._pending_limit():
                self._settle()
            self._version += 1

    def delete(self, cells: Collection[Cell]) -> int:
        """Delete the rows of `cells`, also from the data that an undo would restore; return the number of deleted rows.

        Rows applied to these cells later count again, at any revision.
        """
        with self._lock:
            self._settle()
            gone = keys(cells, self.shape, self._names)
            if self._undo is not None:
                self._undo = msgspec.structs.replace(self._undo, rows=self._undo.rows - self._undo.content.delete(gone))
            deleted = self._content.delete(gone)
            if deleted:
                self._compact()
                self._version += 1
            return deleted

    def _pending_limit(self) -> int:
        """Return how many rows may wait for a merge: more if more are held, because a merge rebuilds every block with new rows.

        Not if hours are packed, which is done to save memory.
        """
        return self._most_pending if self._content.packed else max(self._most_pending, self._content.rows // 4)

    def _settle(self) -> None:
        """Merge what is pending."""
        pending, self._pending, self._pending_rows = self._pending, [], 0
        if self._content.merge(pending):
            self._compact()

    def _compact(self) -> None:
        """Forget the names that no row has any more, once they are most of the names."""
        if self._undo is not None and self._clock() <= self._undo.until:
            return
        if not self._content.parts:
            self._names = self._no_names()
            return
        if max(len(names.names) for names in self._names.values()) <= _SPARE_NAMES:
            return
        used = {dimension: self._content.used(dimension) for dimension in self._names}
        if all(len(used[dimension]) * 2 > len(names.names) - len(LABELS) for dimension, names in self._names.items()):
            return
        fewer = {dimension: compacted(names, used[dimension]) for dimension, names in self._names.items()}
        self._names = {dimension: names for dimension, (names, _) in fewer.items()}
        self._content.renumber({dimension: numbers for dimension, (_, numbers) in fewer.items()})

    def _take(self) -> Snapshot:
        self._settle()
        parts = self._content.parts
        return Snapshot(
            version=self._version,
            parts=parts,
            shape=self.shape,
            names=self._names,
            rows=self._content.rows,
            packed=self._content.packed,
            oldest=parts[0].first if parts else 0,
            newest=parts[-1].last if parts else 0,
            wide=wide_of(np.sum([part.sizes for part in parts], axis=0), self.shape.sums) if parts else frozenset(),
            memory=self._memory,
        )

    def snapshot(self, max_age: float = 0.0) -> Snapshot:
        """Return what is held now. One that is at most `max_age` seconds old will do, so that many viewers share one."""
        with self._lock:
            if self._undo and self._clock() > self._undo.until:
                self._undo = None
            old = self._snapshot
            # The first rows are shown at once.
            if old.version != self._version and (old.empty or self._clock() - self._taken >= max_age):
                self._snapshot = self._take()
                self._taken = self._clock()
            return self._snapshot

    def clear(self) -> int:
        """Drop every row that is held, for all viewers; return the number of rows. Records that come after it enter as usual.

        What was read until now does not come back when the topic is read again (`fence`), unless `undo` is called in time.
        """
        with self._lock:
            dropped = self.snapshot()  # it settles what is pending
            self._undo = Undo(dropped.rows, self._clock() + UNDO_SECONDS, self._content, self._fence)
            self._fence = {**self._fence, **self._positions}
            self._content = Content(self.shape, self._retention)
            self._changed()
            return dropped.rows

    def undo(self) -> int:
        """Bring back what the last `clear` dropped, under what has come since; return the number of rows, 0 if it is too late."""
        with self._lock:
            undo = self._undo
            if undo is None or self._clock() > undo.until:
                return 0
            # What was dropped goes under what has come since: both are upserts, and the order of those does not matter.
            self._pending = [part.rows for part in self._content.parts] + self._pending
            undo.content.reach(self._content.newest)
            self._undo, self._fence, self._content = None, undo.fence, undo.content
            self._changed()
            return undo.rows

    def forget(self) -> int:
        """Drop every row for good, and how far partitions were read, because their log no longer exists; return the number of rows."""
        with self._lock:
            dropped = self.snapshot().rows
            self._undo = None
            self._positions = {}
            self._content = Content(self.shape, self._retention)
            self._changed()
            return dropped

    def undoable(self) -> tuple[int, float]:
        """Return the rows that an undo would bring back and the seconds left for it; (0, 0) if there are none."""
        with self._lock:
            if self._undo is None or (left := self._undo.until - self._clock()) <= 0:
                return 0, 0.0
            return self._undo.rows, left

    def fence(self) -> Mapping[int, ReadExtent]:
        """Return, by partition, what was cleared and stays out: the records that these extents cover."""
        with self._lock:
            return self._fence

    def on_cleared(self, call: Callable[[], None]) -> None:
        """Have `call` called, on the thread that clears, after each clear and undo."""
        self._listeners.append(call)

    def _changed(self) -> None:
        self._version += 1
        self._snapshot = self._take()
        self._taken = self._clock()
        for call in self._listeners:
            call()
