"""Which results are wanted: the question of `/api/results`, of ``adtally export`` and of the downloads of the pages.

`result_table.table` answers it.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Collection, Mapping, Sequence

import msgspec

from dataflows.contract.breakdowns import Breakdown, Value, columns
from dataflows.contract.errors import InputError
from dataflows.contract.schema import to_micros
from figures.calendar import calendar as calendars
from figures.calendar import ranges
from figures.calendar.calendar import WEEKS, Calendar
from figures.calendar.zones import UTC, zone_name
from figures.views import breakdown_filter, parameters
from figures.views.breakdown_filter import FieldFilter, breakdown_for
from figures.views.parameters import NATIVE
from figures.views.view import RANGES as ROLLING

INTERVALS: tuple[str, ...] = (*calendars.INTERVALS, "total")
"""What a row can cover: a bucket of the calendar, or in a total the whole span."""

DIMENSIONS = ("campaign", "channel")
SPLITS = (*DIMENSIONS, "currency")
"""What rows can be split by besides the fields of a breakdown."""
PARAMETERS = ("from", "to", "range", "campaign", "channel", "interval", "tz", "week", "by", "currency", "breakdown")
"""Parameters of a question, as `selection` reads them."""

_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?([Zz]|[+-]\d\d:\d\d)")
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


class Selection(msgspec.Struct, frozen=True):
    """Which results are wanted: windows with `start <= window start < end` (seconds since 1970, None for no bound).

    Empty `campaigns` or `channels` mean all; a row covers a bucket of the `interval` in `calendar`, or one between two of `edges`, if
    there are any; `by` is what it is split by. A `range` names the bounds by the data's own time (`resolved`). Money is converted to
    `currency`: a code, `NATIVE` for none, or empty for the deployment's. With a `breakdown` the rows are its own: those that pass the
    `filters`, split by `fields` too.
    """

    start: int | None = None
    end: int | None = None
    campaigns: frozenset[str] = frozenset()
    channels: frozenset[str] = frozenset()
    interval: str = "minute"
    by: tuple[str, ...] = DIMENSIONS
    calendar: Calendar = Calendar()
    range: str = ""
    edges: tuple[int, ...] = ()
    currency: str = ""
    breakdown: Breakdown | None = None
    fields: tuple[str, ...] = ()
    filters: tuple[FieldFilter, ...] = ()

    def takes(self, start: int, campaign: str, channel: str, values: Sequence[Value] = ()) -> bool:
        """Return whether the result of the window that begins at `start` can be selected; a `range` is not resolved yet.

        `values` are those of the breakdown's fields.
        """
        if self.breakdown is not None and self.filters:
            by_field = dict(zip(self.breakdown.fields, values, strict=True))
            if not all(one.takes(by_field[one.field]) for one in self.filters):
                return False
        return (
            (self.start is None or start >= self.start)
            and (self.end is None or start < self.end)
            and (not self.campaigns or campaign in self.campaigns)
            and (not self.channels or channel in self.channels)
        )

    def resolved(self, newest: int, window: int) -> Selection:
        """Return the question with the bounds of its `range`; `newest` is the start of the newest window, `window` the length of one."""
        if not self.range:
            return self
        if self.range in ROLLING:
            end = newest + window
            return msgspec.structs.replace(self, start=end - ROLLING[self.range][0], end=end)
        span = ranges.resolve(self.range, newest, self.calendar)
        return msgspec.structs.replace(self, start=span.start, end=span.end)


def selection(
    given: Mapping[str, Sequence[str]], breakdowns: Sequence[Breakdown] = (), parameter_names: Collection[str] = PARAMETERS
) -> Selection:
    """Return the question in `PARAMETERS` and in the filters on fields of `breakdowns`, each a list of texts.

    A field whose name is one of `parameter_names` has no short form of its filter.

    Raises `InputError`, which names the parameter and what it takes, and never repeats what was given.
    """
    calendar = _calendar(given)
    start, end = _moment(given, "from", calendar), _moment(given, "to", calendar)
    if start is not None and end is not None and start >= end:
        raise InputError("`to` must be later than `from`: windows from `from` on and before `to` are given.")
    interval = parameters.once(given, "interval") or "minute"
    if interval not in INTERVALS:
        raise InputError(f"`interval` must be one of {', '.join(INTERVALS)}.")
    filters = breakdown_filter.parse(given, columns(breakdowns), parameter_names).strict()
    by, fields, breakdown = _split(given, breakdowns, filters)
    campaigns, channels = (frozenset(parameters.names(given, dimension)) for dimension in DIMENSIONS)
    question = Selection(
        start,
        end,
        campaigns,
        channels,
        interval,
        by,
        calendar,
        _range(given),
        currency=_currency(given, by),
        breakdown=breakdown,
        fields=fields,
        filters=filters,
    )
    # The bounds of two dates do not depend on the data.
    return question.resolved(0, 0) if ranges.is_custom(question.range) else question


def _split(
    given: Mapping[str, Sequence[str]], breakdowns: Sequence[Breakdown], filters: Sequence[FieldFilter]
) -> tuple[tuple[str, ...], tuple[str, ...], Breakdown | None]:
    """Return the dimensions and the fields that rows are split by, and the breakdown that has the fields and the `filters`."""
    asked = tuple(dict.fromkeys(name for text in given.get("by", ()) for name in text.split(",") if name))
    name = parameters.once(given, "breakdown")
    if not asked:
        breakdown = breakdown_for(breakdowns, name, filters)
        return DIMENSIONS, breakdown.fields if breakdown is not None and name else (), breakdown
    if asked == ("none",):
        return (), (), breakdown_for(breakdowns, name, filters)
    by, fields = split_by(asked, breakdowns)
    needed = (*filters, *(FieldFilter(field) for field in fields))
    return by, fields, breakdown_for(breakdowns, name, needed)


def split_by(names: Sequence[str], breakdowns: Sequence[Breakdown]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the dimensions (`SPLITS`) and the fields of `breakdowns` among the `names` in `by`.

    A field that is called as a dimension is written ``f.<field>``. Raises `InputError` for a name that is neither.
    """
    declared = columns(breakdowns)
    fields = tuple(one if one in declared else one.removeprefix("f.") for one in names if one not in SPLITS)
    if not set(fields) <= set(declared):
        more = f", a field of a breakdown ({', '.join(declared)})" if breakdowns else ""
        raise InputError(f"`by` must be {', '.join(SPLITS)}{more}, several of them with commas, or none.")
    return tuple(one for one in names if one in SPLITS), fields


