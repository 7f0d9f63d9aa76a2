"""The store: upserts of window results in memory, and consistent snapshots of them.

One thread writes (the feed), any number reads. Rows are kept per block of event time (`blocks`), bounded by `settings.store_hours`
back from the newest window; older rows are kept by day, up to `settings.history_days`, and packed by the hour where it has many
rows (`packed`). Memory: about 110 bytes a row, and 10 for one that is packed.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from decimal import Decimal
from functools import lru_cache

import msgspec
import numpy as np
import polars as pl

from dataflows.contract.schema import STATES, WindowResult, to_micros
from figures.measures import SUMS, WIDE, wide_of
from figures.store.blocks import BLOCK_SECONDS, Block, block_of, clipped, merge, split
from figures.store.deletion import Cell, delete, keys
from figures.store.names import Names, compacted
from figures.store.packed_days import DAY, HOUR, Day, SparseDay, day_since, day_with
from figures.store.snapshot import Memory, Snapshot

UNDO_SECONDS = 60.0
"""How long a clear can be taken back."""

PACKED_FROM = 5_000
"""Number of rows from which a day is packed; fewer rows cost less as they are than packing and unpacking their hours."""

_PENDING = 20_000
_SPARE_NAMES = 1000
_NO_END = 2**62
_STATE = {state: number for number, state in enumerate(STATES)}


class Cleared(msgspec.Struct, frozen=True):
    """A clear that can still be undone: rows dropped, and when that ends (of the store's clock)."""

    rows: int
    until: float


class Place(msgspec.Struct, frozen=True):
    """How far a partition was read: up to the offset `next`, and to the `time` of the latest record (milliseconds since 1970).

    A topic that was deleted and recreated begins at offset 0 again, but all that stands on it is later.
    """

    next: int = 0
    time: int = 0

    def covers(self, offset: int, time: int) -> bool:
        """Whether this record was read."""
        return offset < self.next and time <= self.time

    def onward(self, offset: int, time: int) -> Place:
        """The place once this record was read too."""
        return self if self.covers(offset, time) else Place(offset + 1, max(time, self.time))


START = Place()


class Held(msgspec.Struct, frozen=True):
    """Data dropped by a clear, kept for its undo: blocks and days by their start, the fence before it, and the newest window."""

    blocks: dict[int, Block]
    days: dict[int, Day | SparseDay]
    fence: dict[int, Place]
    newest: int | None


@lru_cache(maxsize=100_000)
def parse_start(text: str) -> int:
    """Seconds since 1970 of a window start; raises `ValueError` for what is no RFC 3339 time with a zone."""
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return to_micros(moment) // 1_000_000


class Store:
    """The one store of a process.

    `hours` of minutes are at hand and `days` packed behind them, both back from the newest window; `clock` gives seconds that only
    grow, and measures the time left for an undo. A day of `packed_from` rows or more is packed, one of fewer is kept as it is.
    `pending`: rows that may wait for a merge.
    """

    def __init__(
        self,
        hours: float = 24.0,
        days: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        packed_from: int = PACKED_FROM,
        pending: int = _PENDING,
    ) -> None:
        self._packed_from = packed_from
        self._most_pending = pending
        self._span = int(hours * HOUR)
        self._history = int(days * DAY)
        self._clock = clock
        self._lock = threading.RLock()
        self._blocks: dict[int, Block] = {}
        self._days: dict[int, Day | SparseDay] = {}
        self._pending: list[pl.DataFrame] = []
        self._pending_rows = 0
        self._rows = self._packed = 0
        """Number of rows held, and of packed rows, as of the last merge."""
        self._campaigns, self._channels = Names(), Names()
        self._newest: int | None = None
        self._version = 0
        self._positions: dict[int, Place] = {}
        self._fence: dict[int, Place] = {}
        self._undo: tuple[Cleared, Held] | None = None
        self._memory = Memory()
        self._snapshot = self._take()
        self._taken = clock()
        self._listeners: list[Callable[[], None]] = []

    def apply(self, results: Iterable[WindowResult], positions: Mapping[int, Place] | None = None) -> None:
        """Upsert `results`, as `reading.read_result` gives them; `positions` are how far each partition has been read with them.

        The order of arrival does not matter: per key the highest revision wins, at equal revision the later state.
        """
        records = results if isinstance(results, list) else list(results)
        with self._lock:
            for partition, place in (positions or {}).items():
                # What is read once more moves nothing.
                self._positions[partition] = self._positions.get(partition, START).onward(place.next - 1, place.time)
            if not records:
                return
            frame = self._frame(records)
            newest = int(frame["t"].max())  # pyright: ignore[reportArgumentType]  # a column of Int64 that is not empty
            self._newest = newest if self._newest is None else max(self._newest, newest)
            self._pending.append(frame)
            self._pending_rows += len(frame)
            if self._pending_rows > self._pending_limit():
                self._settle()
            self._version += 1

    def delete(self, cells: Collection[Cell]) -> int:
        """Delete the rows of `cells`, also from the data that an undo would restore; return the number of deleted rows.

        Rows applied to these cells later count again, at any revision.
        """
        with self._lock:
            self._settle()
            gone = keys(cells, self._campaigns, self._channels)
            if self._undo is not None:
                cleared, held = self._undo
                left = cleared.rows - delete(held.blocks, held.days, gone)
                self._undo = (msgspec.structs.replace(cleared, rows=left), held)
            deleted = delete(self._blocks, self._days, gone)
            if deleted:
                # Keep the newest window unless nothing is left: minutes in memory must not begin before the end of the packed days.
                self._newest = self._newest if self._blocks or self._days else None
                self._compact()
                self._version += 1
            return deleted

    def _pending_limit(self) -> int:
        """Return how many rows may wait for a merge: more if more are held, because a merge rebuilds every block with new rows.

        Not if hours are packed, which is done to save memory.
        """
        return self._most_pending if self._packed else max(self._most_pending, self._rows // 4)

    def _edges(self) -> tuple[int, int]:
        """From when on minutes are at hand, and from when on anything is held."""
        back = (self._newest or 0) - self._span
        if not self._history:
            return block_of(back), block_of(back)
        return back - back % HOUR, min(back, (self._newest or 0) - self._history) // HOUR * HOUR

    def _compact(self) -> None:
        """Forget the names that no row has any more, once they are most of the names."""
        if self._undo is not None and self._clock() <= self._undo[0].until:
            return
        parts = [*self._days.values(), *self._blocks.values()]

        def used(dimension: str) -> pl.Series:
            return pl.concat([part.numbers(dimension) for part in parts]).unique().sort()

        if not parts:
            self._campaigns, self._channels = Names(), Names()
            return
        if max(len(self._campaigns.names), len(self._channels.names)) <= _SPARE_NAMES:
            return
        campaigns, channels = used("campaign"), used("channel")
        if len(campaigns) * 2 > len(self._campaigns.names) and len(channels) * 2 > len(self._channels.names):
            return
        self._campaigns, new_campaigns = compacted(self._campaigns, campaigns)
        self._channels, new_channels = compacted(self._channels, channels)
        self._blocks = {at: block.renumbered(new_campaigns, new_channels) for at, block in self._blocks.items()}
        self._days = {at: day.renumbered(new_campaigns, new_channels) for at, day in self._days.items()}

    def _frame(self, records: list[WindowResult]) -> pl.DataFrame:
        campaign, channel = self._campaigns.number, self._channels.number
        data: dict[str, pl.Series] = {
            "t": pl.Series("t", [parse_start(r.window_start) for r in records], pl.Int64),
            "campaign": pl.Series("campaign", [campaign(r.campaign_id) for r in records], pl.UInt32),
            "channel": pl.Series("channel", [channel(r.channel) for r in records], pl.UInt32),
        }
        for name in SUMS:
            data[name] = _integers(name, [getattr(r, name) for r in records])
        data["revision"] = pl.Series("revision", [r.revision for r in records], pl.Int64)
        data["state"] = pl.Series("state", [_STATE[r.state] for r in records], pl.UInt8)
        return pl.DataFrame(data)

    def _settle(self) -> None:
        """Merge what is pending, pack what has become old, drop what is too old."""
        recent, oldest = self._edges()
        gone = [at for at in sorted(self._blocks) if at < recent]
        frames = [self._blocks.pop(at).rows for at in gone] + self._pending
        past = [day for day in self._days.values() if day.first < oldest]
        for day in past:
            del self._days[day.start]
            if left := day_since(day, oldest):
                self._days[day.start] = left
        self._pending, self._pending_rows = [], 0
        dropped = False
        if frames:
            # One merge for all blocks: a call into polars costs more than the rows of a small block.
            rows = merge(frames)
            for at, part in split(clipped(rows, oldest, recent), DAY):
                self._days[at] = day_with(self._days.get(at), part, self._packed_from)
            for at, part in split(clipped(rows, recent, _NO_END), BLOCK_SECONDS):
                held = self._blocks.get(at)
                self._blocks[at] = held.upserted([part]) if held else Block(part)
            dropped = int(rows["t"][0]) < oldest
        self._packed = sum(len(day) for day in self._days.values() if isinstance(day, Day))
        self._rows = sum(map(len, (*self._days.values(), *self._blocks.values())))
        if gone or past or dropped:
            self._compact()

    def _take(self) -> Snapshot:
        self._settle()
        parts = (*(self._days[at] for at in sorted(self._days)), *(self._blocks[at] for at in sorted(self._blocks)))
        rows = self._rows
        return Snapshot(
            version=self._version,
            parts=parts,
            campaigns=self._campaigns,
            channels=self._channels,
            rows=rows,
            packed=self._packed,
            oldest=parts[0].first if parts else 0,
            newest=parts[-1].last if parts else 0,
            wide=wide_of(np.sum([part.sizes for part in parts], axis=0)) if parts else frozenset(),
            memory=self._memory,
        )

    def snapshot(self, max_age: float = 0.0) -> Snapshot:
        """What is held now. One that is at most `max_age` seconds old will do, so that many viewers share one."""
        with self._lock:
            if self._undo and self._clock() > self._undo[0].until:
                self._undo = None
            old = self._snapshot
            # The first rows are never kept waiting.
            if old.version != self._version and (old.empty or self._clock() - self._taken >= max_age):
                self._snapshot = self._take()
                self._taken = self._clock()
            return self._snapshot

    def clear(self) -> int:
        """Drop every row that is held, for all viewers; the number of rows. Records that come after it enter as usual.

        What was read until now does not come back when the topic is read again (`fence`), unless `undo` is called in time.
        """
        with self._lock:
            dropped = self.snapshot()  # it settles what is pending
            fence = {**self._fence, **self._positions}
            held = Held(self._blocks, self._days, self._fence, self._newest)
            self._undo = (Cleared(dropped.rows, self._clock() + UNDO_SECONDS), held)
            self._fence = fence
            self._blocks, self._days, self._newest = {}, {}, None
            self._changed()
            return dropped.rows

    def undo(self) -> int:
        """Bring back what the last `clear` dropped, under what has come since; the number of rows, 0 if it is too late."""
        with self._lock:
            if self._undo is None or self._clock() > self._undo[0].until:
                return 0
            cleared, held = self._undo
            self._undo, self._fence = None, held.fence
            self._newest = max((newest for newest in (self._newest, held.newest) if newest is not None), default=None)
            # What was dropped goes under what has come since: both are upserts, and the order of those does not matter.
            since = [part.rows for part in (*self._days.values(), *self._blocks.values())]
            self._days, self._blocks = dict(held.days), dict(held.blocks)
            self._pending = since + self._pending
            self._changed()
            return cleared.rows

    def forget(self) -> int:
        """Drop every row that is held, for good, and how far partitions were read: their log is no more; the number of rows."""
        with self._lock:
            dropped = self.snapshot().rows
            self._undo = None
            self._positions = {}
            self._blocks, self._days, self._newest = {}, {}, None
            self._changed()
            return dropped

    def undoable(self) -> tuple[int, float]:
        """Rows that an undo would bring back and the seconds left for it; (0, 0) if there are none."""
        with self._lock:
            if self._undo is None or (left := self._undo[0].until - self._clock()) <= 0:
                return 0, 0.0
            return self._undo[0].rows, left

    def fence(self) -> Mapping[int, Place]:
        """What these cover, by partition, was cleared and stays out."""
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


def _integers(name: str, values: list[int]) -> pl.Series:
    try:
        return pl.Series(name, values, pl.Int64)
    except (OverflowError, TypeError, pl.exceptions.PolarsError):
        return pl.Series(name, list(map(Decimal, values)), WIDE)
