"""Results as a table for further computation: any span, interval and split, exact to the micro. Pure functions on a snapshot.

The downloads of the charts, ``/api/results`` and ``adtally export`` all use this module, so that they can't differ.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import msgspec
import numpy as np
import polars as pl

from dataflows.contract.constants import MICROS
from dataflows.contract.errors import InputError
from dataflows.contract.metrics import COUNTS, MONEY, SUMS
from dataflows.contract.schema import STATES, rfc3339
from figures.calendar.calendar import DAY, SHORT, Calendar, grain
from figures.calendar.zones import Seconds
from figures.catalogue import BUILT_IN, Catalogue
from figures.measures import narrowed, sums
from figures.rates.conversion import Notes, convert, dated
from figures.rates.files import packaged
from figures.rates.table import RateTable
from figures.store.blocks import joint_state
from figures.store.names import OTHER_NUMBER, Names
from figures.store.shape import column_of
from figures.store.snapshot import Snapshot
from figures.views.keys import conditions, passing
from figures.views.parameters import NATIVE
from figures.views.selection import DIMENSIONS, Selection

_UNITS = {name: name.removesuffix("_micros") for name in MONEY}
_COLUMNS = ("window_start", "window_end", "campaign_id", "channel", "currency", "state", "other", *SUMS, *_UNITS.values())
_NO_END = 2**40
_FIRST, _LAST = -62_135_596_800, 253_402_300_799
"""The first second of the year 1, and the last one of the year 9999."""


class ResultTable(msgspec.Struct, frozen=True):
    """The answer: `frame` with the columns of docs/api.md, and the span (seconds since 1970) of its rows.

    An end of the span is None if it was not asked for and nothing is held. Without matching results there are no rows, not even a
    total.
    """

    frame: pl.DataFrame
    interval: str
    currency: str
    """Code of the currency that money was converted to, or `NATIVE`; each row says which one its money is in."""
    calendar: Calendar
    start: int | None
    end: int | None
    rates: Notes | None = None
    """How money was converted; None if nothing had to be."""
    breakdown: str | None = None
    fields: tuple[str, ...] = ()
    """Columns of `frame` that have the values of the breakdown's fields."""

    @property
    def span(self) -> tuple[str | None, str | None]:
        """`start` and `end` as RFC 3339 times."""
        first, last = (None if end is None else rfc3339(min(max(end, _FIRST), _LAST)) for end in (self.start, self.end))
        return first, last

    @property
    def about(self) -> dict[str, object]:
        """What an answer in JSON says of the rows."""
        first, last = self.span
        zone, week = self.calendar.zone, self.calendar.week
        rates = self.rates and {
            "name": self.rates.rates,
            "days_from_earlier": self.rates.days_from_earlier,
            "last_used": self.rates.last_used,
            "without_rate": self.rates.without_rate,
        }
        about = {"currency": self.currency, "rates": rates, "interval": self.interval}
        if self.breakdown is not None:
            about |= {"breakdown": self.breakdown, "fields": self.fields}
        return {**about, "tz": zone, "week": week, "from": first, "to": last}


def table(
    snapshot: Snapshot,
    asked: Selection,
    *,
    window: int,
    currency: str,
    rates: Callable[[], RateTable] = packaged,
    catalogue: Catalogue = BUILT_IN,
) -> ResultTable:
    """Return what `snapshot` holds of `asked`, by time, campaign, channel and the fields of a breakdown, whose store it then is of.

    `window` is the length of a window in seconds.
    Without a currency in `asked` money is in `currency`; `rates` gives the table by which other currencies are
    converted, `catalogue` the rates that are columns. Raises `InputError` if the range of `asked` begins before the year 1.
    """
    if not snapshot.empty:
        asked = asked.resolved(snapshot.newest, window)
    start, end = _span(snapshot, asked, window)
    bounds = start or 0, min(end or 0, _NO_END)
    shown = asked.currency or currency
    buckets = _buckets(snapshot, asked, *bounds, window)
    grouped, notes = _grouped(snapshot, asked, buckets, bounds=bounds, shown=shown, rates=rates)
    if notes is None and asked.currency not in ("", NATIVE):
        notes = Notes(shown, rates().name)
    grouped = grouped.with_columns(end=buckets.ends(grouped["t"].to_numpy()))
    # By a column: polars multiplies by the reciprocal of a constant, and the last digit of the quotient is then another one.
    million = pl.col("events").cast(pl.Float64) * 0 + MICROS
    values, columns = _values(
        snapshot, asked, {*_COLUMNS, *snapshot.shape.declared, *(measure.id for measure in catalogue.rates)}
    )
    frame = grouped.select(
        _time(pl.col("t")).alias("window_start"),
        _time(pl.col("end")).alias("window_end"),
        *(_name(snapshot, name) for name in _dimensions(asked)),
        *values,
        *COUNTS,
        *snapshot.shape.declared,
        "events",
        *MONEY,
        *((pl.col(name).cast(pl.Float64) / million).alias(unit) for name, unit in _UNITS.items()),
        *(measure.expr() for measure in catalogue.rates),
        "currency",
        pl.lit(pl.Series(STATES)).gather(pl.col("state")).alias("state"),
    )
    breakdown = None if asked.breakdown is None else asked.breakdown.name
    frame = narrowed(frame, snapshot.wide)
    return ResultTable(frame, asked.interval, shown, asked.calendar, start, end, notes, breakdown, columns)


