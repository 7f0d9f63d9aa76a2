"""The table of a breakdown: its values by a measure, how much of it is in "(other)", and what that means for filtered figures.

There may be a hundred thousand values, so only those that are shown get names and all their figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from dataflows.contract.breakdowns import Breakdown, Value
from dataflows.contract.metrics import SUMS
from figures.catalogue import Catalogue
from figures.measures import Floats, Keyed, Keys, ShownMeasure, Sums, compared, places, united
from figures.store.names import NOT_SET_NUMBER, OTHER_NUMBER
from figures.store.shape import column_of
from figures.store.snapshot import Snapshot
from figures.views.keys import KeyCode, code_of
from figures.views.money import PageMoney
from figures.views.rankings import SPARE_TRENDS, Numbers, placed, short, trends
from figures.views.span import TimeSpan
from figures.views.sums import PeriodSums
from figures.views.view import ALL_ROWS, PAGE_ROWS, View

Kind = Literal["text", "null", "other"]

_KINDS: Mapping[int, Kind] = {NOT_SET_NUMBER: "null", OTHER_NUMBER: "other"}
_EVENTS = SUMS.index("events")


class ValueRow(msgspec.Struct, frozen=True):
    """One combination of values (a text, null or true for each field) and their kinds; the rest is as in `rankings.RankedRow`."""

    values: list[Value]
    kinds: list[Kind]
    figures: Numbers
    share: float
    change: float | None
    difference: float | None
    trend: Numbers


class FieldsOf(msgspec.Struct, frozen=True):
    """A breakdown that can be chosen, and its fields."""

    name: str
    fields: tuple[str, ...]


class BreakdownTable(msgspec.Struct, frozen=True):
    """The table of the breakdown `name`, of which the values of `fields` are listed; `names` has all that can be chosen.

    Of `total` rows under the filters the search finds `total_rows`.
    """

    name: str
    names: list[FieldsOf]
    fields: tuple[str, ...]
    columns: tuple[str, ...]
    rows: list[ValueRow]
    total_rows: int
    total: int
    sort: str
    descending: bool
    search: str
    all_rows: bool
    coverage: float | None
    """Share of the chosen measure (of spend if it does not add up, of events if that is 0) that is not in "(other)".

    Filters on values are not applied to it: what they let pass may be in "(other)" too. None without any event.
    """
    other: float | None
    """Share of the same in "(other)"; None if there is none."""
    other_figures: Numbers
    """The figures of "(other)" by `columns`, without filters on values; empty if there is none."""
    oldest: int
    """Start of the oldest window of the breakdown that is held (seconds since 1970), 0 without one."""
    state: str
    """What the reader of the breakdown's topic does (`feed.reporter.FeedState`): ``live`` once everything has been read."""


class BreakdownSource(msgspec.Struct, frozen=True):
    """The breakdown of a page: what it is, what is held of it, the state of its feed, and all breakdowns that can be chosen."""

    breakdown: Breakdown
    snapshot: Snapshot
    state: str
    declared: tuple[Breakdown, ...]


def table(
    source: BreakdownSource,
    view: View,
    span: TimeSpan,
    money: PageMoney,
    catalogue: Catalogue,
    *,
    incomplete: npt.NDArray[np.bool_],
) -> BreakdownTable:
    """Return the values of the breakdown over `span`, by the measures of `catalogue`.

    `incomplete` is the mask of the points of `span` that trends leave out. If all fields together have too many names, the values of the
    first field are listed.
    """
    snapshot, measure = source.snapshot, catalogue.measures[view.metric]
    by = view.values_sort or view.metric
    columns = catalogue.columns(view.metric, by)
    fields = (view.split,) if view.split else source.breakdown.fields
    code = code_of(snapshot, [column_of(field) for field in fields])
    if code is None:
        fields = fields[:1]
        code = KeyCode((column_of(fields[0]),), (32,))
    sums = money.sums(snapshot, code)
    settled, before = sums.compared(), sums.before().pairs
    values = _Values(snapshot, code, settled, sums.left_out())
    found = values.matching(view.values_search)
    limit = ALL_ROWS if view.all_values else PAGE_ROWS
    ranked = values.ranked(found, catalogue.measures.get(by), descending=view.values_descending)
    shown, spare = ranked[:limit], ranked[limit:SPARE_TRENDS]
    unknown = incomplete | (span.points.instants[:-1] < snapshot.oldest)
    keyed = sums.trends(code, values.keys[shown], values.keys[spare])
    lines = trends(len(shown), keyed, measure=measure, span=span, unknown=unknown)
    other = _other(source, values, view, money)
    coverage = _coverage(other, measure, catalogue)
    return BreakdownTable(
        name=source.breakdown.name,
        names=[FieldsOf(each.name, each.fields) for each in source.declared],
        fields=fields,
        columns=tuple(each.id for each in columns),
        rows=values.rows(shown, measure, columns, settled.pairs, before if span.compared else None, trends=lines),
        total_rows=len(found),
        total=len(values),
        sort=by,
        descending=view.values_descending,
        search=view.values_search,
        all_rows=view.all_values,
        coverage=coverage,
        other=None if coverage is None or other[0] is None else round(1 - coverage, 6),
        other_figures=[] if other[0] is None else short(np.array([float(each.of(other[0])) for each in columns])),
        oldest=snapshot.oldest,
        state=source.state,
    )


