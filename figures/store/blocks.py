"""A block: the rows of a quarter of an hour of event time, as immutable polars frames.

Upserts replace the block they fall into; rollups of a block are computed on first use and kept with it. The cost of a refresh is
therefore that of what changed since the last one, not of what is held.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Self

import numpy as np
import polars as pl

from dataflows.contract.metrics import SUMS
from figures.measures import Floats, Wide, sizes, sums, wide_of

BLOCK_SECONDS = 900
KEY = ("t", "campaign", "channel")
PROVISIONAL, FINAL, CORRECTED = 0, 1, 2
"""`schema.STATES` as small integers, in the same order."""

SCHEMA: dict[str, type[pl.DataType]] = {
    "t": pl.Int64,
    "campaign": pl.UInt32,
    "channel": pl.UInt32,
    **dict.fromkeys(SUMS, pl.Int64),
    "revision": pl.Int64,
    "state": pl.UInt8,
}
"""Columns of `Block.rows`: window start in seconds since 1970, name numbers, sums, revision, state.

A column of sums has the type `measures.WIDE` if one of its values is beyond 64 bits.
"""

SPLITS: dict[str, tuple[str, ...]] = {"both": ("campaign", "channel"), "campaign": ("campaign",), "channel": ("channel",)}
"""What a row of sums can be split by."""

_FINE = 300
_STATES = "states"
_CHUNKS = 8
_serials = itertools.count(1)


def serial() -> int:
    """Return a number that no other content of a block or an hour has had."""
    return next(_serials)


def block_of(seconds: int) -> int:
    """Return the start of the block that holds the window starting at `seconds`."""
    return seconds - seconds % BLOCK_SECONDS


def merge(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Return one row per key of `frames` (`SCHEMA`, oldest first): highest revision wins, then the later state, then the later record.

    The rows come in order of time.
    """
    together = stacked(frames) if len(frames) > 1 else frames[0]
    ordered = together.sort("revision", "state", maintain_order=True)
    return ordered.unique(subset=KEY, keep="last", maintain_order=True).sort("t", maintain_order=True)


def stacked(frames: Iterable[pl.DataFrame], *, same: bool = False) -> pl.DataFrame:
    """Concatenate `frames`; a column of sums is `measures.WIDE` if it is in any of them. `same`: all types are known to agree."""
    return pl.concat(frames, how="vertical" if same else "vertical_relaxed", rechunk=False)


def without(rows: pl.DataFrame, gone: pl.DataFrame) -> pl.DataFrame:
    """Return the `rows` whose key (`KEY`) is not in `gone`, in order of time."""
    return rows.join(gone, on=KEY, how="anti").sort("t", maintain_order=True)


def inner_edges(start: int, length: int, edges: Iterable[int]) -> list[int]:
    """Return those of `edges` that lie inside the `length` seconds from `start` on, and not at their ends."""
    return [edge for edge in edges if start < edge < start + length]


def fitting(grains: Iterable[int], grain: int, edges: Iterable[int]) -> int | None:
    """Return the first of `grains` whose buckets make up one of `grain` seconds and are not cut by `edges`; None if there is none."""
    return next(
        (candidate for candidate in grains if grain % candidate == 0 and all(edge % candidate == 0 for edge in edges)), None
    )


def columns(by: str) -> list[str]:
    """Return the columns of a frame of sums that is split by `by`, a key of `SPLITS`."""
    return ["t", *SPLITS[by], *SUMS, "state"]


def rollup(rows: pl.DataFrame, grain: int, *, wide: Wide, by: str = "both") -> pl.DataFrame:
    """`rows` added up to `grain` seconds and split by `by`, in `columns(by)` and in order of time; their state is the `joint_state`."""
    return rows.lazy().group_by(floor_to(grain), *SPLITS[by]).agg(*sums(wide=wide), joint_state()).sort("t").collect()


