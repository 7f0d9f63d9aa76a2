"""A snapshot: what a store held at one moment, and what can be asked of it."""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeGuard, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from figures.measures import Wide
from figures.store.blocks import Block, clipped, stacked
from figures.store.names import Names
from figures.store.packed_days import Day, SparseDay
from figures.store.shape import CELL, Shape

_KEPT_BYTES = 256 * 2**20
_SMALLEST = 4096
"""Bytes that each value is counted as at least."""
_MOVED = 4000
"""Largest number of seconds by which a value is moved: a range moves by an hour where that is what its points cover."""
_NO_END = 2**62


T = TypeVar("T")


class Kept(msgspec.Struct, frozen=True):
    """A value computed from the rows with `start <= t < end`, and the stamps of these rows."""

    start: int
    end: int
    stamps: Hashable
    found: Any


def bytes_of(value: object) -> int:
    """Return the memory of the arrays in `value`, in bytes: one, a tuple of them, or what says by `bytes` how much it takes."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, tuple):
        return sum(map(bytes_of, value))
    size = getattr(value, "bytes", 0)
    return size if isinstance(size, int) else 0


class Memory:
    """A cache of the most recently used values, of `most_bytes` in all; the newest one is kept whatever its size.

    A page of a hundred thousand values of a breakdown takes 25 MB, one of two thousand campaigns 1 MB.
    """

    def __init__(self, most_bytes: int = _KEPT_BYTES) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[Hashable, tuple[Kept, int]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Kept | None:
        """Return the entry under `key`; None if there is none."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def put(self, key: Hashable, kept: Kept) -> None:
        """Keep the entry, and evict the least recently used ones."""
        size = max(bytes_of(kept.found), _SMALLEST)
        with self._lock:
            self._bytes += size - self._kept.pop(key, (None, 0))[1]
            self._kept[key] = kept, size
            while self._bytes > self._most_bytes and len(self._kept) > 1:
                self._bytes -= self._kept.popitem(last=False)[1][1]


def _at_hand(part: Day | SparseDay | Block) -> TypeGuard[Block]:
    return isinstance(part, Block) and not isinstance(part, SparseDay)


class Snapshot(msgspec.Struct, frozen=True):
    """What the store held at one moment; nothing in it changes. Times are seconds since 1970."""

    version: int
    parts: tuple[Day | SparseDay | Block, ...]
    """By time; none overlaps another."""
    shape: Shape
    names: Mapping[str, Names]
    """Names by dimension of the shape."""
    rows: int
    packed: int
    """Those of `rows` that are packed (`packed`)."""
    oldest: int
    newest: int
    wide: Wide
    """Columns whose sum could exceed 64 bits."""
    memory: Memory = msgspec.field(default_factory=Memory)
    """Values computed by earlier snapshots of the same store."""
    _starts: list[int] = []
    _all_stamps: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "_starts", [part.start for part in self.parts])
        msgspec.structs.force_setattr(self, "_all_stamps", tuple(part.stamp(_NO_END) for part in self.parts))

    @property
    def campaigns(self) -> Names:
        """Names of campaigns."""
        return self.names["campaign"]

    @property
    def channels(self) -> Names:
        """Names of channels."""
        return self.names["channel"]

    @property
    def empty(self) -> bool:
        """Whether nothing is held."""
        return not self.rows

    @property
    def blocks(self) -> dict[int, Block]:
        """The minutes at hand by the start of their block, without what is packed."""
        return {part.start: part for part in self.parts if _at_hand(part)}

    @property
    def minutes_from(self) -> int:
        """Start of the oldest window at hand."""
        return next((part.first for part in self.parts if _at_hand(part)), 0)

    @property
    def bytes(self) -> int:
        """Approximate memory of the rows."""
        return sum(part.bytes for part in self.parts)

    def between(self, start: int, end: int, grain: int, cuts: tuple[int, ...] = (), by: Sequence[str] = CELL) -> pl.DataFrame:
        """Return rows with `start <= t < end` in `Shape.columns(by)`: `t`, the names' numbers, the sums and `state`.

        They come added up as far as they can while they still add up to buckets of `grain` seconds and to what lies on either side of
        each of `cuts`: a caller that groups by time floors `t` to its bucket. `by` is any subset of the shape's dimensions; there may be
        several rows of one time and combination of them, and only if `currency` is among them each row is of one currency.
        """
        by = tuple(dimension for dimension in self.shape.dimensions if dimension in by)
        frames = [frame for part in self.parts[self._touched(start, end)] for frame in part.within(start, end, grain, cuts, by)]
        if not frames:
            return pl.DataFrame(schema={name: self.shape.schema[name] for name in self.shape.columns(by)})
        return stacked(frames, same=not self.wide)

    def states(self, start: int, end: int) -> pl.DataFrame:
        """Windows with `start <= t < end` that are `open` (a cell is provisional) or `fixed` (a cell was corrected), by time."""
        parts = [clipped(part.states, start, end) for part in self.parts[self._touched(start, end)] if len(part.states)]
        return pl.concat(parts) if parts else pl.DataFrame(schema={"t": pl.Int64, "open": pl.Boolean, "fixed": pl.Boolean})

    def open_windows(self, start: int, end: int) -> npt.NDArray[np.int64]:
        """Return the windows with `start <= t < end` that have a provisional cell, in order of time."""
        states = self.states(start, end)
        return states["t"].filter(states["open"]).to_numpy()

    def remembered(
        self,
        key: Hashable,
        start: int,
        end: int,
        make: Callable[[], T],
        move: Callable[[int, int, T], T] | None = None,
        *,
        fits: Callable[[T], bool] = lambda _value: True,
    ) -> T:
        """Return what `make` computes from the rows with `start <= t < end`, or the value under `key` if it is of the same rows.

        If that value is of rows from another start to another end that are unchanged and overlap with the requested ones, `move` (that
        start, that end, the value) can save work; not where sums are floats, which can't be subtracted exactly.
        A value that does not satisfy `fits` is made again.
        """
        held, stamps = self.memory.get(key), self._stamps(start, end)
        if held is not None and not fits(held.found):
            held = None
        if held is not None and (held.start, held.end, held.stamps) == (start, end, stamps):
            return held.found
        if (
            held is not None
            and move is not None
            and not self.wide
            and held.start <= start < held.end <= end
            and start - held.start + end - held.end <= _MOVED
            and self._stamps(held.start, held.end) == held.stamps
        ):
            value = move(held.start, held.end, held.found)
        else:
            value = make()
        self.memory.put(key, Kept(start, end, stamps, value))
        return value

    def _stamps(self, start: int, end: int) -> Hashable:
        """Return a value that is constant while no row with `start <= t < end` changes."""
        touched = self._touched(start, end)
        # Only the last part can extend beyond the end.
        return self.wide, self._all_stamps[touched][:-1], tuple(part.stamp(end) for part in self.parts[touched][-1:])

    def _touched(self, start: int, end: int) -> slice:
        """Return the parts that can hold rows with `start <= t < end`."""
        first = bisect_right(self._starts, start) - 1
        if first < 0 or self.parts[first].last < start:
            first += 1
        return slice(first, bisect_left(self._starts, end))