class _Values:
    """The values of a breakdown's fields over a range: ascending keys, and the sums of each over all `parts` of the range.

    Of a hundred thousand values only those that are shown need all their sums, so columns are added up as they are needed.
    """

    def __init__(self, snapshot: Snapshot, code: KeyCode, *parts: PeriodSums) -> None:
        self._names = [snapshot.names[dimension] for dimension in code.dimensions]
        self._code, self._parts = code, [part.pairs for part in parts]
        self._totals = [part.total for part in parts if part.total is not None]
        self._columns: dict[int, Sums] = {}
        self.keys = united(*(keys for keys, _ in self._parts))
        self._places = [places(keys, self.keys) for keys, _ in self._parts]

    def __len__(self) -> int:
        return len(self.keys)

    def total(self) -> Sums | None:
        """Return the sum of all; None without any."""
        return sum(self._totals[1:], start=self._totals[0]) if self._totals else None

    def other(self) -> Sums | None:
        """Return the sum of "(other)", in which every field is true; None if there is none."""
        is_other = self._code.decode(self.keys)[0] == OTHER_NUMBER
        return self.sums(self.keys[is_other]).sum(axis=0) if is_other.any() else None

    def sums(self, keys: Keys) -> Sums:
        """Return all sums of each of `keys`."""
        first, *others = [placed(*part, keys)[1] for part in self._parts]
        return sum(others, start=first)

    def figures(self, measure: ShownMeasure) -> Floats:
        """Return the figure of each key in `measure`."""
        needed = sorted({measure.columns.index(name) for name, _ in (*measure.numerator, *measure.denominator)})
        rows = np.column_stack([self._column(at) for at in needed])
        return msgspec.structs.replace(measure, columns=tuple(measure.columns[at] for at in needed)).of(rows)

    def _column(self, at: int) -> Sums:
        """Return one of the sums for each key."""
        column = self._columns.get(at)
        if column is None:
            column = self._columns[at] = np.zeros(len(self.keys), np.result_type(*(rows for _, rows in self._parts)))
            for at_keys, (_, rows) in zip(self._places, self._parts, strict=True):
                column[at_keys] += rows[:, at]
        return column

    def matching(self, search: str) -> Keys:
        """Return the indices of the keys of which a value is found by the search."""
        if not search:
            return np.arange(len(self))
        found = np.zeros(len(self), bool)
        for known, numbers in zip(self._names, self._code.decode(self.keys), strict=True):
            found |= known.matching(search)[numbers]
        return np.flatnonzero(found)

    def ranked(self, found: Keys, measure: ShownMeasure | None, *, descending: bool) -> Keys:
        """Return the indices `found` by a measure, by name if it is None, at least as many as can be shown.

        Those without a figure come last.
        """
        if measure is None:
            numbers = self._code.decode(self.keys[found])
            names = self._code.pack([known.ranks()[each] for known, each in zip(self._names, numbers, strict=True)])
            ranks = -names if descending else names
        else:
            values = self.figures(measure)[found]
            ranks = np.where(np.isnan(values), np.inf, -values if descending else values)
        last = np.partition(ranks, ALL_ROWS)[ALL_ROWS] if len(ranks) > ALL_ROWS else ranks.max(initial=0)
        candidates = np.flatnonzero(ranks <= last)
        return found[candidates[np.argsort(ranks[candidates], kind="stable")]]

    def rows(
        self,
        shown: Keys,
        measure: ShownMeasure,
        columns: Sequence[ShownMeasure],
        settled: Keyed,
        before: Keyed | None,
        *,
        trends: list[Numbers],
    ) -> list[ValueRow]:
        """Return the rows at the indices `shown`, with figures of `columns`; the change is missing without the sums `before`."""
        wanted = self.keys[shown]
        was = np.full(len(wanted), np.nan) if before is None else measure.of(placed(*before, wanted)[1])
        change, difference = map(short, compared(measure.of(placed(*settled, wanted)[1]), was))
        total = self.sums(wanted)
        figures = np.column_stack([each.of(total) for each in columns])
        largest = float(np.nanmax(self.figures(measure), initial=0.0)) if len(self) else 0.0
        sizes = np.maximum(np.nan_to_num(measure.of(total)), 0.0)
        shares = (sizes / largest if largest > 0 else np.zeros(len(shown))).round(4).tolist()
        numbers = [column.tolist() for column in self._code.decode(wanted)]
        names = zip(*(known.values(column) for known, column in zip(self._names, numbers, strict=True)), strict=True)
        cells = zip(names, zip(*numbers, strict=True), figures, shares, change, difference, trends, strict=True)
        return [
            ValueRow(list(values), [_KINDS.get(number, "text") for number in kinds], short(row), *more)
            for values, kinds, row, *more in cells
        ]


def _other(source: BreakdownSource, values: _Values, view: View, money: PageMoney) -> tuple[Sums | None, Sums | None]:
    """Return the sums of "(other)" and of everything, without filters on values; None where there are no events."""
    if view.filters:
        everything = msgspec.structs.replace(view, filters=())
        code = KeyCode((column_of(source.breakdown.fields[0]),), (32,))
        sums = money.sums(source.snapshot, code, everything)
        values = _Values(source.snapshot, code, sums.compared(), sums.left_out())
    return values.other(), values.total()


def _coverage(sums: tuple[Sums | None, Sums | None], measure: ShownMeasure, catalogue: Catalogue) -> float | None:
    other, everything = sums
    if everything is None:
        return None
    if other is None:
        return 1.0
    ranked = catalogue.measures[measure.rank]
    whole, part = (float(ranked.of(each)) for each in (everything, other))
    if not whole > 0:
        whole, part = float(everything[_EVENTS]), float(other[_EVENTS])
    return round(min(max(1 - part / whole, 0.0), 1.0), 6)
