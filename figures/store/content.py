"""The content of a store: rows by event time, minutes at hand in blocks and older ones by day, for as long as the retention allows.

It knows no threads, no clock and no names; the store handles those.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
import polars as pl

from figures.store.blocks import BLOCK_SECONDS, Block, block_of, clipped, merge, split
from figures.store.names import Names
from figures.store.packed_days import DAY, HOUR, Day, SparseDay, day_since, day_with
from figures.store.rows import Values
from figures.store.shape import Shape

Cell = tuple[int, *Values]
"""Key of a result: window start (seconds since 1970), campaign, channel, the values of a breakdown's fields, currency."""

_NO_END = 2**62
_PACKED = 10
"""Packed rows that take the memory of one that is not packed."""


def keys(cells: Iterable[Cell], shape: Shape, names: Mapping[str, Names]) -> pl.DataFrame:
    """Return `cells` as rows of the key of `shape`, in order of time; `names` by dimension.

    Cells whose names have no number are left out: no row has them.
    """
    dimensions = [names[dimension] for dimension in shape.dimensions]
    numbered = (
        (start, *(number for known, value in zip(dimensions, values, strict=True) for number in known.known((value,))))
        for start, *values in cells
    )
    rows = [row for row in numbered if len(row) == len(shape.key)]
    return pl.DataFrame(rows, schema={name: shape.schema[name] for name in shape.key}, orient="row").sort("t")


def _sizes_of(part: Day | SparseDay | Block) -> list[tuple[int, int]]:
    """Return the starts of the stretches of `part` that can be dropped by themselves, and how many rows each counts as."""
    if isinstance(part, Day):
        return [(hour, -(-len(rows) // _PACKED)) for hour, rows in part.hours.items()]
    if isinstance(part, SparseDay):
        return [(hour, len(rows)) for hour, rows in split(part.rows, HOUR)]
    return [(part.start, len(part))]


class Retention(msgspec.Struct, frozen=True):
    """How long rows are kept: `minutes` seconds at hand and `history` seconds by day, both back from the newest window.

    A day of `packed_from` rows or more is packed, one of fewer is kept as it is. If there are more than `most_rows`, the oldest are
    dropped, a tenth at once; a packed row counts as a tenth of one.
    """

    minutes: int
    history: int
    packed_from: int
    most_rows: int

    def edges(self, newest: int) -> tuple[int, int]:
        """Return from when on minutes are at hand, and from when on anything is held (seconds since 1970)."""
        recent = newest - self.minutes
        if not self.history:
            return block_of(recent), block_of(recent)
        return recent - recent % HOUR, min(recent, newest - self.history) // HOUR * HOUR


class Content:
    """The rows that a store of `shape` holds."""

    def __init__(self, shape: Shape, retention: Retention) -> None:
        self._shape = shape
        self._retention = retention
        self._blocks: dict[int, Block] = {}
        self._days: dict[int, Day | SparseDay] = {}
        self.newest: int | None = None
        """Start of the newest window that is held or waits to be merged (`reach`)."""
        self._floor = 0
        """Rows before it were dropped because there were too many (seconds since 1970)."""
        self.rows = self.packed = 0
        """Number of rows held, and of packed rows, as of the last merge."""

    @property
    def parts(self) -> tuple[Day | SparseDay | Block, ...]:
        """What is held, by time."""
        return (*(self._days[at] for at in sorted(self._days)), *(self._blocks[at] for at in sorted(self._blocks)))

    def reach(self, newest: int | None) -> None:
        """Have the retention count back from `newest` at least, the start of a window; None for no window."""
        if newest is not None:
            self.newest = newest if self.newest is None else max(self.newest, newest)

    def merge(self, frames: list[pl.DataFrame]) -> bool:
        """Merge `frames` (of the shape, oldest first), pack what has become old, and drop what is too old.

        Return whether rows left the minutes, or were dropped.
        """
        recent, oldest = (max(edge, self._floor) for edge in self._retention.edges(self.newest or 0))
        old = [at for at in sorted(self._blocks) if at < recent]
        frames = [self._blocks.pop(at).rows for at in old] + frames
        past = [day for day in self._days.values() if day.first < oldest]
        for day in past:
            del self._days[day.start]
            if rest := day_since(day, self._shape, oldest):
                self._days[day.start] = rest
        is_dropped = False
        if frames:
            # One merge for all blocks: a call into polars costs more than the rows of a small block.
            rows = merge(frames, self._shape)
            for at, part in split(clipped(rows, oldest, recent), DAY):
                self._days[at] = day_with(self._days.get(at), part, self._shape, self._retention.packed_from)
            for at, part in split(clipped(rows, recent, _NO_END), BLOCK_SECONDS):
                block = self._blocks.get(at)
                self._blocks[at] = block.upserted([part]) if block else Block(part, self._shape)
            is_dropped = int(rows["t"][0]) < oldest
        is_dropped |= self._drop_beyond(self._retention.most_rows)
        self.packed = sum(len(day) for day in self._days.values() if isinstance(day, Day))
        self.rows = self._count()
        return bool(old or past or is_dropped)

    def _drop_beyond(self, most_rows: int) -> bool:
        """Drop the oldest rows if there are more than `most_rows`; return whether there were."""
        if self._count() <= most_rows:
            return False
        left = most_rows
        sizes = [size for part in self.parts for size in _sizes_of(part)]
        if sum(size for _, size in sizes) <= left:
            return False
        left -= most_rows // 10
        for at, size in sorted(sizes, reverse=True):
            left -= size
            if left < 0 and at != max(sizes)[0]:
                break
            self._floor = at
        self._blocks = {at: block for at, block in self._blocks.items() if at >= self._floor}
        days = ((at, day_since(day, self._shape, self._floor)) for at, day in self._days.items())
        self._days = {at: day for at, day in days if day is not None}
        return True

    def delete(self, gone: pl.DataFrame) -> int:
        """Delete the rows with the keys `gone` (`keys`); return how many rows that were."""
        before = self._count()
        for at, part in split(gone, BLOCK_SECONDS):
            block = self._blocks.pop(at, None)
            if block is not None and (rest := block.without(part)) is not None:
                self._blocks[at] = rest
        for at, part in split(gone, DAY):
            day = self._days.pop(at, None)
            if day is not None and (left := day.without(part)) is not None:
                self._days[at] = left
        if not self._blocks and not self._days:
            # Only then: minutes at hand must not begin before the end of the packed days.
            self.newest = None
        return before - self._count()

    def used(self, dimension: str) -> pl.Series:
        """Return the numbers of the names that rows have, in order; `dimension` is one of the shape."""
        return pl.concat([part.numbers(dimension) for part in self.parts]).unique().sort()

    def renumber(self, numbers: Mapping[str, pl.Series]) -> None:
        """Give names other numbers (`names.renumber`)."""
        self._blocks = {at: block.renumbered(numbers) for at, block in self._blocks.items()}
        self._days = {at: day.renumbered(numbers) for at, day in self._days.items()}

    def _count(self) -> int:
        return sum(map(len, (*self._days.values(), *self._blocks.values())))
