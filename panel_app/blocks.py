"""A block: the rows of a quarter of an hour of event time, as polars frames that never change once made.

Upserts replace the block they fall into; rollups of a block are made when first asked for and kept with it. So a refresh costs
what has changed since the last one, not what is held.
"""

from __future__ import annotations

from collections.abc import Iterable
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

SPLITS: dict[str, tuple[str, ...]] = {"both": ("campaign", "channel"), "campaign": ("campaign",), "channel": ("channel",)}
"""What a row of sums can be split by."""

SAFE_SUM = 2**62
_FINE = 300


def block_of(seconds: int) -> int:
    """Start of the block that holds the window starting at `seconds`."""
    return seconds - seconds % BLOCK_SECONDS


def merge(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """One row per key out of `frames` (`SCHEMA`, oldest first): the highest revision wins, then the later state, then the later record."""
    together = pl.concat(frames) if len(frames) > 1 else frames[0]
    ordered = together.sort("revision", "state", maintain_order=True)
    return ordered.unique(subset=KEY, keep="last", maintain_order=True).sort("t", maintain_order=True)


def inner_edges(start: int, length: int, edges: Iterable[int]) -> list[int]:
    """Those of `edges` that lie inside the `length` seconds from `start` on, and not at their ends."""
    return [edge for edge in edges if start < edge < start + length]


def fitting(grains: Iterable[int], grain: int, edges: Iterable[int]) -> int | None:
    """The first of `grains` of whose buckets one of `grain` seconds is made and none of `edges` cuts one; None if there is none."""
    return next((one for one in grains if grain % one == 0 and all(edge % one == 0 for edge in edges)), None)


def columns(by: str) -> list[str]:
    """Columns of a frame of sums that is split by `by`, a key of `SPLITS`."""
    return ["t", *SPLITS[by], *SUMS, "state"]


def rollup(rows: pl.DataFrame, grain: int, *, wide: bool, by: str = "both") -> pl.DataFrame:
    """`rows` added up to `grain` seconds and split by `by`, in `columns(by)`; their state is the `joint_state`."""
    return rows.group_by(floor_to(grain), *SPLITS[by]).agg(*sums(wide=wide), joint_state())


def clipped(rows: pl.DataFrame, start: int, end: int) -> pl.DataFrame:
    """The rows with `start <= t < end`."""
    return rows.filter(pl.col("t").is_between(start, end, closed="left"))


def largest_sum(rows: pl.DataFrame) -> int:
    """The largest absolute value of any sum in `rows`, to tell whether adding up could overflow."""
    bounds = rows.select(pl.max_horizontal(pl.col(SUMS).max()), pl.min_horizontal(pl.col(SUMS).min()).alias("low"))
    high, low = bounds.row(0)
    return max(int(high or 0), -int(low or 0))


def window_states(rows: pl.DataFrame) -> pl.DataFrame:
    """Each window of `rows`: `t`, `open` (has a provisional cell), `fixed` (has a corrected cell)."""
    state = pl.col("state")
    return rows.group_by("t").agg((state == PROVISIONAL).any().alias("open"), (state == CORRECTED).any().alias("fixed")).sort("t")


class Block:
    """The rows of one block and what is derived from them."""

    length = BLOCK_SECONDS
    _GRAINS = (BLOCK_SECONDS, _FINE, 60)

    def __init__(self, rows: pl.DataFrame) -> None:
        self.rows = rows
        self.first, self.last = int(rows["t"][0]), int(rows["t"][-1])
        self.start = block_of(self.first)
        self._rollups: dict[tuple[int, str], pl.DataFrame] = {}

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def largest(self) -> int:
        """`largest_sum` of its rows."""
        return largest_sum(self.rows)

    @cached_property
    def states(self) -> pl.DataFrame:
        """`window_states` of its rows."""
        return window_states(self.rows)

    def within(self, start: int, end: int, grain: int, cuts: tuple[int, ...], by: str, *, fresh: bool) -> list[pl.DataFrame]:
        """Frames of what lies in `start <= t < end`, added up as far as `grain` and `cuts` allow (`Snapshot.between`).

        For a `fresh` block, which the next record replaces, nothing is added up to be kept.
        """
        inner = inner_edges(self.start, self.length, (start, end, *cuts))
        found = fitting(self._GRAINS, grain, inner)
        if found and not fresh and (found > 60 or by != "both"):
            frames = [self.at(found, by)]
        elif fresh or grain % _FINE:
            frames = [self.rows[columns(by)]]
        else:
            cut = pl.col("t") - pl.col("t") % _FINE
            dirty = [edge - edge % _FINE for edge in inner if edge % _FINE]
            frames = [self.at(_FINE, by).filter(~pl.col("t").is_in(dirty)), self.rows[columns(by)].filter(cut.is_in(dirty))]
        whole = start <= self.start and end >= self.start + self.length
        return frames if whole else [clipped(frame, start, end) for frame in frames]

    def at(self, grain: int, by: str) -> pl.DataFrame:
        """The rows added up to `grain` seconds, which must divide the block."""
        found = self._rollups.get((grain, by))
        if found is None:
            wide = self.largest * len(self.rows) > SAFE_SUM
            found = self._rollups[grain, by] = rollup(self.rows, grain, wide=wide, by=by)
        return found

    def numbers(self, dimension: str) -> pl.Series:
        """The numbers of the names that stand in its rows."""
        return self.rows[dimension].unique()

    def renumbered(self, campaigns: pl.Series, channels: pl.Series) -> Block:
        """The same with other numbers for its names: `campaigns` and `channels` have the new one at the place of the old."""
        return Block(renumber(self.rows, campaigns, channels))

    @property
    def bytes(self) -> int:
        """About how much memory it takes."""
        return int(self.rows.estimated_size() + sum(frame.estimated_size() for frame in list(self._rollups.values())))


def renumber(rows: pl.DataFrame, campaigns: pl.Series, channels: pl.Series) -> pl.DataFrame:
    """`rows` with the numbers that stand in `campaigns` and `channels` at the place of theirs."""
    return rows.with_columns(
        campaigns.gather(rows["campaign"]).alias("campaign"), channels.gather(rows["channel"]).alias("channel")
    )


def joint_state() -> pl.Expr:
    """The state of several cells together: open if one is, else corrected if one is."""
    state = pl.col("state")
    joint = (
        pl.when((state == PROVISIONAL).any()).then(PROVISIONAL).when((state == CORRECTED).any()).then(CORRECTED).otherwise(FINAL)
    )
    return joint.cast(pl.UInt8).alias("state")


def floor_to(grain: int) -> pl.Expr:
    """Column `t` brought down to the start of its bucket of `grain` seconds."""
    return (pl.col("t") - pl.col("t") % grain).alias("t")
