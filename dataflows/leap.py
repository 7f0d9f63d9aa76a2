"""Leap seconds: RFC 3339 knows 23:59:60 UTC, Python's time does not."""

from __future__ import annotations

import calendar
import datetime as dt
import re

import msgspec

_LEAP = re.compile(r"(.{10}[Tt ]\d\d:\d\d):60(?:\.\d+)?([Zz]|[+-]\d\d:?\d\d)", re.ASCII)


def without_leap_second(text: str) -> str | None:
    """The last microsecond before the leap second that `text` (RFC 3339) lies in; None if it lies in none.

    So it counts in the minute 23:59, to which it belongs, and after all that came earlier in that minute. A leap second can be the
    last one of any month (ITU-R TF.460).
    """
    found = _LEAP.fullmatch(text)
    if found is None:
        return None
    before = f"{found[1]}:59.999999{found[2]}"
    try:
        moment = msgspec.convert(before, dt.datetime).astimezone(dt.UTC)
    except (msgspec.ValidationError, OverflowError, ValueError):
        return None
    last_day = calendar.monthrange(moment.year, moment.month)[1]
    return before if (moment.day, moment.hour, moment.minute) == (last_day, 23, 59) else None
