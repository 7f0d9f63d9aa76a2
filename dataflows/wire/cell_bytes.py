"""Cells of one window and table as bytes, passed from an intake to the shards, also those of other processes, without an object for each.

A *table* is 0 for the results, and 1 and more for the breakdowns in their order. For each cell: its money in 128 bits each, its counts in
64 each with the events last (the `Sums` of ``native/csrc/sums.h``, each in the order of `Metrics`), the counts of the declared types in 64
each, the lengths in bytes of the texts of its key in 16 bits each, and these texts in UTF-8. `_NULL` and `_TRUE` in place of a length are
a value that is not a text. Lowest byte first. The cells follow one another, so two such texts of one window and table can be joined; a cell
may then occur twice, and the sums are added.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from msgspec.structs import astuple

from dataflows.contract.breakdowns import NOT_SET, OTHER
from dataflows.contract.constants import SHARDS
from dataflows.contract.metrics import COUNTS, MONEY, CellKey, Cells, Metrics
from dataflows.contract.schema import Value

_LOW = 2**64 - 1
_NULL, _TRUE = 0xFFFF, 0xFFFE
_NOT_TEXTS: dict[int, Value] = {_NULL: NOT_SET, _TRUE: OTHER}


def shard_of(campaign_id: str, channel: str) -> int:
    """Return the shard of a campaign and channel; the same in every process and every run."""
    return zlib.crc32(f"{campaign_id}\0{channel}".encode()) % SHARDS


class Share(NamedTuple):
    """Counts of an intake for one shard: the window's start (microseconds since 1970), the table, and its cells as bytes."""

    shard: int
    window: int
    table: int
    cells: bytes


class CellFormat:
    """Format of the cells of one table: how many declared types their sums have, and how many values of a breakdown their keys."""

    def __init__(self, declared: int = 0, values: int = 0) -> None:
        self._declared = declared
        self._sums = Struct(f"<{'Qq' * len(MONEY)}{len(COUNTS) + 1 + declared}q")
        self._sizes = Struct(f"<{values + 3}H")

    @property
    def sums_bytes(self) -> int:
        """Number of bytes that `unpack_sums` reads."""
        return self._sums.size

    def shares_of(self, window: int, table: int, cells: Cells) -> Iterator[Share]:
        """Yield the share of each shard that has some of the `cells` of `window`."""
        by_shard = defaultdict[int, Cells](dict)
        for key, metrics in cells.items():
            by_shard[shard_of(str(key[0]), str(key[1]))][key] = metrics
        for shard, own in by_shard.items():
            yield Share(shard, window, table, self.pack(own))

    def pack(self, cells: Cells) -> bytes:
        """Return `cells` as bytes."""
        parts: list[bytes] = []
        for key, metrics in cells.items():
            texts = [value.encode() if isinstance(value, str) else b"" for value in key]
            sizes = [
                len(text) if isinstance(value, str) else _NULL if value is None else _TRUE
                for value, text in zip(key, texts, strict=True)
            ]
            parts += (self._pack_sums(metrics), self._sizes.pack(*sizes), *texts)
        return b"".join(parts)

    def _pack_sums(self, metrics: Metrics) -> bytes:
        *sums, declared = astuple(metrics)
        counts, money, events = sums[: len(COUNTS)], sums[len(COUNTS) : -1], sums[-1]
        halves = [half for total in money for half in (total & _LOW, total >> 64)]
        return self._sums.pack(*halves, *counts, events, *declared)

    def unpack(self, data: bytes) -> Iterator[tuple[CellKey, Metrics]]:
        """Yield the cells in `data`: their keys and sums."""
        start = 0
        while start < len(data):
            sums = self.unpack_sums(data, start)
            start += self._sums.size
            sizes = self._sizes.unpack_from(data, start)
            start += self._sizes.size
            key: list[Value] = []
            for size in sizes:
                if size in _NOT_TEXTS:
                    key.append(_NOT_TEXTS[size])
                    continue
                key.append(data[start : start + size].decode())
                start += size
            yield tuple(key), sums

    def unpack_sums(self, data: bytes, start: int = 0) -> Metrics:
        """Return the sums of the cell that begins at `start`."""
        numbers = self._sums.unpack_from(data, start)
        halves, rest = numbers[: 2 * len(MONEY)], numbers[2 * len(MONEY) :]
        money = [low | high << 64 for low, high in zip(halves[::2], halves[1::2], strict=True)]
        counts, events, declared = rest[: len(COUNTS)], rest[len(COUNTS)], rest[len(COUNTS) + 1 :]
        return Metrics(*[*counts, *money, events], declared=list(declared))
