"""A snapshot: what a store held at one moment, and what can be asked of it."""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import msgspec
import polars as pl

from panel_app.blocks import SCHEMA, Block, clipped, columns
from panel_app.names import Names
from panel_app.packed import Day

_KEPT = 64
_NO_END = 2**62


T = TypeVar("T")


class Kept:
    """The last things that were worked out, each with the stamps of the rows that it was made of."""

    def __init__(self) -> None:
        self._found: OrderedDict[Hashable, tuple[Hashable, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, stamps: Hashable, make: Callable[[], T]) -> T:
        """What is under `key` if it was made of the same rows, or else what `make` gives."""
        with self._lock:
            held = self._found.get(key)
            if held is not None and held[0] == stamps:
                self._found.move_to_end(key)
                return held[1]
        found = make()
        with self._lock:
            self._found[key] = stamps, found
            self._found.move_to_end(key)
            while len(self._found) > _KEPT:
                self._found.popitem(last=False)
        return found


class Snapshot(msgspec.Struct, frozen=True):
    """What the store held at one moment; nothing in it changes. Times are seconds since 1970."""

    version: int
    parts: tuple[Day | Block, ...]
    """By time; none overlaps another."""
    campaigns: Names
    channels: Names
    rows: int
    packed: int
    """Those of `rows` that are packed (`packed`)."""
    oldest: int
    newest: int
    wide: bool
    """The values are so large that their sum could overflow 64 bits: add them up as Float64."""
    kept: Kept = msgspec.field(default_factory=Kept)
    """What earlier snapshots of the same store have worked out."""
    _starts: list[int] = []
    _stamps: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "_starts", [part.start for part in self.parts])
        msgspec.structs.force_setattr(self, "_stamps", tuple(part.stamp(_NO_END) for part in self.parts))

    @property
    def empty(self) -> bool:
        """Whether nothing is held."""
        return not self.rows

    @property
    def blocks(self) -> dict[int, Block]:
        """The minutes at hand by the start of their block, without what is packed."""
        return {part.start: part for part in self.parts if isinstance(part, Block)}

    @property
    def minutes_from(self) -> int:
        """Start of the oldest window at hand."""
        return next((part.first for part in self.parts if isinstance(part, Block)), 0)

    @property
    def bytes(self) -> int:
        """About how much memory the rows take."""
        return sum(part.bytes for part in self.parts)

    def between(self, start: int, end: int, grain: int, cuts: tuple[int, ...] = (), by: str = "both") -> pl.DataFrame:
        """Rows with `start <= t < end` in `blocks.columns(by)`: `t`, the names' numbers, `measures.SUMS` and `state`.

        They come added up as far as they can while they still add up to buckets of `grain` seconds and to what lies on either side of
        each of `cuts`: whoever groups by time floors `t` to his bucket. `by` is a key of `blocks.SPLITS`.
        """
        frames = [frame for part in self.parts[self._touched(start, end)] for frame in part.within(start, end, grain, cuts, by)]
        if not frames:
            return pl.DataFrame(schema={name: SCHEMA[name] for name in columns(by)})
        return pl.concat(frames, how="vertical_relaxed" if self.wide else "vertical", rechunk=False)

    def states(self, start: int, end: int) -> pl.DataFrame:
        """Windows with `start <= t < end` that are `open` (a cell is provisional) or `fixed` (a cell was corrected), by time."""
        parts = [clipped(part.states, start, end) for part in self.parts[self._touched(start, end)]]
        parts = [part for part in parts if len(part)]
        return pl.concat(parts) if parts else pl.DataFrame(schema={"t": pl.Int64, "open": pl.Boolean, "fixed": pl.Boolean})

    def remembered(self, start: int, end: int, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` works out of the rows with `start <= t < end`: at once, if they are those of the last time under this `key`."""
        touched = self._touched(start, end)
        # Only the last part can go on beyond the end.
        last = [part.stamp(end) for part in self.parts[touched][-1:]]
        return self.kept.get((start, end, key), (self.wide, self._stamps[touched][:-1], last), make)

    def _touched(self, start: int, end: int) -> slice:
        """Which parts can hold rows with `start <= t < end`."""
        first = bisect_right(self._starts, start) - 1
        if first < 0 or self.parts[first].last < start:
            first += 1
        return slice(first, bisect_left(self._starts, end))
