"""What the Explore page asks of the store: any measures, by any dimension, at any grain of time. Nothing here draws."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import partial

import msgspec
import numpy as np
import polars as pl

from dataflows.contract.breakdowns import Breakdown, columns
from dataflows.contract.errors import InputError
from figures.calendar import ranges
from figures.calendar.calendar import DAY, WEEKS, Calendar, Interval
from figures.calendar.zones import UTC
from figures.catalogue import BUILT_IN, Catalogue
from figures.measures import SIZE, ShownMeasure, sums
from figures.rates.conversion import CURRENCY
from figures.store.names import LABELS, Names
from figures.store.shape import column_of
from figures.store.snapshot import Snapshot
from figures.store.spelling import SpellingMark
from figures.views.breakdown_filter import FieldFilter, breakdown_for
from figures.views.grid import Grid, regular
from figures.views.keys import PAIRS, conditions, passing
from figures.views.money import USD, Money, PageCurrency, ScopeMoney, converted_rows
from figures.views.parameters import NATIVE, Parameters
from figures.views.selection import SPLITS, split_by
from figures.views.view import EVERYTHING, RANGES, Filtered, Scope, checked_range

ALL = "all"
SPANS = (*RANGES, *ranges.RANGES, ALL)
"""Ranges that the page offers; two dates such as 2026-11-01..2026-11-15 are one too."""

GRAINS: dict[str, int] = {
    **{"auto": 0, "1m": 60, "5m": 300, "15m": 900, "1h": 3600},
    **{"1d": DAY, "1w": 7 * DAY, "1mo": 30 * DAY},
}
"""Seconds of a point by its name; hours, days, weeks and months are those of the zone (`_ON_CALENDAR`)."""

_ON_CALENDAR: dict[int, Interval] = {3600: "hour", DAY: "day", 7 * DAY: "week", 30 * DAY: "month"}
KINDS = {"line": "Lines", "area": "Stacked area", "bar": "Bars of totals", "heatmap": "Heatmap", "table": "Table only"}
_LINES = 12
"""Largest number of series, with that of all others."""
OTHERS = "All others"
"""Name of the sum of the smaller ones where there are more."""
_DRAWN_BY_NAME = ("line", "area", "heatmap")
BARS = 25
"""Largest number of bars that are drawn."""
_POINTS = 240
_STEPS = (60, 300, 900, 3600, 10_800, 21_600, DAY)
_MEASURES = 4


class Ask(Filtered, frozen=True):
    """What a page asks for; every field is in the URL."""

    measures: tuple[str, ...] = ("spend",)
    by: tuple[str, ...] = ("channel",)
    """Dimensions that the figures are split by (`selection.SPLITS`); split by currency, money is not converted."""
    fields: tuple[str, ...] = ()
    """Fields of the breakdown that they are split by as well."""
    span: str = "1h"
    grain: str = "auto"
    kind: str = "line"
    currency: str = ""
    """Code of the currency that money is converted to, or `parameters.NATIVE`; empty for the reporting currency."""
    zone: str = UTC
    """The time zone of days, also of those whose exchange rates apply."""
    week: str = WEEKS[0]
    breakdown: str = ""
    """The breakdown whose rows the figures are of, because of a filter or a split by one of its fields; empty for the main results."""

    @property
    def by_currency(self) -> bool:
        """Whether each row has a currency of its own."""
        return CURRENCY in self.by


class ExploreFigures(msgspec.Struct, frozen=True):
    """`frame` has `time` (UTC, absent for totals), the dimensions, and a column for each measure.

    Points at the times `incomplete` (UTC) are provisional, or not held from their beginning.
    """

    ask: Ask
    frame: pl.DataFrame
    dimensions: tuple[str, ...]
    note: str
    grain: int
    """Seconds of a point; of days, weeks and months as most of them have."""
    incomplete: list[dt.datetime]
    marks: dict[str, SpellingMark]
    """How names that look like another one differ from it, by name."""
    measures: tuple[ShownMeasure, ...]
    """Those of `ask`, in their order."""
    currency: PageCurrency

    @property
    def about(self) -> dict[str, object]:
        """What a file of `frame` says of it, as `result_table.ResultTable.about` does; `without_rate` are the currencies left out."""
        rates, ask = self.currency.rates, self.ask
        apart = [amount.currency for amount in self.currency.apart]
        converted = (
            {"name": rates.name, "days_from_earlier": rates.days_from_earlier, "last_used": rates.last_used} if rates else {}
        )
        return {
            "currency": NATIVE if ask.by_currency else self.currency.money,
            "rates": {**converted, "without_rate": apart} if rates or apart else None,
            "range": ask.span,
            "grain": ask.grain,
            "tz": ask.zone,
            "week": ask.week,
        }


def asked(
    query: str, catalogue: Catalogue = BUILT_IN, breakdowns: Sequence[Breakdown] = (), scope: Scope = EVERYTHING
) -> tuple[Ask, tuple[str, ...]]:
    """Return the question in a URL's query (`measure=spend&measure=cpa&by=campaign&…`), and a line for each parameter not applied.

    Invalid parameters keep their defaults, and nothing beyond `scope` is asked for. `breakdowns` are those of the deployment.
    """
    url_parameters = Parameters(query)
    fields = columns(breakdowns)
    by, split_fields = url_parameters.checked("by", partial(_split, breakdowns=breakdowns), (("channel",), ()))
    ask = Ask(
        campaigns=url_parameters.names("campaign"),
        channels=url_parameters.names("channel"),
        measures=url_parameters.several("measure", catalogue.measures, _MEASURES) or ("spend",),
        by=by,
        fields=split_fields,
        span=url_parameters.checked("range", _checked_span, "1h"),
        grain=url_parameters.one("grain", GRAINS, "auto"),
        kind=url_parameters.one("kind", KINDS, "line"),
        currency=url_parameters.currency(),
        zone=url_parameters.zone(),
        week=url_parameters.week(),
        breakdown=url_parameters.one("breakdown", [each.name for each in breakdowns]) if breakdowns else "",
        filters=url_parameters.filters(fields),
    )
    ask, problem = _with_breakdown(scope.within(ask), breakdowns, scope)
    if ask.by_currency and ask.currency not in ("", NATIVE):
        problem = problem or "`currency` is not applied: split by currency, money stays as it is."
    return ask, (*url_parameters.ended(), *([problem] if problem else []))


def _split(text: str, breakdowns: Sequence[Breakdown]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return dimensions and fields in the value of `by`, such as ``campaign,device``, each once; raises `InputError` for another name."""
    names = tuple(dict.fromkeys(filter(None, text.split(","))))
    by, fields = ((), ()) if names == ("none",) else split_by(names, breakdowns)
    return tuple(name for name in SPLITS if name in by), tuple(dict.fromkeys(fields))


