"""Numbers for combinations of names: what the sums of a page are split by, as one integer a row."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import polars as pl

from figures.measures import Keys
from figures.store.snapshot import Snapshot

_BITS = 62
"""Bits of a key; the sign and one more are left, so that sums of two keys do not overflow."""


class KeyCode(msgspec.Struct, frozen=True):
    """How the numbers of names in `dimensions` make up a key: each has its `bits`, the first dimension the highest ones."""

    dimensions: tuple[str, ...]
    bits: tuple[int, ...]

    def encode(self, rows: pl.DataFrame) -> Keys:
        """Return the key of each of `rows`."""
        return self.pack([rows[dimension].to_numpy().astype(np.int64) for dimension in self.dimensions])

    def pack(self, numbers: Sequence[Keys]) -> Keys:
        """Return the keys of what `decode` gives."""
        keys = numbers[0]
        for more, bits in zip(numbers[1:], self.bits[1:], strict=True):
            keys = (keys << bits) + more
        return keys

    def decode(self, keys: Keys) -> list[Keys]:
        """Return, by dimension, the number of the name in each of `keys`."""
        numbers: list[Keys] = []
        for bits in reversed(self.bits):
            numbers.insert(0, keys & ((1 << bits) - 1))
            keys = keys >> bits
        return numbers


PAIRS = KeyCode(("campaign", "channel"), (30, 32))
"""Keys as `names.pair` gives them."""


def code_of(snapshot: Snapshot, dimensions: Sequence[str]) -> KeyCode | None:
    """Return a code for `dimensions` of `snapshot`; None if they have too many names together.

    It stays the same until a dimension has twice as many names.
    """
    bits = tuple(len(snapshot.names[dimension].names).bit_length() for dimension in dimensions)
    return KeyCode(tuple(dimensions), bits) if sum(bits) <= _BITS else None
