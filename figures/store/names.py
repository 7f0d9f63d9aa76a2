"""Numbers for names, so that a row holds 4 bytes in place of a name that may be 10 kB long."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from dataflows.contract.breakdowns import NOT_SET, OTHER, Value
from figures.store.spelling import SpellingMark, folded, mark, skeleton

_LIKE = 5
"""Largest number of similar names that a name is compared with."""

_SEARCHES = 8
"""Number of searches whose matches are kept, a byte for each name."""

Numbered = TypeVar("Numbered", int, npt.NDArray[np.int64])

Mask = npt.NDArray[np.bool_]

NOT_SET_NUMBER, OTHER_NUMBER = 0, 1
"""Numbers of `breakdowns.NOT_SET` and `breakdowns.OTHER` in the names of a breakdown's field."""

LABELS = ("(not set)", "(other)")
"""How they are shown; a text may look the same, so only the numbers tell them apart."""


class Names:
    """Names in order of first appearance; the number of a name is its index. It only grows, so that readers need no lock.

    Once most names are unused, `compacted` returns a new object with the remaining ones; readers of the old object continue to use it.
    """

    def __init__(self, *, of_values: bool = False) -> None:
        """`of_values`: names of a breakdown's field, in which `NOT_SET` and `OTHER` have numbers of their own."""
        self.of_values = of_values
        self.names: list[str] = [*LABELS] if of_values else []
        self._numbers: dict[Value, int] = {NOT_SET: NOT_SET_NUMBER, OTHER: OTHER_NUMBER} if of_values else {}
        self._series = pl.Series("name", [], dtype=pl.String)
        self._alike: dict[str, dict[str, None]] = {}
        self._looked = len(self.names)
        self._spelling = Spelling(self.names)

    def number(self, name: Value) -> int:
        """Return the number of `name`, a new one if it has none."""
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self.names)
            self.names.append(str(name))
        return number

    def values(self, numbers: Iterable[int]) -> list[Value]:
        """Return the values of `numbers`."""
        special: dict[int, Value] = {NOT_SET_NUMBER: NOT_SET, OTHER_NUMBER: OTHER} if self.of_values else {}
        names = self.names
        return [special[number] if number in special else names[number] for number in numbers]

    def series(self) -> pl.Series:
        """Return all names, each at its number."""
        if len(self._series) != len(self.names):
            self._series = pl.Series("name", self.names, dtype=pl.String)
        return self._series

    def known(self, names: Iterable[Value]) -> list[int]:
        """Return the numbers of those of `names` that have one."""
        return [self._numbers[name] for name in names if name in self._numbers]

    def mask(self, names: Iterable[Value]) -> Mask:
        """Return, at the number of each name, whether it is one of `names`."""
        mask = np.zeros(len(self.names), bool)
        mask[self.known(names)] = True
        return mask

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

    def matching(self, search: str) -> Mask:
        """Return, at the number of each name, whether a search for `search` finds it (`spelling.matches`)."""
        return self._spelling.matching(search)

    def ranks(self) -> npt.NDArray[np.int64]:
        """Return, at the number of each name, its rank in the order of names; equal for a value and a text that looks the same.

        The order is that of names without case and accents, then that of the names themselves. Ranks are below the number of names.
        """
        ranks = self._spelling.ranks()
        for label, text in enumerate(map(self._numbers.get, LABELS)) if self.of_values else ():
            if text is not None and text < len(ranks):
                ranks[text] = ranks[label]
        return ranks

    def column(self, numbers: Iterable[int]) -> list[str]:
        """Return the names of `numbers`."""
        names = self.names
        return [names[number] for number in numbers]


class Spelling:
    """The order of names that are only ever appended to, and which of them a search finds; each name is looked at once.

    Memory: about 80 bytes a name once there was a search or an order, and a byte for each of `_SEARCHES`.
    """

    def __init__(self, names: list[str]) -> None:
        self._names = names
        self._folded: list[str] = []
        self._order = np.empty(0, np.int64)
        self._found: OrderedDict[str, Mask] = OrderedDict()
        self._lock = threading.Lock()

    def matching(self, search: str) -> Mask:
        """As `Names.matching`."""
        with self._lock:
            self._fold()
            found = self._found.pop(search, np.empty(0, bool))
            if len(found) < len(self._folded):
                sought, begun = folded(search), len(found)
                texts = self._folded[begun:] if sought else self._names[begun : len(self._folded)]
                new = np.fromiter(((sought or search) in text for text in texts), bool, len(texts))
                found = np.concatenate([found, new])
            self._found[search] = found
            if len(self._found) > _SEARCHES:
                self._found.popitem(last=False)
            return found

    def ranks(self) -> npt.NDArray[np.int64]:
        """Return, at the index of each name, its rank in the order of names without case and accents, then of the names themselves."""

        def spelled(number: int) -> tuple[str, str]:
            return self._folded[number], self._names[number]

        with self._lock:
            self._fold()
            if new := sorted(range(len(self._order), len(self._folded)), key=spelled):
                places = [bisect_left(self._order, spelled(number), key=spelled) for number in new]
                self._order = np.insert(self._order, places, new)
            ranks = np.empty(len(self._order), np.int64)
            ranks[self._order] = np.arange(len(ranks))
            return ranks

    def _fold(self) -> None:
        self._folded += map(folded, self._names[len(self._folded) :])


def renumber(rows: pl.DataFrame, numbers: Mapping[str, pl.Series]) -> pl.DataFrame:
    """Return `rows` with new numbers for names: `numbers` has, by dimension, the new ones at the index of the old ones."""
    return rows.with_columns(new.gather(rows[dimension]).alias(dimension) for dimension, new in numbers.items())


def compacted(known: Names, used: pl.Series) -> tuple[Names, pl.Series]:
    """Return names with only those of `known` whose numbers are in `used`, and the new numbers, at the index of the old ones.

    `used` is in order; the numbers of None and True stay what they are.
    """
    names = Names(of_values=known.of_values)
    reserved = len(names.names)
    kept = used.filter(used >= reserved)
    for name in known.column(kept):
        names.number(name)
    old = pl.concat([pl.int_range(reserved, dtype=pl.UInt32, eager=True), kept.cast(pl.UInt32)])
    numbers = pl.DataFrame({"old": old, "new": pl.int_range(len(old), dtype=pl.UInt32, eager=True)})
    every = pl.DataFrame({"old": pl.int_range(len(known.names), dtype=pl.UInt32, eager=True)})
    return names, every.join(numbers, on="old", how="left", maintain_order="left")["new"].fill_null(0)


def pair(campaign: Numbered, channel: Numbered) -> Numbered:
    """One number for the numbers of a campaign and a channel; those of one campaign follow each other."""
    return campaign * 2**32 + channel
