"""Older data by day: for each hour the sums in memory, and its minutes packed.

The minutes are kept, so that a late correction changes its hour exactly, and a question at any grain can be answered; packed (Parquet,
zstd) a row takes about 10 bytes, and an hour takes milliseconds to pack or to unpack, however few rows it has. A day of few rows
is therefore not packed: its cost is proportional to its rows. All objects here are immutable.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import cached_property, lru_cache

import polars as pl

from figures.measures import Wide, sizes, wide_of
from figures.store.blocks import (
    BLOCK_SECONDS,
    Block,
    By,
    clipped,
    fitting,
    inner_edges,
    merge,
    rollup,
    serial,
    split,
    stacked,
    window_states,
    without,
)
from figures.store.names import renumber
from figures.store.shape import Shape

HOUR, DAY = 3600, 86_400
_KEPT_ROLLUPS = 96
"""A day of hours at two grains, so that a day can be compared with the one before it without unpacking that again."""


class Hour:
    """The rows of one hour."""

    length = HOUR

    def __init__(self, rows: pl.DataFrame, shape: Shape) -> None:
        """`rows`: of one hour and of `shape`, at least one, as `blocks.merge` gives them."""
        self._shape = shape
        self.first, self.last = int(rows["t"][0]), int(rows["t"][-1])
        self.start = self.first - self.first % HOUR
        self._count = len(rows)
        self.sizes = sizes(rows, shape.sums)
        self._wide = wide_of(self.sizes, shape.sums)
        self._sums = rollup(rows, shape, HOUR, wide=self._wide, by=shape.dimensions)
        self.states = window_states(rows)
        self._serial = serial()
        # Names by their index among those of the hour: they can be renumbered without unpacking.
        self._names = {name: rows[name].unique().sort() for name in shape.dimensions}
        indices = [known.search_sorted(rows[name]).alias(name) for name, known in self._names.items()]
        out = io.BytesIO()
        rows.with_columns(indices).write_parquet(out, compression="zstd", statistics=False)
        self._packed = out.getvalue()
        self.bytes = int(len(self._packed) + self._sums.estimated_size() + 8 * sum(map(len, self._names.values())))
        """Approximate memory in bytes."""

    def __len__(self) -> int:
        return self._count

    def stamp(self, until: int) -> int:
        """As `Block.stamp`."""
        del until  # an hour is never rebuilt for its last minute alone
        return self._serial

    @property
    def rows(self) -> pl.DataFrame:
        """Rows of all minutes, unpacked on each access."""
        rows = pl.read_parquet(self._packed)
        return rows.with_columns(known.gather(rows[name]).alias(name) for name, known in self._names.items())

    @property
    def sums(self) -> pl.DataFrame:
        """The hour in one row for each combination of its dimensions."""
        return self._sums

    def within(self, start: int, end: int, grain: int, cuts: tuple[int, ...], by: By) -> list[pl.DataFrame]:
        """As `Block.within`."""
        inner = inner_edges(self.start, HOUR, (start, end, *cuts))
        fitting_grain = fitting((HOUR, 900, 300), grain, inner)
        if fitting_grain == HOUR:
            return [self._sums.select(self._shape.columns(by))]
        rows = _rollup(self, fitting_grain) if fitting_grain else self.rows
        whole = start <= self.start and end >= self.start + HOUR
        return [(rows if whole else clipped(rows, start, end)).select(self._shape.columns(by))]

    @property
    def shape(self) -> Shape:
        """Shape of its rows."""
        return self._shape

    @property
    def wide(self) -> Wide:
        """Columns whose sums could exceed 64 bits."""
        return self._wide

    def numbers(self, dimension: str) -> pl.Series:
        """Return the numbers of the names in its rows."""
        return self._names[dimension]

    def renumbered(self, numbers: Mapping[str, pl.Series]) -> Hour:
        """As `Block.renumbered`."""
        other = object.__new__(Hour)
        other.__dict__.update(self.__dict__)
        other._serial = serial()
        other._names = {name: numbers[name].gather(known) if name in numbers else known for name, known in self._names.items()}
        other._sums = renumber(self._sums, numbers)
        return other


@lru_cache(maxsize=_KEPT_ROLLUPS)
def _rollup(hour: Hour, grain: int) -> pl.DataFrame:
    return rollup(hour.rows, hour.shape, grain, wide=hour.wide, by=hour.shape.dimensions)


class SparseDay(Block):
    """The rows of one day (UTC) with too few rows to be packed."""

    length = DAY
    _GRAINS = (DAY, HOUR, BLOCK_SECONDS, 300, 60)


class Day:
    """The hours of one day (UTC) that are held, by their start; at least one."""

    length = DAY

    def __init__(self, hours: Mapping[int, Hour], shape: Shape) -> None:
        self._shape = shape
        self.hours = dict(sorted(hours.items()))
        ordered = list(self.hours.values())
        self.first, self.last = ordered[0].first, ordered[-1].last
        self.start = self.first - self.first % DAY
        self.sizes = sum((hour.sizes for hour in ordered[1:]), start=ordered[0].sizes)
        self._count = sum(map(len, ordered))
        self._rollups: dict[tuple[int, By], pl.DataFrame] = {}

    def __len__(self) -> int:
        return self._count

    def upserted(self, rows: pl.DataFrame) -> Day:
        """Return the day with `rows`, as `blocks.merge` returns them, merged into it."""
        hours = dict(self.hours)
        for at, part in split(rows, HOUR):
            held = hours.get(at)
            hours[at] = Hour(merge([held.rows, part], self._shape) if held else part, self._shape)
        return Day(hours, self._shape)

    def since(self, oldest: int) -> Day | None:
        """Return the day without the hours before `oldest`, a full hour; None if nothing is left."""
        left = {at: hour for at, hour in self.hours.items() if at >= oldest}
        return Day(left, self._shape) if left else None

    @property
    def rows(self) -> pl.DataFrame:
        """Rows of all minutes, unpacked on each access."""
        return stacked(hour.rows for hour in self.hours.values())

    def without(self, gone: pl.DataFrame) -> Day | None:
        """Return the day without the rows in `gone`, as `Block.without`."""
        hours = dict(self.hours)
        for at, part in split(gone, HOUR):
            hour = hours.pop(at, None)
            if hour is not None and len(rows := without(hour.rows, part)):
                hours[at] = hour if len(rows) == len(hour) else Hour(rows, self._shape)
        return Day(hours, self._shape) if hours else None

    @cached_property
    def states(self) -> pl.DataFrame:
        """As `Block.states`."""
        return pl.concat(hour.states for hour in self.hours.values())

    def stamp(self, until: int) -> int:
        """As `Block.stamp`."""
        return max(hour.stamp(until) for hour in self.hours.values())

    def _at(self, grain: int, by: By) -> pl.DataFrame:
        sums = self._rollups.get((grain, by))
        if sums is None:
            hours = stacked(hour.sums for hour in self.hours.values())
            sums = self._rollups[grain, by] = rollup(hours, self._shape, grain, wide=wide_of(self.sizes, self._shape.sums), by=by)
        return sums

    def within(self, start: int, end: int, grain: int, cuts: tuple[int, ...], by: By) -> list[pl.DataFrame]:
        """As `Block.within`."""
        coarsest_grain = fitting((DAY, HOUR), grain, inner_edges(self.start, DAY, (start, end, *cuts)))
        if coarsest_grain:
            rows = self._at(coarsest_grain, by)
            return [rows if start <= self.start and end >= self.start + DAY else clipped(rows, start, end)]
        inside = [hour for hour in self.hours.values() if hour.start < end and hour.start + HOUR > start]
        return [frame for hour in inside for frame in hour.within(start, end, grain, cuts, by)]

    def numbers(self, dimension: str) -> pl.Series:
        """Return the numbers of the names in its rows."""
        return pl.concat(hour.numbers(dimension) for hour in self.hours.values()).unique()

    def renumbered(self, numbers: Mapping[str, pl.Series]) -> Day:
        """As `Block.renumbered`."""
        return Day({at: hour.renumbered(numbers) for at, hour in self.hours.items()}, self._shape)

    @property
    def bytes(self) -> int:
        """Approximate memory in bytes."""
        rollups = sum(frame.estimated_size() for frame in list(self._rollups.values()))
        return int(rollups + sum(hour.bytes for hour in self.hours.values()))


def day_with(held: Day | SparseDay | None, rows: pl.DataFrame, shape: Shape, packed_from: int) -> Day | SparseDay:
    """Return the day `held` (None if it is new) with `rows` merged into it, as `Day.upserted`.

    A day with `packed_from` rows or more is packed, and remains packed.
    """
    if isinstance(held, Day):
        return held.upserted(rows)
    sparse = held.upserted([rows]) if held else SparseDay(rows, shape)
    if len(sparse) < packed_from:
        return sparse
    return Day({at: Hour(part, shape) for at, part in split(sparse.rows, HOUR)}, shape)


def day_since(held: Day | SparseDay, shape: Shape, oldest: int) -> Day | SparseDay | None:
    """Return the day `held` without what is before `oldest`, a full hour; None if nothing is left."""
    if isinstance(held, Day):
        return held.since(oldest)
    left = clipped(held.rows, oldest, held.start + DAY)
    return SparseDay(left, shape) if len(left) else None