def _with_breakdown(ask: Ask, breakdowns: Sequence[Breakdown], scope: Scope) -> tuple[Ask, str]:
    """Return `ask` with the breakdown that it needs, if any, and why its filters and its split are not applied."""
    wanted = [*ask.filters, *map(FieldFilter, ask.fields)]
    try:
        chosen, problem = breakdown_for(breakdowns, ask.breakdown, wanted) if wanted else None, ""
    except InputError as error:
        # The filters of an embed's scope stay: without them it would show more than it may.
        ask = msgspec.structs.replace(ask, filters=scope.filters, by=ask.by or ("channel",), fields=())
        chosen = breakdown_for(breakdowns, "", scope.filters)
        problem = f"Filters and split are not applied: {error}"
    return msgspec.structs.replace(ask, breakdown="" if chosen is None else chosen.name), problem


def from_query(query: str) -> Ask:
    """Return the question in a URL's query."""
    return asked(query)[0]


def _checked_span(name: str) -> str:
    return name if name == ALL else checked_range(name)


class _Points(msgspec.Struct, frozen=True):
    """The points of what is held of a range, the seconds of one, and start and end of the rows in them."""

    grid: Grid
    grain: int
    start: int
    end: int


def _points(snapshot: Snapshot, ask: Ask, window: int) -> _Points:
    """Return the points of `ask`; a rolling range begins with its first point where that is shorter than a day."""
    calendar = Calendar(ask.zone, ask.week)
    start, end = _bounds(snapshot, ask, calendar, snapshot.newest + window)
    grain = max(GRAINS[ask.grain], window)
    # Each divides the next, and what is packed has the sums of its hours and days at hand.
    grain = max(grain, next((step for step in _STEPS if (end - start) / step <= _POINTS), _STEPS[-1]))
    if grain in _ON_CALENDAR:
        grid = Grid(tuple(calendar.edges(start, end, _ON_CALENDAR[grain])))
    else:
        first = start - start % grain
        grid = regular(first, first - (first - end) // grain * grain, grain)
    return _Points(grid, grain, grid.start if ask.span in (*RANGES, ALL) and grain < DAY else start, end)


def _incomplete(snapshot: Snapshot, points: _Points) -> list[dt.datetime]:
    """Return the points with an open window, not over yet, or without rows from their beginning.

    The point of the oldest window is incomplete too: the stream may have begun in the middle of that window.
    """
    grid, start, end = points.grid, points.start, points.end
    moments = {*snapshot.open_windows(start, end).tolist(), snapshot.oldest}
    moments |= {edge for edge in (start, end) if edge not in grid.edges}
    inside = np.array([moment for moment in moments if grid.start <= moment <= end and start < end], np.int64)
    return [dt.datetime.fromtimestamp(at, dt.UTC).replace(tzinfo=None) for at in np.unique(grid.floor(inside)).tolist()]


def _bounds(snapshot: Snapshot, ask: Ask, calendar: Calendar, newest_end: int) -> tuple[int, int]:
    """Return start and end of what is held of the range of `ask`; the end is not before the start."""
    if ask.span == ALL:
        return snapshot.oldest, newest_end
    if ask.span in RANGES:
        return max(newest_end - RANGES[ask.span][0], snapshot.oldest), newest_end
    try:
        span = ranges.resolve(ask.span, snapshot.newest, calendar)
    except InputError:  # it begins before the year 1
        return newest_end, newest_end
    start = min(max(span.start, snapshot.oldest), newest_end)
    return start, max(min(span.end, newest_end), start)


def _rows(snapshot: Snapshot, ask: Ask, money: Money, points: _Points, keys: list[str]) -> tuple[pl.DataFrame, PageCurrency]:
    """Return the rows that `ask` wants, in its currency, with the columns `keys`, of which `t` is the first instant of a point."""
    start, end = points.start, points.end
    scope = ScopeMoney(snapshot, ask, NATIVE if ask.by_currency else ask.currency, money, start=start, end=end)
    tested = conditions(snapshot, ask, scope.code if scope.table is None and not ask.by_currency else None)
    by, cuts = (*PAIRS.dimensions, *tested, *keys), ()
    if scope.table is not None:
        by, cuts = (*by, CURRENCY), tuple(Calendar(ask.zone).edges(start, end, "day"))
    rows = passing(snapshot.between(start, end, points.grid.grain, cuts, by), tested)
    rows, currency = converted_rows(rows, snapshot, scope, keys=keys, zone=ask.zone, points=points.grid)
    return rows, msgspec.structs.replace(currency, apart=[]) if ask.by_currency else currency


def _named(known: Names, numbers: pl.Series) -> pl.Series:
    """Return the names of `numbers`, `OTHERS` where they are null; another text that looks like a label is in quotes."""
    labels = (*(LABELS if known.of_values else ()), *([OTHERS] if numbers.has_nulls() else []))
    first = len(LABELS) if known.of_values else 0
    names = known.column(numbers.fill_null(0)) if len(numbers) else []
    texts = [
        OTHERS if number is None else f"“{name}”" if name in labels and number >= first else name
        for name, number in zip(names, numbers, strict=True)
    ]
    return pl.Series(texts, dtype=pl.String)


def _added(rows: pl.DataFrame, ask: Ask, dimensions: Sequence[str], added_up: Sequence[pl.Expr]) -> tuple[pl.DataFrame, str]:
    """Return `rows` added up by point of time and `dimensions`, and a note if they are too many to draw.

    Those with less than the largest are then added up too, in rows without dimensions but for the currency.
    """
    keys = [*dimensions] if ask.kind == "bar" else ["t", *dimensions]
    if not keys:
        return rows.select(added_up).head(len(rows)), ""
    if not dimensions or ask.kind not in _DRAWN_BY_NAME:
        return rows.group_by(keys).agg(added_up), ""
    size = "events" if ask.by_currency else SIZE
    totals = rows.group_by(dimensions).agg(added_up).sort(size, *dimensions, descending=[True, *[False] * len(dimensions)])
    if len(totals) <= _LINES:
        return rows.group_by(keys).agg(added_up), ""
    largest = totals.head(_LINES - 1).select(dimensions)
    drawn = rows.join(largest, on=dimensions, how="semi").group_by(keys).agg(added_up)
    kept = ["t", CURRENCY] if ask.by_currency else ["t"]
    others = rows.join(largest, on=dimensions, how="anti").group_by(kept).agg(added_up)
    by = "number of events" if ask.by_currency else "spend"
    note = f"The {_LINES - 1} largest of {len(totals):,} by {by}, and the sum of the others. “{KINDS['table']}” lists them all."
    return pl.concat([drawn, others], how="diagonal_relaxed"), note


def find(snapshot: Snapshot, ask: Ask, window: int, money: Money = USD, catalogue: Catalogue = BUILT_IN) -> ExploreFigures:
    """Return the figures that `ask` wants, with amounts as `money` says; `snapshot` is of the breakdown that `ask` names, if any.

    For lines, areas and heatmaps they are those of the largest by spend and of all others together, for bars and tables all of them.
    `window` is the length of a window in seconds; `catalogue` has the measures.
    """
    points = _points(snapshot, ask, window)
    dimensions = (*ask.by, *map(column_of, ask.fields))
    is_timed = ask.kind != "bar"
    rows, currency = _rows(snapshot, ask, money, points, ["t", *dimensions] if is_timed else [*dimensions])
    added, note = _added(rows, ask, dimensions, sums(snapshot.shape.sums, wide=snapshot.wide))
    known, taken = snapshot.names, {"time", *SPLITS, *ask.measures}
    titles = (*ask.by, *(f"f.{field}" if field in taken else field for field in ask.fields))
    named = [_named(known[column], added[column]).alias(title) for title, column in zip(titles, dimensions, strict=True)]
    marks = {
        name: mark
        for texts, column in zip(named, dimensions, strict=True)
        for name, mark in known[column].marks(texts.unique()).items()
    }
    time = [pl.from_epoch("t", time_unit="s").alias("time")] if is_timed else []
    frame = added.with_columns(named).select(*time, *titles, *(catalogue.measures[name].expr() for name in ask.measures))
    if is_timed:
        frame = frame.sort("time", *titles)
    else:
        # Amounts of different currencies have no order.
        first = [CURRENCY] * ask.by_currency
        frame = frame.sort(*first, ask.measures[0], descending=[*[False] * len(first), True], nulls_last=True)
        if len(frame) > BARS:
            note = f"The {BARS} largest of {len(frame):,} are drawn; the table lists them all."
    measures = tuple(catalogue.measures[name] for name in ask.measures)
    return ExploreFigures(ask, frame, titles, note, points.grain, _incomplete(snapshot, points), marks, measures, currency)
