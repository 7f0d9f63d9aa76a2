"""Reports of the ad platforms as events: for each row as many impressions, clicks and conversions as it counts, and its money.

The events of a row are spread evenly over its hour or day. Its spend is on its clicks, without any on its impressions, without any on
a `cost` event; in equal parts, which sum up to the row's amount to the micro.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo

from dataflows.contract.errors import InputError
from dataflows.contract.schema import to_micros
from dataflows.intake.rules import LAST
from generator.formats.base import CSV_SUFFIXES, BadRows, Context, RowError, identity, members
from generator.formats.columns import Column, Line, Sight
from generator.formats.dimensions import NEEDED, Dimensions
from generator.formats.inputs import Input
from generator.formats.layouts import DIMENSIONS, LAYOUTS, Layout
from generator.formats.numbers import NumberColumns, micros
from generator.formats.tables import CsvTable
from generator.formats.times import TimeColumn
from generator.ordering import SortedRow

_HOUR = 3_600_000_000
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_NONE = ("", "-", "--")
"""Texts that platforms write where there is no number."""


_MOST = 10_000_000
"""Events of a row: a row that counts more is bad, for it may be a column that was misread."""


class AdReport:
    """The format ``ad-report``."""

    suffixes = CSV_SUFFIXES

    def read(self, file: Input, context: Context) -> _Report:
        """Raise `InputError` where the file is not a report of a known platform."""
        return _Report(file, context)


class _Rounding:
    """Conversions that are fractions, as platforms count them: each row is rounded to whole events, and the first one is kept."""

    def __init__(self) -> None:
        self._first: Sight | None = None

    def saw(self, sight: Sight) -> None:
        """Remember a row that was rounded, if it is the first."""
        self._first = self._first or sight

    def settle(self, _others: Sequence[Column], /) -> bool:
        """Return that nothing is to be decided."""
        return False

    def note(self) -> str:
        """Return where conversions were rounded first; empty if they are whole."""
        return f"conversions are rounded to whole events in each row, as in {self._first}" if self._first else ""


class _Report:
    """One file of rows by hour or day."""

    def __init__(self, file: Input, context: Context) -> None:
        self._file = file
        header = CsvTable(file, ("impressions",), context.encoding)
        self._layout = layout = _layout(header, file.name)

        def column(*names: str) -> str:
            """Return the first of `names` that the file has, else the first: as an optional column it is empty."""
            return next((each for each in names if header.has(each)), names[0])

        named = {"campaign_id": layout.campaign, "channel": layout.channel} | DIMENSIONS
        own = {field: column(*names) for field, names in named.items() if any(header.has(each) for each in names)}
        self._constant = {field: f'"{layout.name}"' for field in ("campaign_id", "channel") if field not in own}
        self._dimensions = Dimensions(own, context)
        self._unit = Decimal("0.000001") if layout.spend_micros else Decimal(1)
        self._numbered = (
            column(*layout.impressions),
            column(*layout.clicks),
            column(*(layout.spend_micros or layout.spend)),
            column(*layout.conversions),
            column(*(layout.value or ("revenue",))),
        )
        time = column(*layout.time)
        self._table = CsvTable(file, (time, *self._dimensions.columns), context.encoding, self._numbered)
        self._zone: dt.tzinfo = context.zone or dt.UTC
        self._time = TimeColumn(time, file.name, context.zone or ZoneInfo("UTC"), context.dates)
        self._numbers = NumberColumns(file.name, context.decimal)
        self._rounding = _Rounding()
        self.columns = (self._time, self._numbers, self._rounding)

    def rows(self, complaints: BadRows) -> Iterator[SortedRow]:
        """Return the events of each row."""
        return self._table.events(complaints, self._events)

    def _events(self, values: list[str], lines: Line) -> Iterator[SortedRow]:
        # Times and numbers first: a row that is bad for another reason still helps to decide how the columns are read.
        start = self._time.micros(values[0], lines)
        split = len(values) - len(self._numbered)
        numbers = [self._number(column, text, lines) for column, text in zip(self._numbered, values[split:], strict=True)]
        impressions, clicks = (_count(column, number) for column, number in zip(self._numbered[:2], numbers[:2], strict=True))
        conversions = self._conversions(numbers[3], lines)
        if impressions + clicks + conversions > _MOST:
            raise RowError(f"more than {_MOST:,} events in a row", impressions + clicks + conversions)
        spend = micros(self._numbered[2], numbers[2], self._unit)
        value = micros(self._numbered[4], numbers[4])
        charged = "click" if clicks else "impression" if impressions else "cost"
        counts = {"impression": impressions, "click": clicks, self._layout.converted: conversions}
        amounts = {charged: ("cost_micros", spend)}
        if conversions:
            amounts[self._layout.converted] = ("revenue_micros", value)
        fields = self._constant | self._dimensions.fields(values[1:split])
        text = members({field: fields[field] for field in NEEDED} | fields)[:-1]
        row = _Row(start, self._end(start, values[0]) - start, identity(self._layout.name, *values), text)
        for kind, count in counts.items():
            yield from row.events(kind, count, *amounts.get(kind, ("", 0)))
        if charged == "cost" and spend:
            yield from row.events("cost", 1, "cost_micros", spend)
        if value and not conversions:
            yield from row.events("cost", 1, "revenue_micros", value)

    def _number(self, column: str, text: str, lines: Line) -> Decimal:
        return Decimal() if text in _NONE else self._numbers.number(column, text, lines)

    def _conversions(self, number: Decimal, lines: Line) -> int:
        whole = number.to_integral_value(ROUND_HALF_EVEN)
        if whole != number:
            self._rounding.saw(Sight(self._file.name, lines, str(number)))
        return _count(self._numbered[3], whole)

    def _end(self, start: int, text: str) -> int:
        """Return the end of the hour, or of the day in the zone of the report, which may have 23 or 25 hours."""
        if self._layout.hourly:
            end = start + _HOUR
        else:
            local = (_EPOCH + dt.timedelta(microseconds=start)).astimezone(self._zone).replace(tzinfo=None)
            end = to_micros((local + dt.timedelta(days=1)).replace(tzinfo=self._zone))
        if end > to_micros(LAST):
            raise RowError(f"{self._time.name} lies after {LAST:%d %B} of the year 9999", text)
        return end


class _Row(NamedTuple):
    """What the events of a row share: its time and how long it is (microseconds), an identity, and their text up to the amount."""

    start: int
    span: int
    identity: str
    text: str

    def events(self, kind: str, count: int, field: str, amount: int) -> Iterator[SortedRow]:
        """Yield `count` events, evenly over the time of the row; `field` of each is its part of `amount`, in micros."""
        head = f'","event_type":"{kind}","timestamp":"'
        part, rest = divmod(amount, count) if count else (0, 0)
        for index in range(count):
            own = part + (index < rest)
            tail = f'{self.text},"{field}":{own}}}' if own else f"{self.text}}}"
            yield SortedRow(self.start + self.span * index // count, f"{self.identity}.{kind}{field[:1]}{index}", head, tail)


def _layout(header: CsvTable, file: str) -> Layout:
    for layout in LAYOUTS:
        if all(map(header.has, layout.marks)) and any(map(header.has, layout.time)):
            return layout
    known = ", ".join(f"{' and '.join(layout.marks)} with {' or '.join(layout.time)} ({layout.name})" for layout in LAYOUTS)
    raise InputError(f"{file}: not a report of a known platform; besides impressions it needs the columns {known}.")


def _count(column: str, number: Decimal) -> int:
    if number < 0 or number != number.to_integral_value():
        raise RowError(f"{column} is not a whole number of 0 or more", str(number))
    return int(number)
