"""The tables of a page: campaigns and channels, each with its share, change and trend."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING

import msgspec
import polars as pl

from panel_app.measures import MEASURES, SUMS, Measure, sums
from panel_app.names import Names
from panel_app.view import ALL_ROWS, PAGE_ROWS, View

if TYPE_CHECKING:
    from panel_app.charts import Span

BEFORE, BEFORE_OPEN, SETTLED, OPEN = range(4)
"""Parts of time: the previous period, what of it lies beside the open minutes, the range's complete minutes, its open ones."""

_TREND_POINTS = 30
_CHANNEL_ROWS = 50
FIGURES = tuple(MEASURES)
Numbers = list[float | None]


class Row(msgspec.Struct, frozen=True):
    """One campaign or channel: `figures` by measure, `share` of the largest in the chosen one, `change` of it (0.1 is +10 %)."""

    name: str
    figures: Numbers
    share: float
    change: float | None
    trend: Numbers


class Table(msgspec.Struct, frozen=True):
    """The rows shown, how many match the search, and how many there are; `columns` names what is in `figures`."""

    columns: tuple[str, ...]
    rows: list[Row]
    matched: int
    total: int


def short(values: Numbers) -> Numbers:
    """Six significant digits: more can't be seen in a chart, and would double what goes over the wire."""
    return [None if value is None or not math.isfinite(value) else float(f"{value:.6g}") for value in values]


@cache
def _plan(measure: Measure, *, whole: bool) -> tuple[list[pl.Expr], list[pl.Expr], pl.Expr]:
    """What `ordered` adds up, the figures made of it, and the change; an expression takes longer to write than to work out."""
    parts = [name for name in (*measure.num, measure.den) if name]
    added = [
        *(pl.col(name).filter(pl.col("part") >= SETTLED).sum() for name in SUMS),
        *(pl.col(name).filter(pl.col("part") == SETTLED).sum().alias(f"is_{name}") for name in parts),
        *(pl.col(name).filter(pl.col("part") == BEFORE).sum().alias(f"was_{name}") for name in parts),
        (pl.col("part") >= SETTLED).any().alias("present"),
    ]
    figures = [*(one.expr() for one in MEASURES.values()), measure.expr("is_").alias("is"), measure.expr("was_").alias("was")]
    change = pl.when((pl.col("was") != 0) & whole).then(pl.col("is") / pl.col("was") - 1).otherwise(None).alias("change")
    return added, figures, change


def ordered(by_part: pl.DataFrame, names: Names, view: View, *, dimension: str, whole: bool) -> pl.LazyFrame:
    """One row per campaign or channel of the range, in the order asked for: number, name, every measure, `change` of the chosen one.

    `by_part` has the columns `dimension`, `part` and `SUMS`. The change compares the complete minutes with the same ones of the
    previous period, and is null where that is not held `whole`.
    """
    added, figures, change = _plan(MEASURES[view.metric], whole=whole)
    name = pl.lit(names.series()).gather(pl.col(dimension)).alias("name")
    frame = by_part.lazy().group_by(dimension).agg(added).filter("present")
    frame = frame.select(dimension, name, *figures).with_columns(change)
    if view.sorted_by == "name":
        return frame.sort(pl.col("name").str.to_lowercase(), "name", descending=view.descending)
    return frame.sort(view.sorted_by, "name", descending=[view.descending, False], nulls_last=True)


def _shares(measure: Measure, frame: pl.DataFrame, shown: pl.DataFrame) -> list[float]:
    """Of each row of `shown` how large it is beside the largest of `frame`, from 0 to 1."""
    largest = frame[measure.id].max()
    if not isinstance(largest, float) or not largest > 0:
        return [0.0] * len(shown)
    return [round(max(value or 0.0, 0.0) / largest, 4) for value in shown[measure.id].to_list()]


def campaigns(frame: pl.DataFrame, view: View, rows: pl.LazyFrame, span: Span, *, wide: bool, limit: int = 0) -> Table:
    """The campaigns that match the search: the first `limit`, or else as many as the view wants.

    `frame` is what `ordered` gives; `rows` are those of `query.page`, for the trends of what is shown.
    """
    measure = MEASURES[view.metric]
    total = len(frame)
    if view.search:
        frame = frame.filter(pl.col("name").str.to_lowercase().str.contains(view.search.lower(), literal=True))
    shown = frame.head(limit or (ALL_ROWS if view.all_rows else PAGE_ROWS))
    trends = _trends(rows, measure, shown["campaign"].to_list(), span, wide=wide)
    return Table(FIGURES, _rows(shown, _shares(measure, frame, shown), trends), len(frame), total)


def channels(frame: pl.DataFrame, view: View) -> Table:
    """The first 50 of the channels; `frame` is what `ordered` gives."""
    shown = frame.head(_CHANNEL_ROWS)
    return Table(FIGURES, _rows(shown, _shares(MEASURES[view.metric], frame, shown), [[]] * len(shown)), len(frame), len(frame))


def _rows(frame: pl.DataFrame, shares: list[float], trends: list[Numbers]) -> list[Row]:
    columns = frame.select("name", "change", *FIGURES).rows()
    return [
        Row(name, short(list(figures)), share, short([change])[0], trend)
        for (name, change, *figures), share, trend in zip(columns, shares, trends, strict=False)
    ]


def _trends(rows: pl.LazyFrame, measure: Measure, numbers: list[int], span: Span, *, wide: bool) -> list[Numbers]:
    """The chosen measure of each campaign over the complete part of the range, in at most `_TREND_POINTS` points."""
    step = span.bucket * max(1, -(-len(span.points) // _TREND_POINTS))
    count = (span.settled - span.start) // step
    known = max((span.oldest - span.start) // step, 0)
    place = ((pl.col("t") - span.start) // step).alias("place")
    cells = (
        rows.filter((pl.col("part") == SETTLED) & pl.col("campaign").is_in(numbers))
        .group_by("campaign", place)
        .agg(sums(wide=wide))
        .select("campaign", "place", measure.expr())
        .collect()
    )
    nothing = 0.0 if measure.additive else None
    found: dict[int, Numbers] = {number: [None] * known + [nothing] * (count - known) for number in numbers}
    for number, at, value in cells.iter_rows():
        if at < count:
            found[number][at] = value
    return [short(found[number]) for number in numbers]
