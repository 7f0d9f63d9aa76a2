"""A block: the rows of a quarter of an hour of event time, as immutable polars frames.

Upserts replace the block they fall into; rollups of a block are computed on first use and kept with it. The cost of a refresh is
therefore that of what changed since the last one, not of what is held.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt
import polars as pl

from figures.measures import Floats, Wide, sizes, sums, wide_of
from figures.store.names import renumber
from figures.store.shape import Shape

BLOCK_SECONDS = 900
PROVISIONAL, FINAL, CORRECTED = 0, 1, 2
"""`schema.STATES` as small integers, in the same order."""

By = tuple[str, ...]
"""The dimensions that a frame of sums is split by, in the order of the shape."""

_FINE = 300
_STATES = ("states",)
_CHUNKS = 8
_serials = itertools.count(1)


def serial() -> int:
    """Return a number that no other content of a block or an hour has had."""
    return next(_serials)


def block_of(seconds: int) -> int:
    """Return the start of the block that holds the window starting at `seconds`."""
    return seconds - seconds % BLOCK_SECONDS


def merge(frames: list[pl.DataFrame], shape: Shape) -> pl.DataFrame:
    """Return one row per key of `frames` (of `shape`, oldest first): highest revision wins, then the later state, then the later record.

    The rows come in order of time.
    """
    together = stacked(frames) if len(frames) > 1 else frames[0]
    ordered = together.sort("revision", "state", maintain_order=True)
    return ordered.unique(subset=shape.key, keep="last", maintain_order=True).sort("t", maintain_order=True)


def stacked(frames: Iterable[pl.DataFrame], *, same: bool = False) -> pl.DataFrame:
    """Concatenate `frames`; a column of sums is `measures.WIDE` if it is in any of them. `same`: all types are known to agree."""
    return pl.concat(frames, how="vertical" if same else "vertical_relaxed", rechunk=False)


def without(rows: pl.DataFrame, gone: pl.DataFrame) -> pl.DataFrame:
    """Return the `rows` whose key (`Shape.key`, the columns of `gone`) is not in `gone`, in order of time."""
    return rows.join(gone, on=gone.columns, how="anti").sort("t", maintain_order=True)


def inner_edges(start: int, length: int, edges: Iterable[int]) -> list[int]:
    """Return those of `edges` that lie inside the `length` seconds from `start` on, and not at their ends."""
    return [edge for edge in edges if start < edge < start + length]


def fitting(grains: Iterable[int], grain: int, edges: Iterable[int]) -> int | None:
    """Return the first of `grains` whose buckets make up one of `grain` seconds and are not cut by `edges`; None if there is none."""
    return next(
        (candidate for candidate in grains if grain % candidate == 0 and all(edge % candidate == 0 for edge in edges)), None
    )


def rollup(rows: pl.DataFrame, shape: Shape, grain: int, *, wide: Wide, by: By) -> pl.DataFrame:
    """Return `rows` added up to `grain` seconds and split by `by`, in `shape.columns(by)` and in order of time.

    Their state is the `joint_state`. Rows are not grouped by dimensions that are the same in all of them: each one costs time.
    """
    constant = constants(rows, by)
    varying = [dimension for dimension in by if dimension not in constant]
    added = rows.lazy().group_by(floor_to(grain), *varying).agg(*sums(shape.sums, wide=wide), joint_state())
    same = [pl.lit(rows[dimension][0], dtype=pl.UInt32).alias(dimension) for dimension in constant]
    return added.sort("t").with_columns(same).select(shape.columns(by)).collect()


def constants(rows: pl.DataFrame, dimensions: By) -> By:
    """Return those of `dimensions` that have the same number in all `rows`; none if there are no rows."""
    if not len(rows):
        return ()
    return tuple(dimension for dimension in dimensions if rows[dimension].min() == rows[dimension].max())


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

    def __init__(self, rows: pl.DataFrame, shape: Shape, before: Self | None = None, same: int = 0) -> None:
        """`rows`: at least one, of `shape`, in order of time. They are those of the block `before` in all windows that start before `same`.

        What was made of those is taken over: a new minute costs a minute, not a block.
        """
        self.rows = rows
        self._shape = shape
        self.first, self.last = int(rows["t"][0]), int(rows["t"][-1])
        self.start = self.first - self.first % self.length
        self._made: dict[tuple[int, By], pl.DataFrame] = {}
        self._taken: dict[tuple[int, By], tuple[pl.DataFrame, int]] = {}
        self._changes = [(self.start, serial())] if before is None else before._changes_until(same)
        if before is not None:
            rollups = ((key, (frame, same)) for key, frame in list(before._made.items()))
            for key, (frame, until) in [*list(before._taken.items()), *rollups]:
                edge = min(until, same) // key[0] * key[0]
                self._taken[key] = clipped(frame, self.start, edge), edge

    def upserted(self, frames: list[pl.DataFrame]) -> Self:
        """Return the block with `frames` (of its shape, oldest first) merged into it."""
        same = min(int(frame["t"].min()) for frame in frames)  # pyright: ignore[reportArgumentType]  # a column of Int64 that is not empty
        kept = self._windows(self.start, same)
        rows = stacked([kept, merge([self.rows.slice(len(kept)), *frames], self._shape)])
        return type(self)(rows.rechunk() if rows.n_chunks() > _CHUNKS else rows, self._shape, self, same)

    def without(self, gone: pl.DataFrame) -> Self | None:
        """Return the block without the rows whose key (`Shape.key`) is in `gone` (sorted by time, not empty); None if no row is left."""
        rows = without(self.rows, gone)
        return type(self)(rows, self._shape, self, int(gone["t"][0])) if len(rows) else None

    @cached_property
    def _offsets(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Start of each window, and the offset of its first row; the number of rows at the end."""
        times = self.rows["t"].to_numpy()
        first = np.flatnonzero(np.diff(times, prepend=times[:1] - 1))
        return times[first], np.append(first, len(times))

    def _windows(self, start: int, end: int) -> pl.DataFrame:
        """Return the rows with `start <= t < end`, as `clipped` does, without reading the time of each row."""
        starts, offsets = self._offsets
        first, last = offsets[np.searchsorted(starts, (start, end))].tolist()
        return self.rows.slice(first, last - first)

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
        return sizes(self.rows, self._shape.sums)

    @cached_property
    def _constants(self) -> By:
        return constants(self.rows, self._shape.dimensions)

    @property
    def states(self) -> pl.DataFrame:
        """`window_states` of its rows."""
        return self._get((1, _STATES), window_states)

    def within(self, start: int, end: int, grain: int, cuts: tuple[int, ...], by: By) -> list[pl.DataFrame]:
        """Frames of what lies in `start <= t < end`, added up as far as `grain` and `cuts` allow (`Snapshot.between`).

        Less than five minutes are given as they are: they leave or change at the next refresh, and to add them up twice costs more.
        """
        if min(end, self.start + self.length) - max(start, self.start) < _FINE:
            return [self._windows(start, end).select(self._shape.columns(by))]
        inner = inner_edges(self.start, self.length, (start, end, *cuts))
        fitting_grain = fitting(self._GRAINS, grain, inner)
        if fitting_grain and (fitting_grain > 60 or self._widest(by) != self._shape.dimensions):
            frames = [self.at(fitting_grain, by)]
        elif grain % _FINE:
            return [self._windows(start, end).select(self._shape.columns(by))]
        else:
            frames = self._cut(sorted({edge - edge % _FINE for edge in inner if edge % _FINE}), by)
        whole = start <= self.start and end >= self.start + self.length
        return frames if whole else [clipped(frame, start, end) for frame in frames]

    def _cut(self, dirty: list[int], by: By) -> list[pl.DataFrame]:
        """Minutes in the five that begin with each of `dirty`, and five minutes at a time between them."""
        fine, columns, at = self.at(_FINE, by), self._shape.columns(by), self.start
        frames: list[pl.DataFrame] = []
        for edge in dirty:
            frames += [clipped(fine, at, edge), self._windows(edge, edge + _FINE).select(columns)]
            at = edge + _FINE
        return [*frames, clipped(fine, at, self.start + self.length)]

    def at(self, grain: int, by: By) -> pl.DataFrame:
        """Return the rows added up to `grain` seconds, which must divide the block."""
        shape, widest = self._shape, self._widest(by)
        frame = self._get(
            (grain, widest), lambda rows: rollup(rows, shape, grain, wide=wide_of(self.sizes, shape.sums), by=widest)
        )
        return frame if widest == by else frame.select(shape.columns(by))

    def _widest(self, by: By) -> By:
        """Return `by` with the dimensions that are constant here, by which splitting makes no difference: one rollup serves for both."""
        return tuple(dimension for dimension in self._shape.dimensions if dimension in by or dimension in self._constants)

    def _get(self, key: tuple[int, By], make: Callable[[pl.DataFrame], pl.DataFrame]) -> pl.DataFrame:
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

    def renumbered(self, numbers: Mapping[str, pl.Series]) -> Self:
        """Return the block with other numbers for its names (`names.renumber`)."""
        return type(self)(renumber(self.rows, numbers), self._shape)

    @property
    def bytes(self) -> int:
        """Approximate memory in bytes."""
        return int(self.rows.estimated_size() + sum(frame.estimated_size() for frame in list(self._made.values())))


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
