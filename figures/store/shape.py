"""The shape of a store: what its rows are split by, and what is added up in them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import msgspec
import polars as pl

from dataflows.contract.metrics import SUMS

CELL = ("campaign", "channel", "currency")
"""Dimensions of the main results."""

_COUNTS = "counts."


class Shape(msgspec.Struct, frozen=True, dict=True):
    """The `dimensions` of the rows, which are columns of numbers of names, and their `sums`.

    The first two dimensions are ``campaign`` and ``channel``, the last one is ``currency``; those between are a breakdown's fields
    (`column_of`), whose values may be null or true.
    """

    dimensions: tuple[str, ...] = CELL
    sums: tuple[str, ...] = SUMS

    @property
    def values(self) -> tuple[str, ...]:
        """The dimensions that are the fields of a breakdown."""
        return self.dimensions[2:-1]

    @cached_property
    def key(self) -> tuple[str, ...]:
        """Columns that identify a row: `t` is the window start in seconds since 1970."""
        return ("t", *self.dimensions)

    @cached_property
    def schema(self) -> dict[str, type[pl.DataType]]:
        """Columns of `Block.rows`: the key, the sums, revision and state.

        A column of sums has the type `measures.WIDE` if one of its values is beyond 64 bits.
        """
        return {
            "t": pl.Int64,
            **dict.fromkeys(self.dimensions, pl.UInt32),
            **dict.fromkeys(self.sums, pl.Int64),
            "revision": pl.Int64,
            "state": pl.UInt8,
        }

    @cached_property
    def declared(self) -> dict[str, str]:
        """The declared event types by the sum that counts them."""
        return {name: name.removeprefix(_COUNTS) for name in self.sums if name.startswith(_COUNTS)}

    def columns(self, by: Sequence[str]) -> list[str]:
        """Return the columns of a frame of sums that is split by the dimensions `by`."""
        return ["t", *by, *self.sums, "state"]


def column_of(field: str) -> str:
    """Return the dimension of a breakdown's `field`: its name, or, if that is the name of another column, one that no field can have."""
    return f"={field}" if field in ("t", "campaign") or field.startswith(_COUNTS) else field


def shape_of(declared_types: Sequence[str] = (), fields: Sequence[str] = ()) -> Shape:
    """Return the shape of results with counts of `declared_types`; `fields` are those of a breakdown, none for the main results."""
    dimensions = ("campaign", "channel", *map(column_of, fields), "currency")
    return Shape(dimensions, (*SUMS, *(_COUNTS + name for name in declared_types)))


MAIN = Shape()
"""Shape of the main results without declared event types."""
