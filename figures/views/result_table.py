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
from dataflows.contract.metrics import COUNTS, MONEY
from dataflows.contract.schema import STATES, rfc3339
from figures.calendar.calendar import DAY, SHORT, Calendar, grain
from figures.calendar.zones import Seconds
from figures.measures import RATIOS, narrowed, sums
from figures.store.blocks import joint_state
from figures.store.names import Names
from figures.store.snapshot import Snapshot
from figures.views.selection import DIMENSIONS, Selection

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
    calendar: Calendar
    start: int | None
    end: int | None

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
        return {"currency": self.currency, "interval": self.interval, "tz": zone, "week": week, "from": first, "to": last}


def table(snapshot: Snapshot, asked: Selection, *, window: int, currency: str) -> ResultTable:
    """Return what `snapshot` holds of `asked`, by time, campaign and channel; `window` is the length of a window in seconds.

    Raises `InputError` if the range of `asked` begins before the year 1.
    """
    if not snapshot.empty:
        asked = asked.resolved(snapshot.newest, window)
    start, end = _span(snapshot, asked, window)
    buckets = _buckets(snapshot, asked, start or 0, min(end or 0, _NO_END), window)
    rows = snapshot.between(start or 0, min(end or 0, _NO_END), buckets.grain)
    for dimension, wanted in (("campaign", asked.campaigns), ("channel", asked.channels)):
        if wanted:
            rows = rows.filter(pl.col(dimension).is_in(_known(snapshot, dimension).known(wanted)))
    rows = rows.with_columns(t=buckets.starts(rows["t"].to_numpy()))
    by = [name for name in DIMENSIONS if name in asked.by]
    currencies = snapshot.names["currency"]
    split = [*by, "currency"] if len(currencies.names) > 1 else by
    grouped = rows.group_by("t", *split).agg(*sums(snapshot.shape.sums, wide=snapshot.wide), joint_state())
    grouped = grouped.sort("t", *(_rank(snapshot, name) for name in split))
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
        *(measure.expr() for measure in RATIOS),
        (_name(snapshot, "currency") if split != by else pl.lit("".join(currencies.names) or currency)).alias("currency"),
        pl.lit(pl.Series(STATES)).gather(pl.col("state")).alias("state"),
    )
    return ResultTable(narrowed(frame, snapshot.wide), asked.interval, currency, asked.calendar, start, end)


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