def clipped(rows: pl.DataFrame, start: int, end: int) -> pl.DataFrame:
    """Return the rows with `start <= t < end`; `rows` are in order of time."""
    first, last = np.searchsorted(rows["t"].to_numpy(), (start, end))
    return rows if last - first == len(rows) else rows.slice(int(first), int(last - first))


def split(rows: pl.DataFrame, seconds: int) -> Iterator[tuple[int, pl.DataFrame]]:
    """Split `rows`, which are in order of time, into stretches of `seconds`; yield the start and the rows of each.

    If there are several, their rows are copies: a slice would keep the memory of all others.
    """
    starts = rows["t"].to_numpy() // seconds * seconds
    edges = np.flatnonzero(np.diff(starts, prepend=starts[:1] - 1)).tolist()
    for first, last in itertools.pairwise([*edges, len(rows)]):
        part = rows if last - first == len(rows) else rows[np.arange(first, last)]
        yield int(starts[first]), part


def window_states(rows: pl.DataFrame) -> pl.DataFrame:
    """Windows of `rows` that are `open` (have a provisional cell) or `fixed` (have a corrected one), in order of time (`t`)."""
    time, state = rows["t"].to_numpy(), rows["state"].to_numpy()
    open_, fixed = np.unique(time[state == PROVISIONAL]), np.unique(time[state == CORRECTED])
    marked = np.union1d(open_, fixed)
    return pl.DataFrame({"t": marked, "open": np.isin(marked, open_), "fixed": np.isin(marked, fixed)})


