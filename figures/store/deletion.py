"""Deletion of the rows that have a tombstone, in blocks of minutes and in packed days."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from figures.store.blocks import BLOCK_SECONDS, Block, split
from figures.store.names import Names
from figures.store.packed_days import DAY, Day, SparseDay

Cell = tuple[int, str, str]
"""Key of a result: window start (seconds since 1970), campaign, channel."""


def keys(cells: Iterable[Cell], campaigns: Names, channels: Names) -> pl.DataFrame:
    """Return `cells` as rows of `blocks.KEY`, in order of time.

    Cells whose names have no number are left out: there is no row with them.
    """
    known = [
        (start, *campaign, *channel)
        for start, campaign_id, channel_id in cells
        if (campaign := campaigns.known((campaign_id,))) and (channel := channels.known((channel_id,)))
    ]
    return pl.DataFrame(known, schema={"t": pl.Int64, "campaign": pl.UInt32, "channel": pl.UInt32}, orient="row").sort("t")


def delete(blocks: dict[int, Block], days: dict[int, Day | SparseDay], gone: pl.DataFrame) -> int:
    """Delete the rows with the keys `gone` (`keys`) from `blocks` and `days`, each by its start; return how many rows that were."""
    before = _rows(blocks, days)
    for at, part in split(gone, BLOCK_SECONDS):
        block = blocks.pop(at, None)
        if block is not None and (left := block.without(part)) is not None:
            blocks[at] = left
    for at, part in split(gone, DAY):
        day = days.pop(at, None)
        if day is not None and (rest := day.without(part)) is not None:
            days[at] = rest
    return before - _rows(blocks, days)


def _rows(blocks: dict[int, Block], days: dict[int, Day | SparseDay]) -> int:
    return sum(map(len, blocks.values())) + sum(map(len, days.values()))
