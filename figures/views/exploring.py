"""What the Explore page asks of the store: any measures, by any dimension, at any grain of time. Nothing here draws."""

from __future__ import annotations

import datetime as dt

import msgspec
import polars as pl

from figures.calendar.calendar import Calendar
from figures.calendar.zones import UTC
from figures.catalogue import BUILT_IN, Catalogue
from figures.measures import SIZE, ShownMeasure, sums
from figures.rates.conversion import CURRENCY
from figures.store.snapshot import Snapshot
from figures.store.spelling import SpellingMark
from figures.views.keys import PAIRS
from figures.views.money import USD, Money, PageCurrency, ScopeMoney, converted_rows
from figures.views.parameters import Parameters
from figures.views.sums import conditions
from figures.views.view import RANGES, Filtered

SPANS: dict[str, int] = {**{name: seconds for name, (seconds, _) in RANGES.items()}, "all": 0}
GRAINS: dict[str, int] = {"auto": 0, "1m": 60, "5m": 300, "15m": 900, "1h": 3600}
DIMENSIONS = {"none": "Everything together", "channel": "Channel", "campaign": "Campaign", "both": "Campaign and channel"}
KINDS = {"line": "Lines", "area": "Stacked area", "bar": "Bars of totals", "heatmap": "Heatmap", "table": "Table only"}
_LINES = 12
BARS = 25
"""Largest number of bars that are drawn."""
_POINTS = 240
_STEPS = (60, 300, 900, 3600, 10_800, 21_600, 86_400)
_MEASURES = 4


class Ask(Filtered, frozen=True):
    """What a page asks for; every field is in the URL."""

    measures: tuple[str, ...] = ("spend",)
    by: str = "channel"
    span: str = "1h"
    grain: str = "auto"
    kind: str = "line"
    currency: str = ""
    """Code of the currency that money is converted to, or `parameters.NATIVE`; empty for the reporting currency."""
    zone: str = UTC
    """The time zone whose days exchange rates are of."""


class ExploreFigures(msgspec.Struct, frozen=True):
    """`frame` has `time` (UTC, absent for totals), the dimensions, and a column for each measure.

    Points at the times `incomplete` (UTC) are provisional, or not held from their beginning.
    """

    ask: Ask
    frame: pl.DataFrame
    dimensions: tuple[str, ...]
    note: str
    grain: int
    """Seconds of a point."""
    incomplete: list[dt.datetime]
    marks: dict[str, SpellingMark]
    """How names that look like another one differ from it, by name."""
    measures: tuple[ShownMeasure, ...]
    """Those of `ask`, in their order."""
    currency: PageCurrency


def asked(query: str, catalogue: Catalogue = BUILT_IN) -> tuple[Ask, tuple[str, ...]]:
    """Return the question in a URL's query (`measure=spend&measure=cpa&by=campaign&…`), and a line for each parameter not applied.

    Invalid parameters keep their defaults.
    """
    url_parameters = Parameters(query)
    ask = Ask(
        campaigns=url_parameters.names("campaign"),
        channels=url_parameters.names("channel"),
        measures=url_parameters.several("measure", catalogue.measures, _MEASURES) or ("spend",),
        by=url_parameters.one("by", DIMENSIONS, "channel"),
        span=url_parameters.one("range", SPANS, "1h"),
        grain=url_parameters.one("grain", GRAINS, "auto"),
        kind=url_parameters.one("kind", KINDS, "line"),
        currency=url_parameters.currency(),
        zone=url_parameters.zone(),
    )
    return ask, url_parameters.ended()


def from_query(query: str) -> Ask:
    """Return the question in a URL's query."""
    return asked(query)[0]


