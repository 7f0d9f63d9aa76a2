"""Ranges of whole days by name, and the periods that they are compared with.

A range is named relative to `now`, the newest moment of the data. `last7d` and `last30d` are the whole days before today, as in the ad
platforms' own reports; `today` and `mtd` run until the end of the day, and are `running` until then.
"""

from __future__ import annotations

import datetime as dt
import re

import msgspec

from dataflows.contract.errors import InputError
from figures.calendar.calendar import DAY, Calendar

RANGES: dict[str, str] = {
    "today": "Today",
    "yesterday": "Yesterday",
    "last7d": "Last 7 days",
    "last30d": "Last 30 days",
    "mtd": "Month to date",
    "last_month": "Last month",
}
"""Labels of the ranges that have a name; any others are `from..to`, two dates of which both are included."""

COMPARISONS = ("before", "elapsed", "7d", "364d", "none")
"""What a range is compared with: the period before it, the same elapsed part of that, the days 7 or 364 earlier, or nothing."""

_DAYS = {"yesterday": 1, "last7d": 7, "last30d": 30}
"""Days of the ranges that end with yesterday."""

DAYS_BACK = {"7d": 7, "364d": 364}
"""Number of days between a range and what it is compared with, by the name of the comparison."""

_CUSTOM = re.compile(r"(\d{4}-\d\d-\d\d)\.\.(\d{4}-\d\d-\d\d)", re.ASCII)
_ONE_DAY = dt.timedelta(days=1)


class Span(msgspec.Struct, frozen=True):
    """Days from `first` to `last`, both included: from the instant `start` to `end`, in seconds since 1970.

    A `running` span contains `now`, so that its end is not reached yet. `monthly` spans are compared with the month before.
    """

    start: int
    end: int
    running: bool
    first: dt.date
    last: dt.date
    monthly: bool = False


def is_custom(name: str) -> bool:
    """Return whether `name` has the form of `from..to`."""
    return _CUSTOM.fullmatch(name) is not None


def resolve(name: str, now: int, calendar: Calendar) -> Span:
    """Return the days of the range `name`, one of `RANGES` or `from..to`, as seen at `now` (seconds since 1970).

    Raises `InputError` for another name, for a date that does not exist, and where the first day is later than the last.
    """
    if name not in RANGES:
        return _span(*custom(name), now, calendar)
    today = calendar.date(now)
    try:
        first, last = _named(name, today)
    except OverflowError:
        raise InputError("`range` begins before the year 1.") from None
    return _span(first, last, now, calendar, monthly=name in ("mtd", "last_month"))


def _named(name: str, today: dt.date) -> tuple[dt.date, dt.date]:
    """Return the first and the last day of the range `name`, one of `RANGES`."""
    match name:
        case "today":
            return today, today
        case "mtd":
            return today.replace(day=1), today
        case "last_month":
            last = today.replace(day=1) - _ONE_DAY
            return last.replace(day=1), last
        case _:
            yesterday = today - _ONE_DAY
            return yesterday - (_DAYS[name] - 1) * _ONE_DAY, yesterday


def custom(name: str) -> tuple[dt.date, dt.date]:
    """Return the first and the last day of a range `from..to`; raises `InputError`, as `resolve`."""
    match = _CUSTOM.fullmatch(name)
    if match is None:
        raise InputError(f"`range` must be one of {', '.join(RANGES)}, or two dates such as 2026-11-01..2026-11-15.")
    try:
        first, last = (dt.date.fromisoformat(text) for text in match.groups())
    except ValueError:
        raise InputError("`range` has a date that does not exist.") from None
    if first > last:
        raise InputError("`range` must begin with its earlier date.")
    return first, last


def compare(span: Span, how: str, now: int, calendar: Calendar) -> tuple[int, int] | None:
    """Return the period that `span` is compared with, as two instants (seconds since 1970), `how` being one of `COMPARISONS`.

    `elapsed`, `7d` and `364d` end where the running span has got to by `now`, by the clock of the zone. None for `none`, and before the
    year 1.
    """
    if how == "none":
        return None
    try:
        first, last = _days_before(span, how)
    except (OverflowError, ValueError):
        return None
    start, end = calendar.first_instant(first), calendar.first_instant(last + _ONE_DAY)
    if how == "before" or not span.running:
        return start, end
    return start, min(max(shifted(span, first, now, calendar), start), end)


def shifted(span: Span, first: dt.date, moment: int, calendar: Calendar) -> int:
    """Return the instant with the clock's time of `moment`, as many days after the date `first` as it is after the first day of `span`."""
    return calendar.instant(calendar.local(moment) + (first - span.first).days * DAY)


def _days_before(span: Span, how: str) -> tuple[dt.date, dt.date]:
    """Return the first and last day of the period that `span` is compared with."""
    if how in DAYS_BACK:
        back = dt.timedelta(days=DAYS_BACK[how])
        return span.first - back, span.last - back
    if span.monthly:
        last = span.first - _ONE_DAY
        return last.replace(day=1), last
    return span.first - (span.last + _ONE_DAY - span.first), span.first - _ONE_DAY


def _span(first: dt.date, last: dt.date, now: int, calendar: Calendar, *, monthly: bool = False) -> Span:
    start = calendar.first_instant(first)
    end = calendar.first_instant(last + _ONE_DAY) if last < dt.date.max else calendar.first_instant(last) + DAY
    return Span(start, end, start <= now < end, first, last, monthly)
