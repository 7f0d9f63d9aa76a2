"""Numbers for names, so that a row holds 4 bytes in place of a name that may be 10 kB long."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from figures.store.spelling import SpellingMark, mark, skeleton

_LIKE = 5
"""Largest number of similar names that a name is compared with."""

Numbered = TypeVar("Numbered", int, npt.NDArray[np.int64])


class Names:
    """Names in order of first appearance; the number of a name is its index. It only grows, so that readers need no lock.

    Once most names are unused, `compacted` returns a new object with the remaining ones; readers of the old object continue to use it.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}
        self._series = pl.Series("name", [], dtype=pl.String)
        self._alike: dict[str, dict[str, None]] = {}
        self._looked = 0

    def number(self, name: str) -> int:
        """Return the number of `name`, a new one if it has none."""
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self.names)
            self.names.append(name)
        return number

    def series(self) -> pl.Series:
        """Return all names, each at its number."""
        if len(self._series) != len(self.names):
            self._series = pl.Series("name", self.names, dtype=pl.String)
        return self._series

    def known(self, names: Iterable[str]) -> list[int]:
        """Return the numbers of those of `names` that have one."""
        return [self._numbers[name] for name in names if name in self._numbers]

    def marks(self, shown: Iterable[str]) -> dict[str, SpellingMark]:
        """Return, by name, how those of the `shown` names that look like any other name differ from it."""
        begun, ended = self._looked, len(self.names)
        # Two threads at once may add the same names twice, but none is missed.
        for name in self.names[begun:ended]:
            self._alike.setdefault(skeleton(name), {})[name] = None
        self._looked = ended
        marks: dict[str, SpellingMark] = {}
        for name in shown:
            if others := [other for other in [*self._alike.get(skeleton(name), ())][: _LIKE + 1] if other != name]:
                marks[name] = mark(name, tuple(others[:_LIKE]))
        return marks

    def column(self, numbers: Iterable[int]) -> list[str]:
        """Return the names of `numbers`."""
        names = self.names
        return [names[number] for number in numbers]


def compacted(known: Names, used: pl.Series) -> tuple[Names, pl.Series]:
    """Return names with only those of `known` whose numbers are in `used`, and the new numbers, at the index of the old ones."""
    names = Names()
    for name in known.column(used):
        names.number(name)
    numbers = pl.DataFrame({"old": used.cast(pl.UInt32), "new": pl.int_range(len(used), dtype=pl.UInt32, eager=True)})
    every = pl.DataFrame({"old": pl.int_range(len(known.names), dtype=pl.UInt32, eager=True)})
    return names, every.join(numbers, on="old", how="left", maintain_order="left")["new"].fill_null(0)


def pair(campaign: Numbered, channel: Numbered) -> Numbered:
    """One number for the numbers of a campaign and a channel; those of one campaign follow each other."""
    return campaign * 2**32 + channel
