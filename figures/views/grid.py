"""Points of time of a chart: the buckets of a range, and how the instants of one range correspond to those of another."""

from __future__ import annotations

import math
from functools import lru_cache

import msgspec
import numpy as np
import numpy.typing as npt

from figures.calendar import calendar
from figures.calendar.zones import Seconds


class Grid(msgspec.Struct, frozen=True):
    """Buckets between two neighbouring `edges`, in seconds since 1970; of `step` seconds each if that is not 0.

    A bucket without a length has no data: two hours that come twice have only one in the period that they are compared with.
    """

    edges: tuple[int, ...]
    step: int = 0

    def __len__(self) -> int:
        return max(len(self.edges) - 1, 0)

    @property
    def start(self) -> int:
        """The first instant."""
        return self.edges[0]

    @property
    def end(self) -> int:
        """The end of the last bucket."""
        return self.edges[-1]

    @property
    def instants(self) -> Seconds:
        """The edges as an array."""
        return _instants(self.edges)

    @property
    def grain(self) -> int:
        """Seconds of the largest sums that make up each bucket."""
        return math.gcd(self.step, self.start) or self.step if self.step else _grain(self.edges)

    @property
    def key(self) -> tuple[int, ...]:
        """What `floor` depends on."""
        return (self.step, self.start % self.step) if self.step else self.edges

    def floor(self, t: Seconds) -> Seconds:
        """Return the first instant of the bucket of each of `t`."""
        return t - (t - self.start) % self.step if self.step else self.instants[self.index(t)]

    def index(self, t: Seconds) -> npt.NDArray[np.intp]:
        """Return the number of the bucket of each of `t`."""
        if self.step:
            return (t - self.start) // self.step
        return np.searchsorted(self.instants, t, side="right") - 1

    def shifted(self, t: Seconds, to: Grid) -> Seconds:
        """Return the instants of `to` that are as far in its buckets as each of `t` is in those of this grid, of as many buckets."""
        if self.step and self.step == to.step:
            return t + (to.start - self.start)
        return np.rint(np.interp(t, self.instants, to.instants)).astype(np.int64)


def regular(start: int, end: int, step: int) -> Grid:
    """Return buckets of `step` seconds; `end` is that of the last one."""
    return Grid(tuple(range(start, end + 1, step)), step)


@lru_cache(maxsize=128)
def _instants(edges: tuple[int, ...]) -> Seconds:
    return np.array(edges, np.int64)


@lru_cache(maxsize=128)
def _grain(edges: tuple[int, ...]) -> int:
    return calendar.grain(edges)