def _incomplete(snapshot: Snapshot, start: int, end: int, grain: int) -> list[dt.datetime]:
    """Return the points of `grain` seconds from `start` to `end` with an open window, not over yet, or not held from their beginning.

    The point of the oldest window is incomplete too: the stream may have begun in the middle of that window.
    """
    points = {int(at) // grain * grain for at in snapshot.open_windows(start, end)} | {snapshot.oldest // grain * grain}
    if end % grain:
        points.add(end // grain * grain)
    return [dt.datetime.fromtimestamp(at, dt.UTC).replace(tzinfo=None) for at in sorted(points)]


def _rows(
    snapshot: Snapshot, ask: Ask, money: Money, part: tuple[int, int, int], keys: list[str]
) -> tuple[pl.DataFrame, PageCurrency]:
    """Return the rows that `ask` wants, in its currency, with the columns `keys`; `part` is a start, an end and a grain in seconds."""
    start, end, grain = part
    scope = ScopeMoney(snapshot, ask, ask.currency, money, start=start, end=end)
    tested = conditions(snapshot, ask, scope.code if scope.table is None else None)
    by, cuts = (*PAIRS.dimensions, *tested), ()
    if scope.table is not None:
        by, cuts = (*by, CURRENCY), tuple(Calendar(ask.zone).edges(start, end, "day"))
    rows = snapshot.between(start, end, grain, cuts, by).filter(*tested.values())
    return converted_rows(rows, snapshot, scope, keys=keys, zone=ask.zone, grain=grain)


def find(snapshot: Snapshot, ask: Ask, window: int, money: Money = USD, catalogue: Catalogue = BUILT_IN) -> ExploreFigures:
    """Return the figures that `ask` wants, with amounts as `money` says.

    For lines and areas they are those of the largest dozen by spend, for bars and tables all of them.
    `window` is the length of a window in seconds; `catalogue` has the measures.
    """
    end = snapshot.newest + window
    start = snapshot.oldest if ask.span == "all" else max(end - SPANS[ask.span], snapshot.oldest)
    grain = max(GRAINS[ask.grain], window)
    # Each divides the next, and what is packed has the sums of its hours and days at hand.
    grain = max(grain, next((step for step in _STEPS if (end - start) / step <= _POINTS), _STEPS[-1]))
    start -= start % grain
    incomplete = _incomplete(snapshot, start, end, grain)
    dimensions = {"none": (), "channel": ("channel",), "campaign": ("campaign",), "both": ("campaign", "channel")}[ask.by]
    keys: list[str] = [*dimensions] if ask.kind == "bar" else ["t", *dimensions]
    rows, currency = _rows(snapshot, ask, money, (start, end, grain), keys)
    added_up = sums(snapshot.shape.sums, wide=snapshot.wide)
    note = ""
    drawn_by_name = ask.kind in ("line", "area", "heatmap")
    if dimensions and drawn_by_name:
        totals = rows.group_by(dimensions).agg(added_up).sort(SIZE, *dimensions, descending=[True, *[False] * len(dimensions)])
        if len(totals) > _LINES:
            note = f"The {_LINES} largest of {len(totals):,} by spend. “{KINDS['table']}” lists them all."
            rows = rows.join(totals.head(_LINES).select(dimensions), on=dimensions, how="semi")
    added = rows.group_by(keys).agg(added_up) if keys else rows.select(added_up).head(len(rows))
    known = snapshot.names
    named = [pl.Series(name, known[name].column(added[name]), dtype=pl.String) for name in dimensions]
    marks = {name: mark for column in named for name, mark in known[column.name].marks(column.unique()).items()}
    time = [] if ask.kind == "bar" else [pl.from_epoch("t", time_unit="s").alias("time")]
    order = [] if ask.kind == "bar" else ["time"]
    frame = added.with_columns(named).select(*time, *dimensions, *(catalogue.measures[name].expr() for name in ask.measures))
    frame = (
        frame.sort(ask.measures[0], descending=True, nulls_last=True) if ask.kind == "bar" else frame.sort(*order, *dimensions)
    )
    if ask.kind == "bar" and len(frame) > BARS:
        note = f"The {BARS} largest of {len(frame):,} are drawn; the table lists them all."
    measures = tuple(catalogue.measures[name] for name in ask.measures)
    return ExploreFigures(ask, frame, dimensions, note, grain, incomplete, marks, measures, currency)
