"""Cells of one window as bytes, passed from an intake to the shards, also those of other processes, without an object for each cell.

For each cell: its money in 128 bits each, its counts in 64 each with the events last (the `Sums` of ``native/csrc/sums.h``, each in the
order of `Metrics`), the lengths of campaign and channel in bytes in 16 bits each, and both in UTF-8. Lowest byte first. The cells follow
one another, so two such texts of one window can be joined; a cell may then occur twice, and the sums are added.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from msgspec.structs import astuple

from dataflows.contract.constants import SHARDS
from dataflows.contract.metrics import COUNTS, MONEY, Cells, Metrics

_SUMS = Struct(f"<{'Qq' * len(MONEY)}{len(COUNTS) + 1}q")
_NAMES = Struct("<HH")
_LOW = 2**64 - 1

SUMS_BYTES = _SUMS.size
"""Number of bytes that `unpack_sums` reads."""


def shard_of(campaign_id: str, channel: str) -> int:
    """Return the shard of a campaign and channel; the same in every process and every run."""
    return zlib.crc32(f"{campaign_id}\0{channel}".encode()) % SHARDS


class Share(NamedTuple):
    """Counts of an intake for one shard and one window: the window's start (microseconds since 1970), and cells as bytes."""

    shard: int
    window: int
    cells: bytes


def shares_of(window: int, cells: Cells) -> Iterator[Share]:
    """Yield the share of each shard that has some of the `cells` of `window`."""
    by_shard = defaultdict[int, Cells](dict)
    for key, metrics in cells.items():
        by_shard[shard_of(*key)][key] = metrics
    for shard, own in by_shard.items():
        yield Share(shard, window, pack(own))


def pack(cells: Cells) -> bytes:
    """Return `cells` as bytes."""
    parts: list[bytes] = []
    for (campaign, channel), metrics in cells.items():
        first, second = campaign.encode(), channel.encode()
        parts += (_pack_sums(metrics), _NAMES.pack(len(first), len(second)), first, second)
    return b"".join(parts)


def _pack_sums(metrics: Metrics) -> bytes:
    *sums, events = astuple(metrics)
    counts, money = sums[: len(COUNTS)], sums[len(COUNTS) :]
    halves = [half for total in money for half in (total & _LOW, total >> 64)]
    return _SUMS.pack(*halves, *counts, events)


def unpack(data: bytes) -> Iterator[tuple[tuple[str, str], Metrics]]:
    """Yield the cells in `data`: campaign and channel, and their sums."""
    start = 0
    while start < len(data):
        sums = unpack_sums(data, start)
        campaign_size, channel_size = _NAMES.unpack_from(data, start + _SUMS.size)
        campaign = start + _SUMS.size + _NAMES.size
        channel = campaign + campaign_size
        start = channel + channel_size
        yield (data[campaign:channel].decode(), data[channel:start].decode()), sums


def unpack_sums(data: bytes, start: int = 0) -> Metrics:
    """Return the sums of the cell that begins at `start`."""
    numbers = _SUMS.unpack_from(data, start)
    halves, counts = numbers[: 2 * len(MONEY)], numbers[2 * len(MONEY) : -1]
    money = [low | high << 64 for low, high in zip(halves[::2], halves[1::2], strict=True)]
    return Metrics(*[*counts, *money, numbers[-1]])
