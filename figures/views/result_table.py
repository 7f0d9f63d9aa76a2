"""Results as a table for further computation: any span, interval and split, exact to the micro. Pure functions on a snapshot.

The downloads of the charts, ``/api/results`` and ``adtally export`` all use this module, so that they can't differ.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec
import numpy as np
import polars as pl

from dataflows.contract.constants import MICROS
from dataflows.contract.errors import InputError
from dataflows.contract.metrics import COUNTS, MONEY
from dataflows.contract.schema import STATES, rfc3339
from figures.calendar.calendar import DAY, SHORT, Calendar, grain
from figures.calendar.zones import Seconds
from figures.catalogue import BUILT_IN, Catalogue
from figures.measures import narrowed, sums
from figures.rates.conversion import Notes, convert, dated
from figures.rates.files import packaged
from figures.rates.table import RateTable
from figures.store.blocks import joint_state
from figures.store.names import Names
from figures.store.snapshot import Snapshot
from figures.views.selection import DIMENSIONS, NATIVE, Selection

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
    """Return what `snapshot` holds of `asked`, by time, campaign and channel; `window` is the length of a window in seconds.

    Without a currency in `asked` money is in `currency`; `rates` gives the table by which other currencies are
    converted, `catalogue` the rates that are columns. Raises `InputError` if the range of `asked` begins before the year 1, or if its
    currency has no rate.
    """
    if not snapshot.empty:
        asked = asked.resolved(snapshot.newest, window)
    start, end = _span(snapshot, asked, window)
    bounds = start or 0, min(end or 0, _NO_END)
    shown, by = asked.currency or currency, _dimensions(asked)
    buckets = _buckets(snapshot, asked, *bounds, window)
    grouped, notes = _grouped(snapshot, asked, buckets, bounds=bounds, shown=shown, rates=rates)
    if notes is None and asked.currency not in ("", NATIVE):
        notes = Notes(shown, rates().name)
    grouped = grouped.with_columns(end=buckets.ends(grouped["t"].to_numpy()))
    # By a column: polars multiplies by the reciprocal of a constant, and the last digit of the quotient is then another one.
    million = pl.col("events").cast(pl.Float64) * 0 + MICROS
    frame = grouped.select(
        _time(pl.col("t")).alias("window_start"),
        _time(pl.col("end")).alias("window_end"),
        *(_name(snapshot, name) for name in by),
        *COUNTS,
        "events",
        *MONEY,
        *((pl.col(name).cast(pl.Float64) / million).alias(name.removesuffix("_micros")) for name in MONEY),
        *(measure.expr() for measure in catalogue.rates),
        "currency",
        pl.lit(pl.Series(STATES)).gather(pl.col("state")).alias("state"),
    )
    return ResultTable(narrowed(frame, snapshot.wide), asked.interval, shown, asked.calendar, start, end, notes)


def _dimensions(asked: Selection) -> list[str]:
    return [name for name in DIMENSIONS if name in asked.by]


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
    rows = snapshot.between(start, end, step)
    for dimension, wanted in (("campaign", asked.campaigns), ("channel", asked.channels)):
        if wanted:
            rows = rows.filter(pl.col(dimension).is_in(snapshot.names[dimension].known(wanted)))
    if converts:
        rows = dated(rows, asked.calendar)
    rows = rows.with_columns(t=buckets.starts(rows["t"].to_numpy()))
    totals = [*sums(snapshot.shape.sums, wide=snapshot.wide), joint_state()]
    code = pl.lit(snapshot.names["currency"].series()).gather(pl.col("currency")).alias("currency")
    notes = None
    if converts:
        table = rates()
        if shown not in table.currencies and asked.currency:
            raise InputError(f"`currency` must be native, or one that has a rate: {', '.join(sorted(table.currencies))}.")
        grouped, notes = convert(rows.with_columns(code), table, shown, keys=["t", *by], money=MONEY, totals=totals)
    elif len(held) > 1:
        grouped = rows.group_by("t", *by, "currency").agg(*totals).with_columns(code)
    else:
        grouped = rows.group_by("t", *by).agg(*totals).with_columns(pl.lit("".join(held) or shown).alias("currency"))
    return grouped.sort("t", *(_rank(snapshot, name) for name in by), "currency"), notes


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


def _time(seconds: pl.Expr) -> pl.Expr:
    return pl.from_epoch(seconds.clip(_FIRST, _LAST), time_unit="s").dt.replace_time_zone("UTC")


def file_name(answer: ResultTable, ending: str) -> str:
    """Return a name for the file of `answer` that contains only letters, digits, dots and dashes."""
    parts = ["adtally", answer.interval, *(end.replace(":", "") for end in answer.span if end)]
    return f"{'-'.join(parts)}.{ending}"
