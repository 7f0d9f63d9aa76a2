"""The store: upserts of window results in memory, and consistent snapshots of them.

One thread writes (the feed), any number reads. Rows are kept per block of event time (`blocks`), bounded by `settings.store_hours`
back from the newest window. Memory: about 110 bytes a row.
"""

from __future__ import annotations

import datetime as dt
import itertools
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

import msgspec
import polars as pl

from dataflows.schema import STATES, WindowResult, to_micros
from panel_app.blocks import BLOCK_SECONDS, SAFE_SUM, SCHEMA, Block, block_of, merge
from panel_app.measures import SUMS
from panel_app.names import Names

UNDO_SECONDS = 60.0
"""How long a clear can be taken back."""

_PENDING_LIMIT = 20_000
_INT64 = 2**63 - 1
_STATE = {state: number for number, state in enumerate(STATES)}


class Cleared(msgspec.Struct, frozen=True):
    """A clear that can still be undone: rows dropped, and when that ends (of the store's clock)."""

    rows: int
    until: float


class Snapshot(msgspec.Struct, frozen=True):
    """What the store held at one moment; nothing in it changes. Times are seconds since 1970."""

    version: int
    blocks: dict[int, Block]
    campaigns: Names
    channels: Names
    rows: int
    oldest: int
    newest: int
    wide: bool
    """The values are so large that their sum could overflow 64 bits: add them up as Float64."""

    @property
    def empty(self) -> bool:
        """Whether nothing is held."""
        return not self.rows

    def between(self, start: int, end: int, grain: int, cuts: tuple[int, ...] = ()) -> pl.DataFrame:
        """Rows with `start <= t < end`: `t`, `campaign`, `channel` and the columns of `measures.SUMS`.

        A block comes added up to `grain` seconds where neither an edge nor one of `cuts` lies inside it, else as it is: whoever
        groups by time floors `t` to his bucket.
        """
        columns = ["t", "campaign", "channel", *SUMS]
        edges = (start, end, *cuts)
        parts: list[pl.DataFrame] = []
        for at, block in self.blocks.items():
            if at + BLOCK_SECONDS <= start or at >= end:
                continue
            if grain > BLOCK_SECONDS or any(at < edge < at + BLOCK_SECONDS for edge in edges):
                rows = block.rows
                if at < start or at + BLOCK_SECONDS > end:
                    rows = rows.filter(pl.col("t").is_between(start, end, closed="left"))
            else:
                rows = block.at(grain, wide=self.wide)
            parts.append(rows[columns])
        if not parts:
            return pl.DataFrame(schema={name: SCHEMA[name] for name in columns})
        return pl.concat(parts, how="vertical_relaxed" if self.wide else "vertical", rechunk=False)

    def states(self, start: int, end: int) -> pl.DataFrame:
        """Windows with `start <= t < end`: `t`, `open` (a cell is provisional), `fixed` (a cell was corrected)."""
        parts = [block.states for at, block in self.blocks.items() if start - BLOCK_SECONDS < at < end]
        if not parts:
            return pl.DataFrame(schema={"t": pl.Int64, "open": pl.Boolean, "fixed": pl.Boolean})
        return pl.concat(parts).filter(pl.col("t").is_between(start, end, closed="left"))


@lru_cache(maxsize=100_000)
def parse_start(text: str) -> int:
    """Seconds since 1970 of a window start; raises `ValueError` for what is no RFC 3339 time with a zone."""
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return to_micros(moment) // 1_000_000


