"""Cells of one window as bytes: what goes from the native intake to the shards, also of other processes, with no object for a cell.

One after the other, for each cell: its money in 128 bits each, its counts in 64 each with the events last (the `Sums` of
``native/csrc/sums.h``, each in the order of `Metrics`), the bytes of campaign and channel in 16 bits each, and both in UTF-8. Lowest byte
first.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

from msgspec.structs import astuple

from dataflows.contract.metrics import COUNTS, MONEY, Cells, Metrics

_SUMS = Struct(f"<{'Qq' * len(MONEY)}{len(COUNTS) + 1}q")
_NAMES = Struct("<HH")
_LOW = 2**64 - 1

SUMS_BYTES = _SUMS.size
"""What `unpack_sums` reads."""


def pack(cells: Cells) -> bytes:
    """`cells` as bytes."""
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


def unpack(share: bytes) -> Iterator[tuple[tuple[str, str], Metrics]]:
    """The cells of `share`: campaign and channel, and what they added up to."""
    place = 0
    while place < len(share):
        sums = unpack_sums(share, place)
        campaign, channel = _NAMES.unpack_from(share, place + _SUMS.size)
        middle = place + _SUMS.size + _NAMES.size + campaign
        begin, place = middle - campaign, middle + channel
        yield (share[begin:middle].decode(), share[middle:place].decode()), sums


def unpack_sums(data: bytes, place: int = 0) -> Metrics:
    """What a cell has added up to, from its bytes at `place`."""
    numbers = _SUMS.unpack_from(data, place)
    halves, counts = numbers[: 2 * len(MONEY)], numbers[2 * len(MONEY) : -1]
    money = [low | high << 64 for low, high in zip(halves[::2], halves[1::2], strict=True)]
    return Metrics(*[*counts, *money, numbers[-1]])
