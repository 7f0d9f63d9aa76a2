"""Ranges are whole days of the zone, and are compared with days of the same zone."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from dataflows.contract.errors import InputError
from figures.calendar.calendar import Calendar
from figures.calendar.ranges import COMPARISONS, RANGES, compare, resolve


def at(text: str, zone: str) -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


def shown(instants: tuple[int, int] | None, zone: str) -> tuple[str, str] | None:
    if instants is None:
        return None
    first, last = (dt.datetime.fromtimestamp(t, ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M") for t in instants)
    return first, last


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"])
@pytest.mark.parametrize(
    ("name", "first", "end", "running"),
    [
        ("today", "2026-10-25", "2026-10-26", True),
        ("yesterday", "2026-10-24", "2026-10-25", False),
        ("last7d", "2026-10-18", "2026-10-25", False),
        ("last30d", "2026-09-25", "2026-10-25", False),
        ("mtd", "2026-10-01", "2026-10-26", True),
        ("last_month", "2026-09-01", "2026-10-01", False),
        ("2026-10-20..2026-10-25", "2026-10-20", "2026-10-26", True),
        ("2026-10-20..2026-10-20", "2026-10-20", "2026-10-21", False),
        ("2026-10-27..2026-11-02", "2026-10-27", "2026-11-03", False),
    ],
)
def test_a_range_begins_and_ends_at_midnight_of_the_zone(zone: str, name: str, first: str, end: str, running: bool) -> None:
    found = resolve(name, at("2026-10-25 14:30", zone), Calendar(zone))
    assert shown((found.start, found.end), zone) == (f"{first} 00:00", f"{end} 00:00")
    assert found.running is running


@pytest.mark.parametrize(
    ("name", "how", "start", "end"),
    [
        ("today", "before", "2026-10-24 00:00", "2026-10-25 00:00"),
        ("today", "elapsed", "2026-10-24 00:00", "2026-10-24 14:30"),
        ("today", "7d", "2026-10-18 00:00", "2026-10-18 14:30"),
        ("today", "364d", "2025-10-26 00:00", "2025-10-26 14:30"),
        ("yesterday", "before", "2026-10-23 00:00", "2026-10-24 00:00"),
        ("yesterday", "elapsed", "2026-10-23 00:00", "2026-10-24 00:00"),
        ("yesterday", "7d", "2026-10-17 00:00", "2026-10-18 00:00"),
        ("last7d", "before", "2026-10-11 00:00", "2026-10-18 00:00"),
        ("mtd", "before", "2026-09-01 00:00", "2026-10-01 00:00"),
        ("mtd", "elapsed", "2026-09-01 00:00", "2026-09-25 14:30"),
        ("mtd", "7d", "2026-09-24 00:00", "2026-10-18 14:30"),
        ("last_month", "before", "2026-08-01 00:00", "2026-09-01 00:00"),
        ("2026-10-20..2026-10-22", "before", "2026-10-17 00:00", "2026-10-20 00:00"),
    ],
)
def test_a_range_is_compared_by_the_clock_of_its_zone(name: str, how: str, start: str, end: str) -> None:
    for zone in ("Europe/Berlin", "America/New_York", "Asia/Kathmandu"):
        now = at("2026-10-25 14:30", zone)
        calendar = Calendar(zone)
        assert shown(compare(resolve(name, now, calendar), how, now, calendar), zone) == (start, end)


def test_the_elapsed_part_of_a_longer_month_ends_with_the_shorter_one() -> None:
    calendar = Calendar("Europe/Berlin")
    now = at("2026-03-30 12:00", "Europe/Berlin")
    found = compare(resolve("mtd", now, calendar), "elapsed", now, calendar)
    assert shown(found, "Europe/Berlin") == ("2026-02-01 00:00", "2026-03-01 00:00")


def test_a_date_that_is_skipped_has_no_length() -> None:
    calendar = Calendar("Pacific/Apia")
    span = resolve("2011-12-29..2011-12-31", 0, calendar)
    assert span.end - span.start == 2 * 86_400
    empty = resolve("2011-12-30..2011-12-30", 0, calendar)
    assert empty.start == empty.end


@pytest.mark.parametrize("name", ["0001-01-01..0001-01-02", "9999-12-30..9999-12-31", "0001-01-01..9999-12-31"])
def test_the_first_and_the_last_year_can_be_asked_for(name: str) -> None:
    for zone in ("UTC", "Europe/Berlin", "America/New_York"):
        span = resolve(name, 0, Calendar(zone))
        assert span.start < span.end
        for how in COMPARISONS:
            compare(span, how, 0, Calendar(zone))


def test_a_range_next_to_the_end_of_time_has_an_answer_or_one_line() -> None:
    for zone in ("UTC", "Europe/Berlin", "America/New_York"):
        assert resolve("today", -62_135_596_800, Calendar(zone)).first == dt.date.min
        for name in RANGES:
            assert resolve(name, 253_402_300_740, Calendar(zone)).start > 0
        with pytest.raises(InputError, match="before the year 1"):
            resolve("yesterday", -62_135_596_800, Calendar(zone))


@pytest.mark.parametrize(
    "name",
    [
        "",
        "tomorrow",
        "1h",
        "2026-11-01",
        "2026-11-15..2026-11-01",
        "2026-02-30..2026-03-01",
        "2026-11-1..2026-11-2",
        "..",
        "٢٠٢٦-١١-٠١..٢٠٢٦-١١-٠٢",
    ],
)
def test_another_range_is_one_line(name: str) -> None:
    with pytest.raises(InputError, match="`range`") as caught:
        resolve(name, 0, Calendar())
    assert len(str(caught.value).splitlines()) == 1
