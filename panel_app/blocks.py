"""A block: the rows of a quarter of an hour of event time, as polars frames that never change once made.

Upserts replace the block they fall into; rollups of a block are made when first asked for and kept with it. So a refresh costs
what has changed since the last one, not what is held.
"""

from __future__ import annotations

from functools import cached_property

import polars as pl

from panel_app.measures import SUMS, sums

BLOCK_SECONDS = 900
KEY = ("t", "campaign", "channel")
PROVISIONAL, FINAL, CORRECTED = 0, 1, 2
"""`schema.STATES` as small integers, in the same order."""

SCHEMA: dict[str, type[pl.DataType]] = {
    "t": pl.Int64,
    "campaign": pl.UInt32,
    "channel": pl.UInt32,
    **dict.fromkeys(SUMS, pl.Int64),
    "revision": pl.Int64,
    "state": pl.UInt8,
}
"""Columns of `Block.rows`: window start in seconds since 1970, name numbers, sums, revision, state."""

SAFE_SUM = 2**62


def block_of(seconds: int) -> int:
    """Start of the block that holds the window starting at `seconds`."""
    return seconds - seconds % BLOCK_SECONDS


def merge(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """One row per key out of `frames` (`SCHEMA`, oldest first): the highest revision wins, then the later state, then the later record."""
    together = pl.concat(frames) if len(frames) > 1 else frames[0]
    ordered = together.sort("revision", "state", maintain_order=True)
    return ordered.unique(subset=KEY, keep="last", maintain_order=True).sort("t", maintain_order=True)


class Block:
    """The rows of one block and what is derived from them."""

    def __init__(self, rows: pl.DataFrame) -> None:
        self.rows = rows
        self._rollups: dict[int, pl.DataFrame] = {}

    @cached_property
    def largest(self) -> int:
        """The largest absolute value of any sum, to tell whether adding up could overflow."""
        bounds = self.rows.select(pl.max_horizontal(pl.col(SUMS).max()), pl.min_horizontal(pl.col(SUMS).min()).alias("low"))
        high, low = bounds.row(0)
        return max(int(high or 0), -int(low or 0))

    @cached_property
    def states(self) -> pl.DataFrame:
        """Each window of the block: `t`, `open` (has a provisional cell), `fixed` (has a corrected cell)."""
        state = pl.col("state")
        return (
            self.rows.group_by("t")
            .agg((state == PROVISIONAL).any().alias("open"), (state == CORRECTED).any().alias("fixed"))
            .sort("t")
        )

    def at(self, grain: int, *, wide: bool) -> pl.DataFrame:
        """The rows added up to `grain` seconds, which must divide or be a multiple of the block."""
        if grain <= 60:
            return self.rows
        found = self._rollups.get(grain)
        if found is None:
            keys = [floor_to(grain), "campaign", "channel"]
            found = self._rollups[grain] = self.rows.group_by(keys).agg(sums(wide=wide))
        return found


def floor_to(grain: int) -> pl.Expr:
    """Column `t` brought down to the start of its bucket of `grain` seconds."""
    return (pl.col("t") - pl.col("t") % grain).alias("t")
