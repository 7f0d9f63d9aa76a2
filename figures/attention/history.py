"""What every campaign did, minute by minute, as arrays: sums up to any minute of the last hours, for all campaigns at once.

Blocks are immutable, so what is derived from a block is kept as long as the store holds it. Each further minute costs one block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from dataflows.contract.constants import MICROS
from dataflows.contract.metrics import COUNTS, MONEY
from figures.measures import matrix
from figures.rates.exchange import Exchange
from figures.rates.files import packaged
from figures.rates.table import RateTable
from figures.store.blocks import BLOCK_SECONDS, Block, block_of, clipped, stacked
from figures.store.snapshot import Snapshot

Floats = npt.NDArray[np.float64]

FIELDS = ("impressions", "clicks", "conversions", "spend", "revenue")
"""First columns of every array here; `spend` and `revenue` (refunds taken off) in currency units. Further counts follow."""

IMPRESSIONS, CLICKS, CONVERSIONS, SPEND, REVENUE = range(5)
_MINUTES = BLOCK_SECONDS // 60
_DAY = 86_400
_NEVER = np.iinfo(np.int64).max
_BY_MINUTE = 4 * BLOCK_SECONDS
"""Age in seconds up to which single minutes are queried repeatedly; of older blocks the totals suffice."""


def fields(rows: pl.DataFrame, further: Sequence[str] = ()) -> list[Floats]:
    """Return the columns `FIELDS` of `rows`, then the counts `further`."""
    micros = [rows[name].cast(pl.Float64).to_numpy() / MICROS for name in MONEY]
    counts = [rows[name].cast(pl.Float64).to_numpy() for name in (*COUNTS[:3], *further)]
    return [*counts[:3], micros[0], micros[1] - micros[2], *counts[3:]]


def added(lines: npt.NDArray[Any], columns: list[Floats], size: int) -> Floats:
    """`columns` added up by the line that `lines` names for each row: `size` lines, one column for each of `columns`."""
    sums = np.empty((size, len(columns)))
    for at, column in enumerate(columns):
        sums[:, at] = np.bincount(lines, weights=column, minlength=size)
    return sums


def _size(numbers: npt.NDArray[Any]) -> int:
    """Return one more than the highest of `numbers`, 0 without any."""
    return int(numbers.max()) + 1 if len(numbers) else 0


class Past(msgspec.Struct, frozen=True):
    """The minutes of one campaign: `series` has a line for each `step` seconds from `start` to `until`, columns `FIELDS`."""

    series: Floats
    minutes: Floats
    """Minutes that each row covers: 0 if its window is open, for then its sums are not in `series`."""
    start: int
    step: int
    until: int

    def line(self, moment: int) -> int:
        """Return the index of the line that holds `moment`."""
        return (moment - self.start) // self.step


class _BlockHistory:
    """One block up to `until`: sums by campaign and up to each minute, by channel, and when each campaign is first seen.

    The last line of what is by campaign is all of them together. What `before` (the same block, of an earlier minute) knows of the
    windows that have not changed since is taken over.
    """

    def __init__(
        self,
        at: int,
        block: Block,
        until: int,
        before: _BlockHistory | None = None,
        *,
        exchange: Exchange | None = None,
        further: Sequence[str] = (),
    ) -> None:
        """`exchange` converts money to one currency, None where all of it is in that one; `further` as in `fields`."""
        self._further = further
        self.until = min(until, at + BLOCK_SECONDS)
        self.stamp = block.stamp(self.until)
        self.rows, self._at = _closed(block), at
        """Rows of the block without open windows, whose figures are provisional, and without those that have no exchange rate."""
        if exchange is not None:
            self.rows = _converted(self.rows, exchange)
        known = before if before is not None and before.is_still(block, self.until) else None
        rows = clipped(self.rows, known.until if known else at, self.until)
        campaign, time = rows["campaign"].to_numpy(), rows["t"].to_numpy()
        self.campaigns = max(_size(campaign), known.campaigns if known else 0)
        columns = fields(rows, further)
        self.total = self._with_all(campaign, columns)
        channel = rows["channel"].to_numpy()
        self.channels = added(channel, columns, _size(channel))
        self.minutes = added((time - at) // 60, columns, _MINUTES)
        self.first = np.full(self.campaigns, _NEVER)
        # Rows are in order of time: when they are written backwards, the first one remains.
        self.first[campaign[::-1]] = time[::-1]
        self._upto: list[Floats] | None = None
        if known:
            self.total = _grown(known.total, self.campaigns) + self.total
            self.minutes += known.minutes
            longer, shorter = sorted((known.channels, self.channels), key=len, reverse=True)
            self.channels = longer.copy()
            self.channels[: len(shorter)] += shorter
            seen = len(known.first)
            self.first[:seen] = np.minimum(self.first[:seen], known.first)
            if known._upto is not None:
                self._upto = self._added_up(known._upto, rows, known.until)

    def is_still(self, block: Block, until: int) -> bool:
        """Whether `block` up to this part's end, at most `until`, is what this part was made of."""
        return self.until <= until and block.stamp(self.until) == self.stamp

    def _with_all(self, campaign: npt.NDArray[Any], columns: list[Floats]) -> Floats:
        sums = added(campaign, columns, self.campaigns + 1)
        sums[-1] = sums[:-1].sum(axis=0)
        return sums

    def _added_up(self, upto: list[Floats], rows: pl.DataFrame, start: int) -> list[Floats]:
        """`upto` with the minutes that begin at `start`, of which `rows` are."""
        upto = list(upto)
        for minute in range(start, self.until, 60):
            part = clipped(rows, minute, minute + 60)
            upto.append(
                _grown(upto[-1], self.campaigns) + self._with_all(part["campaign"].to_numpy(), fields(part, self._further))
            )
        return upto

    def forget_minutes(self) -> None:
        """Release the memory of `upto`; the next call computes it again."""
        self._upto = None

    def upto(self, minute: int) -> Floats:
        """Sums of the first `minute` minutes of the block; there may be fewer campaigns than in the whole of it."""
        if self._upto is None:
            self._upto = self._added_up([np.zeros((1, self.total.shape[1]))], self.rows, self._at)
        return self._upto[min(minute, len(self._upto) - 1)]


