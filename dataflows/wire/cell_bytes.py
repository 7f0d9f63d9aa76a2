"""Cells of one window as bytes: what goes from the native intake to the shards, also of other processes, with no object for a cell.

Behind one another, for each cell: its money in 128 bits each (spend, revenue, refunds), its counts in 64 (impressions, clicks,
conversions, purchases, refunds, events), the bytes of campaign and channel in 16 each, and both in UTF-8. Lowest byte first.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

from dataflows.contract.metrics import Cells, Metrics

_SUMS = Struct("<QqQqQq6q")
_NAMES = Struct("<HH")
_HEAD = Struct(_SUMS.format + "HH")
_LOW = 2**64 - 1

SUMS_BYTES = _SUMS.size
"""What `unpack_sums` reads."""


def pack(cells: Cells) -> bytes:
    """`cells` as bytes."""
    parts: list[bytes] = []
    for (campaign, channel), metrics in cells.items():
        spend, revenue, refunded = metrics.spend_micros, metrics.revenue_micros, metrics.refund_micros
        first, second = campaign.encode(), channel.encode()
        head = _HEAD.pack(
            spend & _LOW,
            spend >> 64,
            revenue & _LOW,
            revenue >> 64,
            refunded & _LOW,
            refunded >> 64,
            metrics.impressions,
            metrics.clicks,
            metrics.conversions,
            metrics.purchases,
            metrics.refunds,
            metrics.events,
            len(first),
            len(second),
        )
        parts += (head, first, second)
    return b"".join(parts)


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
    *money, impressions, clicks, conversions, purchases, refunds, events = _SUMS.unpack_from(data, place)
    spend, revenue, refunded = (low | high << 64 for low, high in zip(money[::2], money[1::2], strict=True))
    return Metrics(impressions, clicks, conversions, purchases, refunds, spend, revenue, refunded, events)
