"""Leap seconds: RFC 3339 allows 23:59:60 UTC, Python's `datetime` does not."""

from __future__ import annotations

import calendar
import datetime as dt
import re

import msgspec

_LEAP = re.compile(r"(.{10}[Tt ]\d\d:\d\d):60(?:\.\d+)?([Zz]|[+-]\d\d:?\d\d)", re.ASCII)


def without_leap_second(text: str) -> str | None:
    """Return the last microsecond before the leap second in `text` (RFC 3339); None if `text` is not in a leap second.

    The event then counts in the minute 23:59, after all others of that minute. A leap second can be inserted at the end of any month
    (ITU-R TF.460).
    """
    leap = _LEAP.fullmatch(text)
    if leap is None:
        return None
    before = f"{leap[1]}:59.999999{leap[2]}"
    try:
        moment = msgspec.convert(before, dt.datetime).astimezone(dt.UTC)
    except (msgspec.ValidationError, OverflowError, ValueError):
        return None
    last_day = calendar.monthrange(moment.year, moment.month)[1]
    return before if (moment.day, moment.hour, moment.minute) == (last_day, 23, 59) else None
