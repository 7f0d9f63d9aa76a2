"""Numbers of names: which of them pass the filters of a page, and one integer for a combination of them, by which sums are split."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import reduce
from operator import and_
from typing import Protocol

import msgspec
import numpy as np
import polars as pl

from figures.measures import Keys
from figures.store.names import Mask
from figures.store.shape import column_of
from figures.store.snapshot import Snapshot
from figures.views import breakdown_filter
from figures.views.breakdown_filter import FieldFilter

Masks = Mapping[str, Mask]
"""By dimension whether rows with the name of each number pass."""

_BITS = 62
"""Bits of a key; the sign and one more are left, so that sums of two keys do not overflow."""
_TIMES = 2**40
_EARLIEST = -(2**38)
"""Seconds since 1970; no date that a result can have lies before it, or `_TIMES` after it."""


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
CAMPAIGNS = KeyCode(("campaign",), (32,))


def code_of(snapshot: Snapshot, dimensions: Sequence[str]) -> KeyCode | None:
    """Return a code for `dimensions` of `snapshot`; None if they have too many names together.

    It stays the same until a dimension has twice as many names.
    """
    bits = tuple(len(snapshot.names[dimension].names).bit_length() for dimension in dimensions)
    return KeyCode(tuple(dimensions), bits) if sum(bits) <= _BITS else None


def timed(numbers: Keys, t: Keys) -> Keys:
    """Return one number for a name's number and a time (seconds since 1970)."""
    return numbers * _TIMES + (t - _EARLIEST)


def untimed(keys: Keys) -> tuple[Keys, Keys]:
    """Return the names' numbers and the times that `timed` combined."""
    return keys // _TIMES, keys % _TIMES + _EARLIEST


class Wanted(Protocol):
    """What names campaigns and channels, all of them if empty, and has filters on values, as `view.Filtered` does."""

    @property
    def campaigns(self) -> Collection[str]:
        """Names of campaigns."""
        ...

    @property
    def channels(self) -> Collection[str]:
        """Names of channels."""
        ...

    @property
    def filters(self) -> Sequence[FieldFilter]:
        """Filters on the values of a breakdown's fields."""
        ...


def conditions(snapshot: Snapshot, wanted: Wanted, currency: str | None) -> Masks:
    """Return what rows of `snapshot` must satisfy, by the dimension that is tested: the filter `wanted`, and one currency.

    A filter on the values of a breakdown needs a snapshot of it. There is no condition on the currency if it is None, or if nothing else
    is held.
    """
    tested: dict[str, Mask] = {}
    for dimension, names in (("campaign", wanted.campaigns), ("channel", wanted.channels)):
        if names:
            tested[dimension] = snapshot.names[dimension].mask(names)
    currencies = snapshot.names["currency"]
    if currency is not None and currencies.names not in ([], [currency]):
        tested["currency"] = currencies.mask([currency])
    for one in wanted.filters:
        dimension = column_of(one.field)
        passes = breakdown_filter.passing(one, snapshot.names[dimension])
        # A page that is embedded with a filter may have a second one on the same field.
        tested[dimension] = tested[dimension] & passes if dimension in tested else passes
    return tested


def passing(rows: pl.DataFrame, *tested: Masks) -> pl.DataFrame:
    """Return the `rows` that satisfy all of `tested`, in their order."""
    masks = [mask[rows[dimension].to_numpy()] for masks in tested for dimension, mask in masks.items()]
    if not masks:
        return rows
    there = np.flatnonzero(reduce(and_, masks))
    return rows if len(there) == len(rows) else rows[there]


def only(snapshot: Snapshot, code: KeyCode, keys: Keys) -> Masks:
    """Return masks that the rows of `keys` pass; with several dimensions others may pass too."""
    masks = {dimension: np.zeros(len(snapshot.names[dimension].names), bool) for dimension in code.dimensions}
    for mask, numbers in zip(masks.values(), code.decode(keys), strict=True):
        mask[numbers] = True
    return masks