class Block:
    """The rows of one block and what is derived from them."""

    length = BLOCK_SECONDS
    """Length in seconds of event time; `start` is a multiple of it."""
    _GRAINS = (BLOCK_SECONDS, _FINE, 60)

    def __init__(self, rows: pl.DataFrame, before: Self | None = None, same: int = 0) -> None:
        """`rows`: at least one, in order of time. They are those of the block `before` in all windows that start before `same`.

        What was made of those is taken over: a new minute costs a minute, not a block.
        """
        self.rows = rows
        self.first, self.last = int(rows["t"][0]), int(rows["t"][-1])
        self.start = self.first - self.first % self.length
        self._made: dict[tuple[int, str], pl.DataFrame] = {}
        self._taken: dict[tuple[int, str], tuple[pl.DataFrame, int]] = {}
        self._changes = [(self.start, serial())] if before is None else before._changes_until(same)
        if before is not None:
            rollups = ((key, (frame, same)) for key, frame in list(before._made.items()))
            for key, (frame, until) in [*list(before._taken.items()), *rollups]:
                edge = min(until, same) // key[0] * key[0]
                self._taken[key] = clipped(frame, self.start, edge), edge

    def upserted(self, frames: list[pl.DataFrame]) -> Self:
        """Return the block with `frames` (`SCHEMA`, oldest first) merged into it."""
        same = min(int(frame["t"].min()) for frame in frames)  # pyright: ignore[reportArgumentType]  # a column of Int64 that is not empty
        kept = clipped(self.rows, self.start, same)
        rows = stacked([kept, merge([self.rows.slice(len(kept)), *frames])])
        return type(self)(rows.rechunk() if rows.n_chunks() > _CHUNKS else rows, self, same)

    def without(self, gone: pl.DataFrame) -> Self | None:
        """Return the block without the rows whose key (`KEY`) is in `gone` (sorted by time, not empty); None if no row is left."""
        rows = without(self.rows, gone)
        return type(self)(rows, self, int(gone["t"][0])) if len(rows) else None

    def _changes_until(self, same: int) -> list[tuple[int, int]]:
        return [*(change for change in self._changes if change[0] < same), (same, serial())]

    def __len__(self) -> int:
        return len(self.rows)

    def stamp(self, until: int) -> int:
        """Return a number that is constant while no window before `until` changes, and unique to this content."""
        return max((number for start, number in self._changes if start < until), default=0)

    @cached_property
    def sizes(self) -> Floats:
        """`measures.sizes` of its rows."""
        return sizes(self.rows)

    @property
    def states(self) -> pl.DataFrame:
        """`window_states` of its rows."""
        return self._get((1, _STATES), window_states)

    def within(self, start: int, end: int, grain: int, cuts: tuple[int, ...], by: str) -> list[pl.DataFrame]:
        """Frames of what lies in `start <= t < end`, added up as far as `grain` and `cuts` allow (`Snapshot.between`)."""
        inner = inner_edges(self.start, self.length, (start, end, *cuts))
        fitting_grain = fitting(self._GRAINS, grain, inner)
        if fitting_grain and (fitting_grain > 60 or by != "both"):
            frames = [self.at(fitting_grain, by)]
        elif grain % _FINE:
            frames = [self.rows[columns(by)]]
        else:
            frames = self._cut(sorted({edge - edge % _FINE for edge in inner if edge % _FINE}), by)
        whole = start <= self.start and end >= self.start + self.length
        return frames if whole else [clipped(frame, start, end) for frame in frames]

    def _cut(self, dirty: list[int], by: str) -> list[pl.DataFrame]:
        """Minutes in the five that begin with each of `dirty`, and five minutes at a time between them."""
        fine, minutes, at = self.at(_FINE, by), self.rows[columns(by)], self.start
        frames: list[pl.DataFrame] = []
        for edge in dirty:
            frames += [clipped(fine, at, edge), clipped(minutes, edge, edge + _FINE)]
            at = edge + _FINE
        return [*frames, clipped(fine, at, self.start + self.length)]

    def at(self, grain: int, by: str) -> pl.DataFrame:
        """The rows added up to `grain` seconds, which must divide the block."""
        return self._get((grain, by), lambda rows: rollup(rows, grain, wide=wide_of(self.sizes), by=by))

    def _get(self, key: tuple[int, str], make: Callable[[pl.DataFrame], pl.DataFrame]) -> pl.DataFrame:
        frame = self._made.get(key)
        if frame is None:
            held = self._taken.pop(key, None)
            if held is None or not len(held[0]):
                frame = make(self.rows)
            else:
                kept, since = held
                frame = stacked([kept, make(clipped(self.rows, since, self.start + self.length))])
            self._made[key] = frame
        return frame

    def numbers(self, dimension: str) -> pl.Series:
        """Return the numbers of the names in its rows."""
        return self.rows[dimension].unique()

    def renumbered(self, campaigns: pl.Series, channels: pl.Series) -> Self:
        """The same with other numbers for its names: `campaigns` and `channels` have the new one at the place of the old."""
        return type(self)(renumber(self.rows, campaigns, channels))

    @property
    def bytes(self) -> int:
        """Approximate memory in bytes."""
        return int(self.rows.estimated_size() + sum(frame.estimated_size() for frame in list(self._made.values())))


def renumber(rows: pl.DataFrame, campaigns: pl.Series, channels: pl.Series) -> pl.DataFrame:
    """Return `rows` with new numbers for names: those in `campaigns` and `channels` at the index of the old ones."""
    return rows.with_columns(
        campaigns.gather(rows["campaign"]).alias("campaign"), channels.gather(rows["channel"]).alias("channel")
    )


def joint_state() -> pl.Expr:
    """Return the state of several cells together: open if one is, else corrected if one is."""
    state = pl.col("state")
    joint = (
        pl.when((state == PROVISIONAL).any()).then(PROVISIONAL).when((state == CORRECTED).any()).then(CORRECTED).otherwise(FINAL)
    )
    return joint.cast(pl.UInt8).alias("state")


def floor_to(grain: int) -> pl.Expr:
    """Column `t` brought down to the start of its bucket of `grain` seconds."""
    return (pl.col("t") - pl.col("t") % grain).alias("t")
