"""The share of each shard in a poll: cells are divided by campaign and channel, and the clock of the partition travels with them."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from dataflows.contract.constants import SHARDS
from dataflows.windows.watermark import SourceClock
from dataflows.wire.cell_bytes import Share


class Partial(msgspec.Struct, gc=False):
    """Share of one shard in one poll of one source partition. Data and clock travel together, so that neither overtakes the other."""

    partition: int
    partitions: int
    clock: SourceClock
    cells: dict[tuple[int, int], bytes]
    """By start of the window and table, as `dataflows.wire.cell_bytes` defines them."""
    behind: bool = False
    """Whether the log had more to read at once: its results will change again in a moment, and can wait."""


def split(
    partition: int, partitions: int, clock: SourceClock, shares: Iterable[Share], *, behind: bool = False, to_all: bool = True
) -> list[tuple[str, Partial]]:
    """Return one `Partial` per shard, keyed by the shard's name; with `to_all` also the empty ones, so the clock reaches every shard."""
    partials = [Partial(partition, partitions, clock, {}, behind) for _ in range(SHARDS)]
    for shard, window, table, cells in shares:
        own = partials[shard].cells
        own[window, table] = own.get((window, table), b"") + cells
    return [(str(shard), partial) for shard, partial in enumerate(partials) if to_all or partial.cells]
