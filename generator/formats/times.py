"""Columns of times: ISO 8601, day and month in either order, epoch numbers.

A column has one reading; if its lines contradict each other, the file is refused and they are named.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import Literal
from zoneinfo import ZoneInfo

from dataflows.contract.errors import InputError
from dataflows.contract.schema import to_micros
from dataflows.intake.rules import FIRST, LAST
from generator.formats.base import RowError
from generator.formats.columns import CACHED, Column, Line, Sight

Order = Literal["day-first", "month-first", "iso"]
ORDERS: tuple[Order, ...] = ("day-first", "month-first", "iso")

Kind = Literal["the year first", "the year last", "seconds", "milliseconds", "microseconds", "nanoseconds"]
ISO: Kind = "the year first"
NUMERIC: Kind = "the year last"
_UNITS: tuple[tuple[int, Kind, int], ...] = (
    (10**8, "seconds", 6),
    (10**11, "milliseconds", 3),
    (10**14, "microseconds", 0),
    (10**17, "nanoseconds", -3),
)
"""Smallest number of each unit, and its decimal places to microseconds. Each range is a factor of 100 wide: the years 1973 to 2286."""

_TEXT = re.compile(
    r"(?:(?P<year>\d{4})([-/.])(?P<month>\d{1,2})\2(?P<day>\d{1,2})|(?P<one>\d{1,2})(?P<mark>[-/.])(?P<two>\d{1,2})(?P=mark)(?P<last>\d{4}))"
    r"(?:(?:[Tt ]|, ?) *(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"(?: ?(?P<half>[AaPp])\.?[Mm]\.?)?(?: ?(?P<zone>Z|z|UTC|GMT|[+-]\d\d(?::?\d\d)?))?)?",
    re.ASCII,
)
_SHORT_YEAR = re.compile(r"\d{1,2}([-/.])\d{1,2}\1\d{2}(?!\d).*", re.ASCII | re.DOTALL)
_NUMBER = re.compile(r"(?P<whole>\d+)(?:[.,](?P<fraction>\d*))?", re.ASCII)
_COMPACT = {8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_SPACES = str.maketrans("\u00a0\u202f", "  ")
_BOUNDS = to_micros(FIRST), to_micros(LAST)


class TimeColumn:
    """A time column of one file: converts its texts to microseconds since 1970, and collects what they show about the order.

    `zone` applies to times without a zone; without it they are bad. `choice` is the user's order of day and month; `published` is the
    order in which this data set writes ambiguous dates with slashes.
    """

    def __init__(self, name: str, file: str, zone: ZoneInfo | None, choice: Order | None, published: Order | None = None) -> None:
        self.name = name
        self.file = file
        self.kinds: dict[Kind, Sight] = {}
        self.clocks: dict[str, Sight] = {}
        self.orders: dict[Order, Sight] = {}
        """First time that fits only one order, by that order."""
        self.either: dict[str, Sight] = {}
        """First time that fits both orders with different meanings, by the mark between the numbers."""
        self._zone = zone
        self._choice = choice
        self._published: Order | None = published
        self._order: Order | None = choice or published
        self._why = ""
        self._known: dict[str, int] = {}

    def micros(self, text: str, line: Line) -> int:
        """Return microseconds since 1970 of `text`; raises `RowError` if it is not a time, or not by the reading of the column."""
        known = self._known.get(text)
        if known is None:
            known = self._read(text, line)
            if len(self._known) >= CACHED:
                self._known.clear()
            self._known[text] = known
        return known

    def _read(self, text: str, line: Line) -> int:
        if text[4:5] == "-" and text[10:11] in ("", " ", "T", "t") and text[-1:] not in "mM.":
            try:
                moment = dt.datetime.fromisoformat(text)
            except ValueError:
                pass
            else:
                self._saw(ISO, "24-hour clock" if len(text) > 10 else "", text, line)
                return self._in_zone(moment, text)
        if match := _TEXT.fullmatch(text.translate(_SPACES)):
            return self._in_zone(self._matched(match, text, line), text)
        if match := _NUMBER.fullmatch(text):
            return self._numeral(match["whole"], match["fraction"] or "", text, line)
        if _SHORT_YEAR.fullmatch(text):
            raise RowError(f"{self.name} has a year of two digits", text)
        if text[8:9] == "T" and text[:8].isdecimal():
            try:
                moment = dt.datetime.fromisoformat(text)
            except ValueError:
                raise self._no_time(text) from None
            self._saw(ISO, "24-hour clock", text, line)
            return self._in_zone(moment, text)
        raise self._no_time(text)

    def _not_chosen(self, text: str) -> RowError:
        return RowError(f"{self.name} is not a time by --dates {self._choice}", text)

    def _no_time(self, text: str) -> RowError:
        return RowError(f"{self.name} is not a time", text)

    def _saw(self, kind: Kind, clock: str, text: str, line: Line) -> None:
        if kind not in self.kinds:
            self.kinds[kind] = Sight(self.file, line, text)
        if clock and clock not in self.clocks:
            self.clocks[clock] = Sight(self.file, line, text)

    def _matched(self, match: re.Match[str], text: str, line: Line) -> dt.datetime:
        """Return the moment of a date with or without a time of day; record which orders of day and month it fits."""
        clock = _clock(match)
        if clock is None:
            raise self._no_time(text)
        style = "12-hour clock" if match["half"] else "24-hour clock" if match["hour"] else ""
        if match["year"]:
            date = _date(match["year"], match["month"], match["day"])
            if date is None:
                raise self._no_time(text)
            self._saw(ISO, style, text, line)
        else:
            date = self._ordered(match, text, line)
            self._saw(NUMERIC, style, text, line)
        try:
            return dt.datetime.combine(date, clock, _offset(match["zone"]))
        except ValueError:  # an offset of a day or more
            raise self._no_time(text) from None

    def _ordered(self, match: re.Match[str], text: str, line: Line) -> dt.date:
        first, second, year = match["one"], match["two"], match["last"]
        day_first, month_first = _date(year, second, first), _date(year, first, second)
        if day_first is None and month_first is None:
            raise self._no_time(text)
        sight = Sight(self.file, line, text)
        if month_first is None:
            self.orders.setdefault("day-first", sight)
        elif day_first is None:
            self.orders.setdefault("month-first", sight)
        elif day_first != month_first:
            self.either.setdefault(match["mark"], sight)
        date = day_first if self._order == "day-first" else month_first if self._order == "month-first" else None
        if date is None and self._choice is not None:
            raise self._not_chosen(text)
        # Before the order is decided any date will do: the files are read again, or refused.
        return date or day_first or month_first or dt.date.min

    def _numeral(self, whole: str, fraction: str, text: str, line: Line) -> int:
        """Return the moment of a number: a date without separators, or an epoch time in the unit that its size shows."""
        moment = _compact(whole) if whole == text else None
        if moment is not None and len(whole) in (8, 14):
            self._saw(ISO, "", text, line)
            return self._in_zone(moment, text)
        if moment is not None:
            raise RowError(
                f"{self.name} is a number that may be a date or an epoch time; write dates with separators, such as 2010-12-01",
                text,
            )
        if len(whole) <= 7:
            raise RowError(f"{self.name} is a number of days, as Excel counts them; format the column as a date", text)
        if self._choice == "iso":
            raise self._not_chosen(text)
        # With a leading zero it begins with a day or month, and is not an epoch time.
        number = int(whole) if len(whole) <= 19 and whole[0] != "0" else 0
        for least, unit, places in _UNITS:
            if least <= number < 100 * least:
                self._saw(unit, "", text, line)
                micros = int(whole + fraction[:places].ljust(places, "0")) if places >= 0 else number // 10**-places
                return self._bounded(micros, text)
        raise self._no_time(text)

    def _in_zone(self, moment: dt.datetime, text: str) -> int:
        try:
            if moment.tzinfo is None:
                if self._zone is None:
                    raise RowError(f"{self.name} has no zone; give one with --timezone", text)
                # fold=0: a repeated hour is the first one, a skipped hour counts with the offset before the change.
                moment = moment.replace(tzinfo=self._zone)
            return self._bounded(to_micros(moment), text)
        except OverflowError:
            raise self._beyond(text) from None

    def _bounded(self, micros: int, text: str) -> int:
        if not _BOUNDS[0] <= micros <= _BOUNDS[1]:
            raise self._beyond(text)
        return micros

    def _beyond(self, text: str) -> RowError:
        return RowError(f"{self.name} lies before {FIRST:%d %B} of the year 1, or after {LAST:%d %B} of the year 9999", text)

    def settle(self, others: Sequence[Column], /) -> bool:
        """Decide on the order of day and month by this file, else by the other files, else as the data set is published.

        Returns whether it differs from the one used so far; raises `InputError` if the lines contradict each other or do not decide.
        """
        self._one_of([*self.kinds.items()])
        self._one_of([*self.clocks.items()])
        if NUMERIC not in self.kinds or self._choice is not None:
            return False
        order, self._why = self._decided([other for other in others if isinstance(other, TimeColumn)])
        changed = order != self._order
        if changed:
            self._known.clear()
        self._order = order
        return changed

    def _one_of(self, seen: Sequence[tuple[str, Sight]]) -> None:
        if len(seen) > 1:
            ways = ", and ".join(f"with {way} in line {sight.line[0]} ({sight.text[:40]})" for way, sight in seen[:2])
            raise InputError(
                f"{self.file}: {self.name} is written in two ways, {ways}; a column is read in one way, so correct one of them."
            )

    def _decided(self, columns: Sequence[TimeColumn]) -> tuple[Order | None, str]:
        own = self._agreed([self])
        if own is not None:
            return own, f"as {self.orders[own]} decides"
        if not self.either:
            return self._order or "month-first", "where day and month are equal in each line"
        order = self._agreed(columns)
        if order is not None:
            sight = next(column.orders[order] for column in columns if order in column.orders)
            return order, f"as {sight} decides"
        marks = set(self.either)
        if marks == {"."}:
            return (
                "day-first",
                "for each line fits both orders, and dates with dots have the day first; --dates month-first reads them so",
            )
        if marks == {"/"} and self._published is not None:
            other = "day-first" if self._published == "month-first" else "month-first"
            return self._published, f"as the data set is published, for each line fits both orders; --dates {other} reads it so"
        sight = next(iter(self.either.values()))
        raise InputError(
            f"{self.file}: {self.name} fits day-first and month-first, as in line {sight.line[0]} ({sight.text[:40]}); "
            "choose one with --dates day-first or --dates month-first."
        )

    def _agreed(self, columns: Sequence[TimeColumn]) -> Order | None:
        """Return the order that all `columns` show; None if they show none; raises `InputError` if they contradict each other."""
        orders: dict[Order, Sight] = {}
        for column in columns:
            orders = column.orders | orders
        if len(orders) > 1:
            raise InputError(
                f"{self.file}: {self.name} can only be day-first by {orders['day-first']} and only month-first by "
                f"{orders['month-first']}; choose the valid ones with --dates, or replay the files one by one."
            )
        return next(iter(orders), None)

    def note(self) -> str:
        """Return how the column is read and why; empty if only one reading is possible."""
        for kind, sight in self.kinds.items():
            if kind not in (ISO, NUMERIC):
                return f"{self.name} is read as {kind} since 1970, as {sight} shows"
        if NUMERIC not in self.kinds:
            return ""
        return f"{self.name} is read {self._order}, {self._why or 'as --dates says'}"


def _compact(digits: str) -> dt.datetime | None:
    """Return the moment of a date without separators (20101201, 20101201082600; years 1900 to 2100); None if it is not one."""
    if len(digits) not in _COMPACT or not 1900 <= int(digits[:4]) <= 2100:
        return None
    try:
        return dt.datetime.strptime(digits, _COMPACT[len(digits)])
    except ValueError:
        return None


def _date(year: str, month: str, day: str) -> dt.date | None:
    try:
        return dt.date(int(year), int(month), int(day))
    except ValueError:
        return None


def _clock(match: re.Match[str]) -> dt.time | None:
    if match["hour"] is None:
        return dt.time()
    hour = int(match["hour"])
    if match["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (match["half"] in "Pp")
    try:
        return dt.time(hour, int(match["minute"]), int(match["second"] or 0), int((match["fraction"] or "0")[:6].ljust(6, "0")))
    except ValueError:
        return None


def _offset(text: str | None) -> dt.tzinfo | None:
    """Return the zone that is given in the time itself; raises `ValueError` for an offset of a day or more."""
    if text is None:
        return None
    if text in ("Z", "z", "UTC", "GMT"):
        return dt.UTC
    digits = text[1:].replace(":", "").ljust(4, "0")
    delta = dt.timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return dt.timezone(-delta if text[0] == "-" else delta)