class Store:
    """The one store of a process. `clock` gives seconds that only grow; it measures the time left for an undo."""

    def __init__(self, hours: float = 24.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._span = int(hours * 3600)
        self._clock = clock
        self._lock = threading.RLock()
        self._blocks: dict[int, Block] = {}
        self._pending: dict[int, list[pl.DataFrame]] = {}
        self._pending_rows = 0
        self._campaigns, self._channels = Names(), Names()
        self._newest: int | None = None
        self._version = 0
        self._positions: dict[int, int] = {}
        self._fence: dict[int, int] = {}
        self._undo: tuple[Cleared, dict[int, Block], dict[int, int]] | None = None
        self._snapshot = self._take()
        self._taken = clock()
        self._listeners: list[Callable[[], None]] = []

    def apply(self, results: Iterable[WindowResult], positions: Mapping[int, int] | None = None) -> None:
        """Upsert `results`, whose window starts `parse_start` takes; `positions` are the next offsets of the partitions read.

        The order of arrival does not matter: per key the highest revision wins, at equal revision the later state.
        """
        records = results if isinstance(results, list) else list(results)
        with self._lock:
            self._positions.update(positions or {})
            if not records:
                return
            frame = self._frame(records)
            newest = int(frame["t"].max())  # pyright: ignore[reportArgumentType]  # a column of Int64 that is not empty
            self._newest = newest if self._newest is None else max(self._newest, newest)
            oldest = block_of(self._newest - self._span)
            for at, part in frame.group_by(pl.col("t") - pl.col("t") % BLOCK_SECONDS):
                if (start := int(at[0])) >= oldest:  # pyright: ignore[reportArgumentType]  # the key is one Int64
                    self._pending.setdefault(start, []).append(part)
                    self._pending_rows += len(part)
            for gone in [at for at in self._blocks if at < oldest]:
                del self._blocks[gone]
            for gone in [at for at in self._pending if at < oldest]:
                del self._pending[gone]
            if self._pending_rows > _PENDING_LIMIT:
                self._settle()
            self._version += 1

    def _frame(self, records: list[WindowResult]) -> pl.DataFrame:
        campaign, channel = self._campaigns.number, self._channels.number
        data: dict[str, pl.Series] = {
            "t": pl.Series("t", [parse_start(r.window_start) for r in records], pl.Int64),
            "campaign": pl.Series("campaign", [campaign(r.campaign_id) for r in records], pl.UInt32),
            "channel": pl.Series("channel", [channel(r.channel) for r in records], pl.UInt32),
        }
        for name in (*SUMS, "revision"):
            data[name] = _integers(name, [getattr(r, name) for r in records])
        data["state"] = pl.Series("state", [_STATE[r.state] for r in records], pl.UInt8)
        return pl.DataFrame(data)

    def _settle(self) -> None:
        for at, frames in self._pending.items():
            held = self._blocks.get(at)
            self._blocks[at] = Block(merge([held.rows, *frames] if held else frames))
        self._pending.clear()
        self._pending_rows = 0

    def _take(self) -> Snapshot:
        self._settle()
        blocks = dict(sorted(self._blocks.items()))
        rows = sum(len(block.rows) for block in blocks.values())
        largest = max((block.largest for block in blocks.values()), default=0)
        return Snapshot(
            version=self._version,
            blocks=blocks,
            campaigns=self._campaigns,
            channels=self._channels,
            rows=rows,
            oldest=_edge(blocks, first=True),
            newest=_edge(blocks, first=False),
            wide=largest * max(rows, 1) > SAFE_SUM,
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
            dropped = self.snapshot()
            fence = {**self._fence, **self._positions}
            self._undo = (Cleared(dropped.rows, self._clock() + UNDO_SECONDS), dict(dropped.blocks), self._fence)
            self._fence = fence
            self._blocks, self._newest = {}, None
            self._changed()
            return dropped.rows

    def undo(self) -> int:
        """Bring back what the last `clear` dropped, under what has come since; the number of rows, 0 if it is too late."""
        with self._lock:
            if self._undo is None or self._clock() > self._undo[0].until:
                return 0
            cleared, blocks, fence = self._undo
            self._undo, self._fence = None, fence
            self._settle()
            for at, block in blocks.items():
                held = self._blocks.get(at)
                self._blocks[at] = Block(merge([block.rows, held.rows])) if held else block
                self._newest = max(self._newest or at, int(self._blocks[at].rows["t"][-1]))
            self._changed()
            return cleared.rows

    def undoable(self) -> tuple[int, float]:
        """Rows that an undo would bring back and the seconds left for it; (0, 0) if there are none."""
        with self._lock:
            if self._undo is None or (left := self._undo[0].until - self._clock()) <= 0:
                return 0, 0.0
            return self._undo[0].rows, left

    def fence(self, partition: int) -> int:
        """Records of `partition` below this offset were cleared and stay out."""
        with self._lock:
            return self._fence.get(partition, 0)

    def forget_fence(self, partition: int) -> None:
        """The log of `partition` was made anew: its old offsets mean nothing."""
        with self._lock:
            self._fence.pop(partition, None)
            self._positions.pop(partition, None)

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
        # JSON knows no bound; a value beyond 64 bits is shown as the largest one that there is, and crashes nothing.
        return pl.Series(name, [min(max(value, -_INT64), _INT64) for value in values], pl.Int64)


def _edge(blocks: Mapping[int, Block], *, first: bool) -> int:
    keys = list(itertools.islice(blocks if first else reversed(list(blocks)), 1))
    return int(blocks[keys[0]].rows["t"][0 if first else -1]) if keys else 0