def check_currency(asked: Selection, rates: Callable[[], RateTable]) -> None:
    """Raise `InputError` if money is to be converted to a currency that never has a rate."""
    if asked.currency not in ("", NATIVE) and asked.currency not in (known := rates().currencies):
        raise InputError(f"`currency` must be native, or one that has a rate: {', '.join(sorted(known))}.")


def _dimensions(asked: Selection) -> list[str]:
    return [name for name in DIMENSIONS if name in asked.by]


def _column(field: str) -> str:
    """Return the column of a field's numbers while rows are added up: a name that no other column can have."""
    return f"={field}"


def _values(snapshot: Snapshot, asked: Selection, taken: set[str]) -> tuple[list[pl.Expr], tuple[str, ...]]:
    """Return the columns of the values of `asked.fields`, null where there is none, with the column `other`; and the names of the former.

    `other` is true in a row that sums what the breakdown did not admit: it has no values. A field whose name is `taken` by another column
    is preceded by ``f.``.
    """
    if not asked.fields:
        return [], ()
    texts: list[pl.Expr] = []
    names = tuple(f"f.{field}" if field in taken else field for field in asked.fields)
    for field, name in zip(asked.fields, names, strict=True):
        number = pl.col(_column(field))
        text = pl.lit(snapshot.names[column_of(field)].series()).gather(number)
        texts.append(pl.when(number > OTHER_NUMBER).then(text).alias(name))
    return [*texts, (pl.col(_column(asked.fields[0])) == OTHER_NUMBER).alias("other")], names


def _grouped(
    snapshot: Snapshot,
    asked: Selection,
    buckets: _Buckets,
    *,
    bounds: tuple[int, int],
    shown: str,
    rates: Callable[[], RateTable],
) -> tuple[pl.DataFrame, Notes | None]:
    """Return the sums by bucket, dimensions and code of the currency, in this order, and how money was converted to `shown`."""
    start, end = bounds
    by = _dimensions(asked)
    held = snapshot.names["currency"].names
    converts = shown != NATIVE and any(name != shown for name in held)
    step = buckets.grain
    if converts:
        first, last = max(start, snapshot.oldest), min(end, snapshot.newest + 1)
        step = min(step, grain(asked.calendar.edges(first, max(first, last), "day")))
    rows = _rows(snapshot, asked, start, end, step)
    by += map(_column, asked.fields)
    if converts:
        rows = dated(rows, asked.calendar)
    rows = rows.with_columns(t=buckets.starts(rows["t"].to_numpy()))
    totals = [*sums(snapshot.shape.sums, wide=snapshot.wide), joint_state()]
    code = pl.lit(snapshot.names["currency"].series()).gather(pl.col("currency")).alias("currency")
    notes = None
    if converts:
        grouped, notes = convert(rows.with_columns(code), rates(), shown, keys=["t", *by], money=MONEY, totals=totals)
    elif len(held) > 1:
        grouped = rows.group_by("t", *by, "currency").agg(*totals).with_columns(code)
    else:
        grouped = rows.group_by("t", *by).agg(*totals).with_columns(pl.lit("".join(held) or shown).alias("currency"))
    order = [*(_rank(snapshot, name) for name in _dimensions(asked)), *(_value_rank(snapshot, field) for field in asked.fields)]
    return grouped.sort("t", *order, "currency"), notes


