"""Buckets of time in a zone: quarters, hours, days, weeks and months, each keyed by its first instant in seconds since 1970.

Buckets follow each other without gaps: one ends where the next begins. A day has 23 or 25 hours where the clock is changed, and a local
time that comes twice makes two hours (or quarters). A day, week or month begins at the first instant of its date, also where its
midnight is skipped; a date that is skipped has no bucket. Where the clock is turned back across a midnight that was already passed
(St. John's at 0:01), the repeated minutes belong to the day that has begun.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, get_args

import msgspec
import numpy as np
import numpy.typing as npt

from figures.calendar.zones import UTC, Seconds, stretches

Interval = Literal["minute", "quarter", "hour", "day", "week", "month"]
INTERVALS: tuple[Interval, ...] = get_args(Interval)
WEEKS = ("monday", "sunday")
"""The days on which a week can begin."""

SHORT = {"minute": 60, "quarter": 900, "hour": 3600}
"""Seconds of the intervals that are cut from the local time of day."""

DAY = 86_400
_GRAINS = (DAY, 3600, 900, 60)
_MARGIN = 40 * DAY
"""Longer than any month, also one with a repeated day."""

_FIRST_DATE, _LAST_DATE = np.datetime64(dt.date.min), np.datetime64(dt.date.max)

Dates = npt.NDArray[np.datetime64]


class Calendar(msgspec.Struct, frozen=True):
    """The calendar of an IANA time zone; `week` is the day on which weeks begin, one of `WEEKS`."""

    zone: str = UTC
    week: str = "monday"

    def floor(self, t: Seconds, interval: Interval) -> Seconds:
        """Return the first instant of the bucket of each of `t`, all in seconds since 1970."""
        if not len(t):
            return t
        if interval == "minute":
            return t - t % 60
        start, end = int(t.min()), int(t.max())
        if interval in SHORT:
            return self._floor_short(t, start, end, SHORT[interval])
        edges = self.first_instants(start, end, interval)
        return edges[np.searchsorted(edges, t, side="right") - 1]

    def floor_one(self, moment: int, interval: Interval) -> int:
        """Return the first instant of the bucket of `moment`."""
        return int(self.floor(np.array([moment], np.int64), interval)[0])

    def edges(self, start: int, end: int, interval: Interval) -> list[int]:
        """Return the first instants of the buckets from that of `start` until the first one at or after `end`, which is later than it."""
        return list(_edges(self, start, max(end, start + 1), interval))

    def first_instants(self, start: int, end: int, interval: str) -> Seconds:
        """Return the first instants of the days, weeks or months that touch `start` to `end`, in order."""
        instants, dates = self._days(start - _MARGIN if interval != "day" else start, end)
        if interval == "day":
            return instants
        labels = _months(dates) if interval == "month" else _weeks(dates, self.week)
        return instants[1:][labels[1:] > labels[:-1]]

    def dates(self, t: Seconds) -> Dates:
        """Return the date (datetime64[D]) of the day bucket of each of `t`."""
        if not len(t):
            return t.astype("datetime64[D]")
        instants, dates = self._days(int(t.min()), int(t.max()))
        return dates[np.searchsorted(instants, t, side="right") - 1]

    def date(self, moment: int) -> dt.date:
        """Return the date of the day bucket of `moment`; of one outside the years 1 to 9999 the nearest date inside."""
        day = self.dates(np.array([moment], np.int64))[0]
        return min(max(day, _FIRST_DATE), _LAST_DATE).item()

    def first_instant(self, date: dt.date) -> int:
        """Return the first instant of a date; of one that is skipped that of the next."""
        wanted = np.datetime64(date, "D")
        noon = int(wanted.astype("datetime64[s]").astype(np.int64)) + DAY // 2
        instants, dates = self._days(noon - 2 * DAY, noon + 4 * DAY)
        return int(instants[np.searchsorted(dates, wanted)])

    def local(self, moment: int) -> int:
        """Return the local time at `moment`, as seconds since 1970-01-01 00:00 of that clock."""
        return moment + int(stretches(self.zone, moment, moment + 1)[1][0])

    def instant(self, local: int) -> int:
        """Return the first instant at which the clock shows `local` (seconds as from `local()`), or jumps past it."""
        begins, offsets = stretches(self.zone, local - 2 * DAY, local + 2 * DAY)
        ends = np.append(begins[1:], local + 2 * DAY)
        reached = int(np.argmax(ends + offsets > local))
        return max(int(begins[reached]), local - int(offsets[reached]))

    def _floor_short(self, t: Seconds, start: int, end: int, seconds: int) -> Seconds:
        begins, offsets = stretches(self.zone, start - DAY, end + 1)
        stretch_starts = _short_starts(begins, offsets, seconds)
        at = np.searchsorted(begins, t, side="right") - 1 if len(begins) > 1 else np.zeros(1, np.intp)
        floored = t - (t + offsets[at]) % seconds
        return np.where(floored >= begins[at], floored, stretch_starts[at])

    def _days(self, start: int, end: int) -> tuple[Seconds, Dates]:
        """Return the first instants of the days from that of `start` to that of `end`, and their dates."""
        begins, offsets = stretches(self.zone, start - 2 * DAY - DAY // 2, end + 1)
        ends = np.append(begins[1:], end + 1)
        parts: list[tuple[Seconds, Seconds]] = []
        latest = None
        for begin, stop, offset in zip(begins.tolist(), ends.tolist(), offsets.tolist(), strict=True):
            days = np.arange((begin + offset) // DAY, (stop - 1 + offset) // DAY + 1)
            # The first day has begun before `begin`.
            days = days[1:] if latest is None else days[days > latest]
            if len(days):
                latest = int(days[-1])
                parts.append((np.maximum(days * DAY - offset, begin), days))
        instants, dates = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        first = max(int(np.searchsorted(instants, start, side="right")) - 1, 0)
        return instants[first:], dates[first:].astype("datetime64[D]")


def grain(edges: Sequence[int]) -> int:
    """Return the largest of a day, an hour, a quarter and a minute (in seconds, of UTC) that none of `edges` cuts; a minute if all do."""
    return next((seconds for seconds in _GRAINS if all(edge % seconds == 0 for edge in edges)), _GRAINS[-1])


@lru_cache(maxsize=256)
def _edges(calendar: Calendar, start: int, end: int, interval: Interval) -> tuple[int, ...]:
    if interval == "minute":
        return tuple(range(start - start % 60, -(-end // 60) * 60 + 1, 60))
    if interval in SHORT:
        return tuple(_short_edges(calendar.zone, start, end, SHORT[interval]))
    instants = calendar.first_instants(start, end + _MARGIN, interval)
    first = int(np.searchsorted(instants, start, side="right")) - 1
    return tuple(instants[first : int(np.searchsorted(instants, end)) + 1].tolist())


def _short_edges(zone: str, start: int, end: int, seconds: int) -> list[int]:
    begins, offsets = stretches(zone, start - DAY, end + DAY)
    stretch_starts = _short_starts(begins, offsets, seconds)
    ends = np.append(begins[1:], end + DAY)
    parts: list[Seconds] = []
    for begin, stop, offset, first in zip(begins.tolist(), ends.tolist(), offsets.tolist(), stretch_starts.tolist(), strict=True):
        regular = np.arange(begin + -(begin + offset) % seconds, stop, seconds)
        parts.append(np.union1d(regular, [begin]) if first == begin else regular)
    instants = np.concatenate(parts)
    first = int(np.searchsorted(instants, start, side="right")) - 1
    return instants[first : int(np.searchsorted(instants, end)) + 1].tolist()


def _short_starts(begins: Seconds, offsets: Seconds, seconds: int) -> Seconds:
    """Return the first instant of the bucket that the first instant of each stretch falls into.

    A clock that is turned back begins another bucket; one that is put forward only if it leaves the current one.
    """
    starts = begins.copy()
    starts[0] -= (begins[0] + offsets[0]) % seconds
    for at in range(1, len(begins)):
        begin, before, after = int(begins[at]), int(offsets[at - 1]), int(offsets[at])
        same = (begin - 1 + before) // seconds == (begin + after) // seconds
        if after > before and same:
            regular = begin - (begin + before) % seconds
            starts[at] = regular if regular >= begins[at - 1] else starts[at - 1]
    return starts


def _months(dates: Dates) -> Seconds:
    return dates.astype("datetime64[M]").astype(np.int64)


def _weeks(dates: Dates, week: str) -> Seconds:
    # 1970-01-01 was a Thursday.
    return (dates.astype(np.int64) + (3 if week == "monday" else 4)) // 7
