"""From results to rows: a polars frame of numbers, in which names are their numbers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache

import polars as pl

from dataflows.contract.breakdowns import Value
from dataflows.contract.metrics import SUMS
from dataflows.contract.schema import STATES, WindowResult, to_micros
from figures.measures import WIDE
from figures.store.names import Names
from figures.store.shape import Shape

Values = tuple[Value, ...]
"""Values of a breakdown's fields, in their order."""

_STATE = {state: number for number, state in enumerate(STATES)}


@lru_cache(maxsize=100_000)
def parse_start(text: str) -> int:
    """Return the seconds since 1970 of a window start; raises `ValueError` unless it is an RFC 3339 time with a zone."""
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return to_micros(moment) // 1_000_000


def rows_of(
    results: Sequence[WindowResult], shape: Shape, names: Mapping[str, Names], values: Sequence[Values] = ()
) -> pl.DataFrame:
    """Return `results` as rows of `shape`, in their order; `names` by dimension, in which new ones get a number.

    `values` has those of the breakdown's fields for each result.
    """
    data: dict[str, pl.Series] = {"t": pl.Series("t", [parse_start(result.window_start) for result in results], pl.Int64)}
    cells: dict[str, Iterable[Value]] = {
        "campaign": [result.campaign_id for result in results],
        "channel": [result.channel for result in results],
        **dict(zip(shape.values, zip(*values, strict=True), strict=True)),
        "currency": [result.currency for result in results],
    }
    for dimension, of_results in cells.items():
        data[dimension] = pl.Series(dimension, list(map(names[dimension].number, of_results)), pl.UInt32)
    for name in SUMS:
        data[name] = _integers(name, [getattr(result, name) for result in results])
    for name, declared_type in shape.declared.items():
        data[name] = _integers(name, [result.counts.get(declared_type, 0) for result in results])
    data["revision"] = pl.Series("revision", [result.revision for result in results], pl.Int64)
    data["state"] = pl.Series("state", [_STATE[result.state] for result in results], pl.UInt8)
    return pl.DataFrame(data)


def _integers(name: str, values: list[int]) -> pl.Series:
    try:
        return pl.Series(name, values, pl.Int64)
    except (OverflowError, TypeError, pl.exceptions.PolarsError):
        return pl.Series(name, list(map(Decimal, values)), WIDE)