def _rows(snapshot: Snapshot, asked: Selection, start: int, end: int, step: int) -> pl.DataFrame:
    """Return the rows that `asked` selects, added up to `step` seconds, with the numbers of its fields in `_column`."""
    filtered = dict.fromkeys(one.field for one in asked.filters)
    fields = {field: column_of(field) for field in (*asked.fields, *filtered)}
    rows = snapshot.between(start, end, step, by=(*DIMENSIONS, *fields.values(), "currency"))
    rows = passing(rows, conditions(snapshot, asked, None))
    return rows.rename({column: _column(field) for field, column in fields.items()})


class _Buckets(msgspec.Struct, frozen=True):
    """How rows come to buckets: from sums of `grain` seconds, `starts` gives the first instant of each, `ends` that of the next one."""

    grain: int
    starts: Callable[[Seconds], Seconds]
    ends: Callable[[Seconds], Seconds]


def _buckets(snapshot: Snapshot, asked: Selection, start: int, end: int, window: int) -> _Buckets:
    """Return the buckets of `asked` from `start` to `end`; a window belongs to the one that it starts in.

    A window that is longer than the interval has a row of its own.
    """
    if asked.interval == "total" and not asked.edges:
        return _Buckets(DAY, lambda t: np.full_like(t, start), lambda t: np.full_like(t, end))
    if not asked.edges and (asked.interval == "minute" or SHORT.get(asked.interval, DAY) < window):
        step = max(window, SHORT["minute"])
        return _Buckets(step, lambda t: t - t % step, lambda t: t + step)
    edges = asked.edges
    if not edges:
        # Of a span of thousands of years only what is held has rows.
        first, last = max(start, snapshot.oldest), min(end, snapshot.newest + window)
        edges = asked.calendar.edges(first, max(first, last), asked.interval)  # pyright: ignore[reportArgumentType]  # a total has been answered
    instants = np.array(edges, np.int64)

    def at(t: Seconds, *, after: int) -> Seconds:
        return instants[np.searchsorted(instants, t, side="right") - 1 + after]

    return _Buckets(grain(edges), partial(at, after=0), partial(at, after=1))


def _span(snapshot: Snapshot, question: Selection, window: int) -> tuple[int | None, int | None]:
    """Return the span of the answer: what is asked for, else what is held."""
    start, end = question.start, question.end
    if not snapshot.empty:
        # If only one end is asked for and it is outside of what is held, the span is empty, never reversed.
        if start is None:
            start = snapshot.oldest if end is None else min(snapshot.oldest, end)
        end = max(snapshot.newest + window, start) if end is None else end
    return start, end


def _known(snapshot: Snapshot, dimension: str) -> Names:
    return snapshot.names[dimension]


def _name(snapshot: Snapshot, dimension: str) -> pl.Expr:
    names = pl.lit(_known(snapshot, dimension).series())
    return names.gather(pl.col(dimension)).alias("campaign_id" if dimension == "campaign" else dimension)


def _rank(snapshot: Snapshot, dimension: str) -> pl.Expr:
    # Sorting numbers by the rank of their names is many times faster than sorting the names of all rows.
    return pl.lit(_known(snapshot, dimension).series().rank("dense")).gather(pl.col(dimension))


def _value_rank(snapshot: Snapshot, field: str) -> pl.Expr:
    """Return the place of a field's values: texts in their order, then rows without one, then those of what was not admitted."""
    ranks = snapshot.names[column_of(field)].series().rank("dense").cast(pl.Int64)
    last = len(ranks)
    ranks = pl.concat([pl.Series([last + 1, last + 2], dtype=pl.Int64), ranks.slice(OTHER_NUMBER + 1)])
    return pl.lit(ranks).gather(pl.col(_column(field)))


def _time(seconds: pl.Expr) -> pl.Expr:
    return pl.from_epoch(seconds.clip(_FIRST, _LAST), time_unit="s").dt.replace_time_zone("UTC")


def file_name(answer: ResultTable, ending: str) -> str:
    """Return a name for the file of `answer`, which says its interval, span, time zone and currency."""
    ends = (end.replace(":", "") for end in answer.span if end)
    return f"{file_stem(answer.interval, *ends, answer.calendar.zone, answer.currency)}.{ending}"


def file_stem(*parts: str) -> str:
    """Return the name of a file without its ending: `parts` in letters, digits and ``+ - . _``."""
    return re.sub(r"[^A-Za-z0-9+._-]", "-", "-".join(("adtally", *parts)))
