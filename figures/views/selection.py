"""Results as a table for further computation: any span, interval and split, exact to the micro. Pure functions on a snapshot.

The downloads of the charts, ``/api/results`` and ``adtally export`` all use this module, so that they can't differ.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping, Sequence

import msgspec
import polars as pl

from dataflows.contract.constants import MICROS
from dataflows.contract.errors import InputError
from dataflows.contract.metrics import COUNTS, MONEY
from dataflows.contract.schema import STATES, rfc3339, to_micros
from figures.measures import RATIOS, narrowed, sums
from figures.store.blocks import floor_to, joint_state
from figures.store.names import Names
from figures.store.snapshot import Snapshot
from figures.views import parameters

INTERVALS: dict[str, int] = {"minute": 60, "hour": 3600, "day": 86_400, "total": 0}
"""Seconds of a row by the name of its interval; hours and days are those of UTC, a total is one row over the whole span."""

DIMENSIONS = ("campaign", "channel")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?([Zz]|[+-]\d\d:\d\d)")
_NO_END = 2**40
_LAST = 253_402_300_799
"""The last second of the year 9999."""


class Selection(msgspec.Struct, frozen=True):
    """Which results are wanted: windows with `start <= window start < end` (seconds since 1970, None for no bound).

    Empty `campaigns` or `channels` mean all; a row covers `seconds`, 0 for the whole span; `by` is what it is split by.
    """

    start: int | None = None
    end: int | None = None
    campaigns: frozenset[str] = frozenset()
    channels: frozenset[str] = frozenset()
    seconds: int = 60
    by: tuple[str, ...] = DIMENSIONS

    def takes(self, start: int, campaign: str, channel: str) -> bool:
        """Return whether the result of the window that begins at `start` is selected."""
        return (
            (self.start is None or start >= self.start)
            and (self.end is None or start < self.end)
            and (not self.campaigns or campaign in self.campaigns)
            and (not self.channels or channel in self.channels)
        )


def selection(given: Mapping[str, Sequence[str]]) -> Selection:
    """Return the question in `from`, `to`, `campaign`, `channel`, `interval` and `by`, each a list of texts.

    Raises `InputError`, which names the parameter and what it takes, and never repeats what was given.
    """
    start, end = _moment(given, "from"), _moment(given, "to")
    if start is not None and end is not None and start >= end:
        raise InputError("`to` must be later than `from`: windows from `from` on and before `to` are given.")
    interval = parameters.once(given, "interval") or "minute"
    if interval not in INTERVALS:
        raise InputError(f"`interval` must be one of {', '.join(INTERVALS)}.")
    by = tuple(dict.fromkeys(name for text in given.get("by", ()) for name in text.split(",") if name)) or DIMENSIONS
    if by == ("none",):
        by = ()
    if not set(by) <= set(DIMENSIONS):
        raise InputError("`by` must be campaign, channel, campaign,channel or none.")
    campaigns, channels = (frozenset(parameters.names(given, dimension)) for dimension in DIMENSIONS)
    return Selection(start, end, campaigns, channels, INTERVALS[interval], by)


def _moment(query_values: Mapping[str, Sequence[str]], name: str) -> int | None:
    if not query_values.get(name):
        return None
    text = parameters.once(query_values, name)
    # In the query of a URL a plus means a space; an unescaped one is taken for the sign of the zone.
    text = re.sub(r" (\d\d:\d\d)$", r"+\1", text) if len(text) > 16 else text
    try:
        if not _TIME.fullmatch(text):
            raise ValueError
        # Digits beyond the microsecond are cut: no window starts within one.
        return math.ceil(to_micros(dt.datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text.upper()))) / 1_000_000)
    except (ValueError, OverflowError):
        raise InputError(f"`{name}` must be an RFC 3339 time with its zone, such as 2026-11-23T08:00:00Z.") from None


class ResultTable(msgspec.Struct, frozen=True):
    """The answer: `frame` with the columns of docs/api.md, and the span (seconds since 1970) of its rows.

    An end of the span is None if it was not asked for and nothing is held. Without matching results there are no rows, not even a
    total.
    """

    frame: pl.DataFrame
    interval: str
    currency: str
    start: int | None
    end: int | None

    @property
    def span(self) -> tuple[str | None, str | None]:
        """`start` and `end` as RFC 3339 times."""
        first, last = (None if end is None else rfc3339(min(end, _LAST)) for end in (self.start, self.end))
        return first, last


def table(snapshot: Snapshot, asked: Selection, *, window: int, currency: str) -> ResultTable:
    """Return what `snapshot` holds of `asked`, by time, campaign and channel; `window` is the length of a window in seconds."""
    start, end = _span(snapshot, asked, window)
    step = max(asked.seconds, window) if asked.seconds else 0
    rows = snapshot.between(start or 0, min(end or 0, _NO_END), step or 86_400)
    for dimension, wanted in (("campaign", asked.campaigns), ("channel", asked.channels)):
        if wanted:
            rows = rows.filter(pl.col(dimension).is_in(_known(snapshot, dimension).known(wanted)))
    # Not a constant: grouping by a constant would give a row even without data.
    time = floor_to(step) if step else (pl.col("t") * 0 + (start or 0)).alias("t")
    by = [name for name in DIMENSIONS if name in asked.by]
    grouped = rows.group_by(time, *by).agg(*sums(wide=snapshot.wide), joint_state())
    last = (pl.col("t") + step) if step else pl.lit(end).cast(pl.Int64)
    # By a column: polars multiplies by the reciprocal of a constant, and the last digit of the quotient is then another one.
    million = pl.col("events").cast(pl.Float64) * 0 + MICROS
    frame = grouped.sort("t", *(_rank(snapshot, name) for name in by)).select(
        _time(pl.col("t")).alias("window_start"),
        _time(last).alias("window_end"),
        *(_name(snapshot, name) for name in by),
        *COUNTS,
        "events",
        *MONEY,
        *((pl.col(name).cast(pl.Float64) / million).alias(name.removesuffix("_micros")) for name in MONEY),
        *(measure.expr() for measure in RATIOS),
        pl.lit(currency).alias("currency"),
        pl.lit(pl.Series(STATES)).gather(pl.col("state")).alias("state"),
    )
    frame = narrowed(frame, snapshot.wide)
    names = {seconds: name for name, seconds in INTERVALS.items()}
    return ResultTable(frame, names.get(asked.seconds, f"{asked.seconds}s"), currency, start, end)


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
    return snapshot.campaigns if dimension == "campaign" else snapshot.channels


def _name(snapshot: Snapshot, dimension: str) -> pl.Expr:
    names = pl.lit(_known(snapshot, dimension).series())
    return names.gather(pl.col(dimension)).alias("campaign_id" if dimension == "campaign" else dimension)


def _rank(snapshot: Snapshot, dimension: str) -> pl.Expr:
    # Sorting numbers by the rank of their names is many times faster than sorting the names of all rows.
    return pl.lit(_known(snapshot, dimension).series().rank("dense")).gather(pl.col(dimension))


def _time(seconds: pl.Expr) -> pl.Expr:
    return pl.from_epoch(seconds, time_unit="s").dt.replace_time_zone("UTC")


def file_name(answer: ResultTable, ending: str) -> str:
    """Return a name for the file of `answer` that contains only letters, digits, dots and dashes."""
    parts = ["adtally", answer.interval, *(end.replace(":", "") for end in answer.span if end)]
    return f"{'-'.join(parts)}.{ending}"