def _closed(block: Block) -> pl.DataFrame:
    """Return the rows of `block` that do not belong to an open window."""
    open_ = block.states["t"].filter(block.states["open"]).to_numpy()
    return block.rows.filter(~np.isin(block.rows["t"].to_numpy(), open_)) if len(open_) else block.rows


def _grown(sums: Floats, campaigns: int) -> Floats:
    """`sums`, whose last line is that of all campaigns, with a line for each of `campaigns`."""
    if len(sums) == campaigns + 1:
        return sums
    grown = np.zeros((campaigns + 1, sums.shape[1]))
    grown[: len(sums) - 1], grown[-1] = sums[:-1], sums[-1]
    return grown


class History:
    """The hours before `until` (seconds, a full minute), of all campaigns; make one with `Keeper.history`."""

    def __init__(self, snapshot: Snapshot, parts: dict[int, _BlockHistory], until: int, further: Sequence[str] = ()) -> None:
        """`further`: counts that the arrays have after `FIELDS`."""
        self.until = until
        self._further = further
        width = len(FIELDS) + len(further)
        self.oldest = snapshot.minutes_from
        self._open = snapshot.open_windows(self.oldest, until)
        self.campaigns = max((part.campaigns for part in parts.values()), default=0)
        self._parts = parts
        self._cumulated: dict[int, Floats] = {}
        sums = np.zeros((self.campaigns + 1, width))
        self.first = np.full(self.campaigns, _NEVER)
        for at, part in parts.items():
            self._cumulated[at] = sums
            sums = self._plus(sums, part.total)
            np.minimum(self.first[: part.campaigns], part.first, out=self.first[: part.campaigns])
        self._all = sums
        channels = max((len(part.channels) for part in parts.values()), default=0)
        self.by_channel = np.zeros((channels, width))
        for part in parts.values():
            self.by_channel[: len(part.channels)] += part.channels

    @staticmethod
    def _plus(sums: Floats, more: Floats) -> Floats:
        """Return the sum of both; `more` may have fewer campaigns."""
        if len(sums) == len(more):
            return sums + more
        sums = sums.copy()
        sums[: len(more) - 1] += more[:-1]
        sums[-1] += more[-1]
        return sums

    def upto(self, moment: int) -> Floats:
        """Sums of everything here before `moment`, which is a full minute: a line for each campaign, and a last one for all of them.

        Columns are `FIELDS`.
        """
        if moment >= self.until:
            return self._all
        at = block_of(moment)
        before = self._cumulated.get(at)
        if before is None:  # no block there: what lies before the next one
            later = [start for start in self._cumulated if start > moment]
            return self._cumulated[min(later)] if later else self._all
        minute = (moment - at) // 60
        return self._plus(before, self._parts[at].upto(minute)) if minute else before

    def open_windows(self, start: npt.ArrayLike, end: int) -> npt.NDArray[np.int64]:
        """Return the number of open windows from each `start` to `end`, both in seconds; `start` is at most `end`."""
        return np.searchsorted(self._open, end) - np.searchsorted(self._open, start)

    def rows(self, campaigns: list[int]) -> pl.DataFrame:
        """The rows of some campaigns: `t`, `campaign`, `channel` and the sums."""
        wanted = pl.col("campaign").is_in(campaigns) & (pl.col("t") < self.until)
        return stacked(part.rows for part in self._parts.values()).filter(wanted)

    def past(self, rows: pl.DataFrame, start: int, step: int) -> Past:
        """`rows` added up by `step` seconds from `start` to the end."""
        size = max((self.until - start) // step, 0)
        rows = rows.filter((pl.col("t") >= start) & (pl.col("t") < start + size * step))
        series = added((rows["t"].to_numpy() - start) // step, fields(rows, self._further), size)
        return Past(series, self._minutes(start, step, size), start, step, start + size * step)

    def _minutes(self, start: int, step: int, size: int) -> Floats:
        """Return the minutes of `size` windows of `step` seconds from `start` on, 0 for open windows."""
        minutes = np.full(size, step / 60)
        lines = (self._open - start) // step
        minutes[lines[(lines >= 0) & (lines < size)]] = 0.0
        return minutes

    def whole(self, start: int, step: int) -> Past:
        """Return the same for all campaigns together."""
        size = max((self.until - start) // step, 0)
        series = np.zeros((size, len(FIELDS) + len(self._further)))
        for at, part in self._parts.items():
            for minute, sums in enumerate(part.minutes):
                line = (at + 60 * minute - start) // step
                if 0 <= line < size:
                    series[line] += sums
        return Past(series, self._minutes(start, step, size), start, step, start + size * step)


class Keeper:
    """Keeps what is derived from each block as long as the store holds that block unchanged.

    Money counts in `currency`; `rates` gives the table by which other currencies are converted, at the rate of their day in UTC.
    """

    def __init__(self, currency: str = "USD", rates: Callable[[], RateTable] = packaged, further: Sequence[str] = ()) -> None:
        """`further`: counts that the arrays have after `FIELDS`."""
        self._currency, self._rates, self._further = currency, rates, further
        self._table: RateTable | None = None
        self._parts: dict[int, _BlockHistory] = {}

    def history(self, snapshot: Snapshot, start: int, until: int) -> History:
        """The blocks from the one that holds `start` up to `until`, both in seconds, `until` a full minute."""
        parts: dict[int, _BlockHistory] = {}
        exchange = self._exchange(snapshot)
        for at, block in snapshot.blocks.items():
            if at < block_of(start) or at >= until:
                continue
            held, end = self._parts.get(at), min(until, at + BLOCK_SECONDS)
            same = held is not None and held.until == end and held.is_still(block, end)
            parts[at] = (
                held
                if held is not None and same
                else _BlockHistory(at, block, until, held, exchange=exchange, further=self._further)
            )
            if at < until - _BY_MINUTE:
                parts[at].forget_minutes()
        self._parts = parts
        return History(snapshot, parts, until, self._further)

    def _exchange(self, snapshot: Snapshot) -> Exchange | None:
        """Return what converts money, None if nothing has to be; what was made with other rates is dropped."""
        names = snapshot.names["currency"].names
        if all(name == self._currency for name in names):
            return None
        table = self._rates()
        if table is not self._table:
            self._table, self._parts = table, {}
        return Exchange(table, self._currency, names, range(len(MONEY)))


def _converted(rows: pl.DataFrame, exchange: Exchange) -> pl.DataFrame:
    """Return those of `rows` that have an exchange rate, with their money in the currency of `exchange`."""
    is_wide = any(rows.schema[name] != pl.Int64 for name in MONEY)
    money, days = matrix(rows, MONEY, wide=frozenset(MONEY) if is_wide else frozenset()), rows["t"].to_numpy() // _DAY
    converted, has_rate = exchange.converted(money, rows["currency"].to_numpy().astype(np.int64), days)
    columns = [pl.Series(name, converted[:, at]) for at, name in enumerate(MONEY)]
    return rows.with_columns(columns).filter(pl.Series(has_rate))
