"""What every campaign did, minute by minute, as arrays: sums up to any minute of the last hours, for all campaigns at once.

Blocks never change once made, so what is made of one is kept as long as the store holds it. A minute more costs one block.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from panel_app.blocks import BLOCK_SECONDS, Block, block_of
from panel_app.measures import COUNTS, MICROS, MONEY
from panel_app.snapshot import Snapshot

Floats = npt.NDArray[np.float64]

FIELDS = ("impressions", "clicks", "conversions", "spend", "revenue")
"""Columns of every array here; `spend` and `revenue` (refunds taken off) in currency units."""

IMPRESSIONS, CLICKS, CONVERSIONS, SPEND, REVENUE = range(5)
_MINUTES = BLOCK_SECONDS // 60
_NEVER = np.iinfo(np.int64).max
_BY_MINUTE = 4 * BLOCK_SECONDS
"""So far back single minutes are asked for again and again; of older blocks the totals do."""


def fields(rows: pl.DataFrame) -> list[Floats]:
    """The columns `FIELDS` of `rows`."""
    micros = [rows[name].cast(pl.Float64).to_numpy() / MICROS for name in MONEY]
    counts = [rows[name].cast(pl.Float64).to_numpy() for name in COUNTS[:3]]
    return [*counts, micros[0], micros[1] - micros[2]]


def added(places: npt.NDArray[Any], columns: list[Floats], size: int) -> Floats:
    """`columns` added up by the line that `places` names for each row: `size` lines, one column for each of `columns`."""
    found = np.empty((size, len(columns)))
    for at, column in enumerate(columns):
        found[:, at] = np.bincount(places, weights=column, minlength=size)
    return found


class Past(msgspec.Struct, frozen=True):
    """The minutes of one campaign: `series` has a line for each `step` seconds from `start` to `until`, columns `FIELDS`."""

    series: Floats
    start: int
    step: int
    until: int

    @property
    def minutes(self) -> Floats:
        """How many minutes each line covers."""
        return np.full(len(self.series), self.step / 60)

    def line(self, moment: int) -> int:
        """The place of the line that holds `moment`."""
        return (moment - self.start) // self.step


class _Part:
    """One block: sums by campaign, by minute and campaign where asked for, by channel, and when each campaign is first seen."""

    def __init__(self, at: int, block: Block, until: int) -> None:
        self.block = block
        self.until = until
        rows = block.rows if at + BLOCK_SECONDS <= until else block.rows.filter(pl.col("t") < until)
        self._rows, self._at = rows, at
        self._campaign = rows["campaign"].to_numpy()
        self.campaigns = int(self._campaign.max()) + 1 if len(rows) else 0
        columns = fields(rows)
        self.total = added(self._campaign, columns, self.campaigns)
        channel = rows["channel"].to_numpy()
        self.channels = added(channel, columns, int(channel.max()) + 1 if len(rows) else 0)
        minute = (rows["t"].to_numpy() - at) // 60
        self.minutes = added(minute, columns, _MINUTES)
        self.first = np.full(self.campaigns, _NEVER)
        # Rows are in order of time: written backwards, the first one is what stays.
        self.first[self._campaign[::-1]] = rows["t"].to_numpy()[::-1]
        self._upto: Floats | None = None

    def forget_minutes(self) -> None:
        """Give the memory of `upto` back; the next call makes it again."""
        self._upto = None

    def upto(self, minute: int) -> Floats:
        """Sums by campaign of the first `minute` minutes of the block."""
        if self._upto is None:
            size = self.campaigns * _MINUTES
            place = (self._rows["t"].to_numpy() - self._at) // 60 * self.campaigns + self._campaign
            cells = added(place, fields(self._rows), size).reshape(_MINUTES, self.campaigns, len(FIELDS))
            self._upto = np.concatenate([np.zeros((1, self.campaigns, len(FIELDS))), np.cumsum(cells, axis=0)])
        return self._upto[minute]


class History:
    """The hours before `until` (seconds, a full minute), of all campaigns; make one with `Keeper.history`."""

    def __init__(self, snapshot: Snapshot, parts: dict[int, _Part], until: int) -> None:
        self.until = until
        self.oldest = snapshot.minutes_from
        self.campaigns = max((part.campaigns for part in parts.values()), default=0)
        self._parts = parts
        self._cumulated: dict[int, Floats] = {}
        sums = np.zeros((self.campaigns, len(FIELDS)))
        self.first = np.full(self.campaigns, _NEVER)
        for at, part in parts.items():
            self._cumulated[at] = sums
            sums = sums.copy()
            sums[: part.campaigns] += part.total
            np.minimum(self.first[: part.campaigns], part.first, out=self.first[: part.campaigns])
        self._all = sums
        channels = max((len(part.channels) for part in parts.values()), default=0)
        self.by_channel = np.zeros((channels, len(FIELDS)))
        for part in parts.values():
            self.by_channel[: len(part.channels)] += part.channels

    def upto(self, moment: int) -> Floats:
        """Sums by campaign (rows) of everything here before `moment`, which is a full minute; columns are `FIELDS`."""
        if moment >= self.until:
            return self._all
        at = block_of(moment)
        before = self._cumulated.get(at)
        if before is None:  # no block there: what lies before the next one
            later = [start for start in self._cumulated if start > moment]
            return self._cumulated[min(later)] if later else self._all
        minute = (moment - at) // 60
        if not minute:
            return before
        part = self._parts[at]
        sums = before.copy()
        sums[: part.campaigns] += part.upto(minute)
        return sums

    def rows(self, campaigns: list[int]) -> pl.DataFrame:
        """The rows of some campaigns: `t`, `campaign`, `channel` and the sums."""
        wanted = pl.col("campaign").is_in(campaigns) & (pl.col("t") < self.until)
        return pl.concat([part.block.rows for part in self._parts.values()], rechunk=False).filter(wanted)

    def past(self, rows: pl.DataFrame, start: int, step: int) -> Past:
        """`rows` added up by `step` seconds from `start` to the end."""
        size = max((self.until - start) // step, 0)
        rows = rows.filter((pl.col("t") >= start) & (pl.col("t") < start + size * step))
        series = added((rows["t"].to_numpy() - start) // step, fields(rows), size)
        return Past(series, start, step, start + size * step)

    def whole(self, start: int, step: int) -> Past:
        """The same of all campaigns together."""
        size = max((self.until - start) // step, 0)
        found = np.zeros((size, len(FIELDS)))
        for at, part in self._parts.items():
            for minute, sums in enumerate(part.minutes):
                place = (at + 60 * minute - start) // step
                if 0 <= place < size:
                    found[place] += sums
        return Past(found, start, step, start + size * step)


class Keeper:
    """Keeps what is made of each block as long as the store holds that block unchanged."""

    def __init__(self) -> None:
        self._parts: dict[int, _Part] = {}

    def history(self, snapshot: Snapshot, start: int, until: int) -> History:
        """The blocks from the one that holds `start` up to `until`, both in seconds, `until` a full minute."""
        parts: dict[int, _Part] = {}
        for at, block in snapshot.blocks.items():
            if at < block_of(start) or at >= until:
                continue
            held = self._parts.get(at)
            same = (
                held is not None and held.block is block and min(held.until, at + BLOCK_SECONDS) == min(until, at + BLOCK_SECONDS)
            )
            parts[at] = held if held is not None and same else _Part(at, block, until)
            if at < until - _BY_MINUTE:
                parts[at].forget_minutes()
        self._parts = parts
        return History(snapshot, parts, until)