def _calendar(given: Mapping[str, Sequence[str]]) -> Calendar:
    week = parameters.once(given, "week") or WEEKS[0]
    if week not in WEEKS:
        raise InputError(f"`week` must be {' or '.join(WEEKS)}, the day on which weeks begin.")
    return Calendar(zone_name(parameters.once(given, "tz") or UTC), week)


def _currency(given: Mapping[str, Sequence[str]], by: Sequence[str]) -> str:
    text = parameters.currency_name(parameters.once(given, "currency")) or (NATIVE if "currency" in by else "")
    if text != NATIVE and "currency" in by:
        raise InputError(f"`by=currency` is for `currency={NATIVE}`: money that is converted is in one currency.")
    return text


def _range(given: Mapping[str, Sequence[str]]) -> str:
    name = parameters.once(given, "range")
    if not name:
        return ""
    if given.get("from") or given.get("to"):
        raise InputError("`range` can't be given together with `from` or `to`.")
    if name not in ranges.RANGES and name not in ROLLING and not ranges.is_custom(name):
        raise InputError(f"`range` must be one of {', '.join((*ranges.RANGES, *ROLLING))}, or two dates: 2026-11-01..2026-11-15.")
    return name


def _moment(query_values: Mapping[str, Sequence[str]], name: str, calendar: Calendar) -> int | None:
    if not query_values.get(name):
        return None
    text = parameters.once(query_values, name)
    # In the query of a URL a plus means a space; an unescaped one is taken for the sign of the zone.
    text = re.sub(r" (\d\d:\d\d)$", r"+\1", text) if len(text) > 16 else text
    try:
        if _DATE.fullmatch(text):
            return calendar.first_instant(dt.date.fromisoformat(text))
        if not _TIME.fullmatch(text):
            raise ValueError
        # Digits beyond the microsecond are cut: no window starts within one.
        return math.ceil(to_micros(dt.datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text.upper()))) / 1_000_000)
    except (ValueError, OverflowError):
        raise InputError(
            f"`{name}` must be an RFC 3339 time with its zone, such as 2026-11-23T08:00:00Z, or a date in `tz`."
        ) from None
