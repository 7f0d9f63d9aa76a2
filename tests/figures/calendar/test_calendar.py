"""Buckets equal those that the standard library's zones give minute by minute."""

from __future__ import annotations

import datetime as dt
import itertools
import os
import subprocess
import sys
import time
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from dataflows.contract.errors import InputError
from figures.calendar.calendar import INTERVALS, WEEKS, Calendar, Interval, grain
from figures.calendar.zones import zone_name

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MINUTES = {"minute": 1, "quarter": 15, "hour": 60}

CHANGES = [
    ("Europe/Berlin", "2026-03-29"),
    ("Europe/Berlin", "2026-10-25"),
    ("America/New_York", "2026-03-08"),
    ("America/New_York", "2026-11-01"),
    ("Australia/Lord_Howe", "2026-04-05"),
    ("Australia/Lord_Howe", "2026-10-04"),
    ("Asia/Kathmandu", "2026-10-25"),
    ("Asia/Kathmandu", "1986-01-01"),  # forward by a quarter of an hour
    ("Pacific/Chatham", "2026-04-05"),
    ("Pacific/Apia", "2011-12-30"),  # skipped
    ("Pacific/Kwajalein", "1969-09-30"),  # 47 hours
    ("Asia/Beirut", "2026-03-29"),  # midnight is skipped
    ("Asia/Beirut", "2026-10-25"),
    ("Africa/Cairo", "2026-04-24"),
    ("Africa/Cairo", "2026-10-30"),
    ("America/Havana", "2026-03-08"),
    ("America/Sao_Paulo", "2018-11-04"),
    ("America/St_Johns", "2005-10-30"),  # back from 0:01
    ("America/St_Johns", "2005-04-03"),
    ("Africa/Casablanca", "2026-02-15"),
    ("Asia/Pyongyang", "2018-05-05"),  # forward by half an hour at 23:30
    ("America/Caracas", "2016-05-01"),
    ("Europe/Dublin", "1969-10-27"),
    ("UTC", "1970-01-01"),
]


def moment(text: str) -> int:
    return int((dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC) - EPOCH).total_seconds())


def label(local: dt.datetime, interval: Interval, week: str) -> tuple[int, ...]:
    """What the clock and the leaf of the calendar show."""
    if interval in MINUTES:
        return (local.toordinal(), (local.hour * 60 + local.minute) // MINUTES[interval])
    if interval == "day":
        return (local.toordinal(),)
    if interval == "week":
        return ((local.toordinal() - (1 if week == "monday" else 0)) // 7,)
    return (local.year, local.month)


def by_hand(zone: str, minutes: range, interval: Interval, week: str) -> list[int | None]:
    """The first minute of each minute's bucket; None in the first bucket, whose beginning is not known."""
    info = ZoneInfo(zone)
    first: int | None = None
    shown, before, floors = None, None, []
    for t in minutes:
        local = dt.datetime.fromtimestamp(t, info)
        name = label(local, interval, week)
        back = before is not None and local.replace(tzinfo=None) <= before
        later = shown is None or name > shown
        if (name != shown or back) if interval in MINUTES else later:
            first = None if shown is None else t
            shown = name
        before = local.replace(tzinfo=None)
        floors.append(first)
    return floors


def check(zone: str, minutes: range, interval: Interval, week: str) -> None:
    calendar = Calendar(zone, week)
    wanted = by_hand(zone, minutes, interval, week)
    found = calendar.floor(np.array(minutes), interval).tolist()
    assert [a for a, b in zip(found, wanted, strict=True) if b is not None] == [b for b in wanted if b is not None]
    assert all(a < minutes[0] or b is not None or a == minutes[0] for a, b in zip(found, wanted, strict=True))
    edges = calendar.edges(minutes[0], minutes[-1], interval)
    assert edges[:-1] == sorted({a for a in found if a < minutes[-1]})
    assert edges[0] <= minutes[0]
    assert edges[-2] < minutes[-1] <= edges[-1]
    assert calendar.floor_one(edges[-1], interval) == edges[-1]


@pytest.mark.parametrize("interval", INTERVALS)
@pytest.mark.parametrize(("zone", "date"), CHANGES)
def test_buckets_around_a_change_of_the_clock_equal_those_by_hand(zone: str, date: str, interval: Interval) -> None:
    noon = moment(date) + 43_200
    for week in WEEKS if interval == "week" else WEEKS[:1]:
        check(zone, range(noon - 2 * 86_400, noon + 2 * 86_400, 60), interval, week)


@examples(max_examples=25, deadline=None)
@given(
    st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland", "America/Asuncion", "Asia/Tehran"]),
    st.integers(moment("1975-01-01") // 60, moment("2060-01-01") // 60),
    st.sampled_from(INTERVALS),
    st.sampled_from(WEEKS),
)
def test_buckets_of_any_time_equal_those_by_hand(zone: str, minute: int, interval: Interval, week: str) -> None:
    check(zone, range(minute * 60, (minute + 3000) * 60, 60), interval, week)


@pytest.mark.parametrize(
    ("zone", "date", "hours"),
    [
        ("Europe/Berlin", "2026-03-29", 23),
        ("Europe/Berlin", "2026-10-25", 25),
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
        ("Australia/Lord_Howe", "2026-10-04", 23.5),
        ("Asia/Kathmandu", "2026-10-25", 24),
        ("Africa/Cairo", "2026-04-24", 23),
        ("Africa/Cairo", "2026-10-29", 25),
        ("Pacific/Kwajalein", "1969-09-30", 47),
    ],
)
def test_a_day_is_as_long_as_its_clock_says(zone: str, date: str, hours: float) -> None:
    calendar = Calendar(zone)
    start = calendar.first_instant(dt.date.fromisoformat(date))
    day = calendar.edges(start, start + 1, "day")
    assert day == [start, start + hours * 3600]
    assert calendar.date(start) == dt.date.fromisoformat(date)
    of_hours = calendar.edges(day[0], day[1], "hour")
    assert (of_hours[0], of_hours[-1]) == (day[0], day[1])
    assert len(of_hours) - 1 == np.ceil(hours)


def test_a_date_that_is_skipped_begins_with_the_next_one() -> None:
    calendar = Calendar("Pacific/Apia")
    skipped, after = (calendar.first_instant(dt.date(2011, 12, day)) for day in (30, 31))
    assert skipped == after
    assert calendar.date(skipped) == dt.date(2011, 12, 31)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/New_York", "Pacific/Kiritimati"])
@pytest.mark.parametrize("t", [-62_135_596_800, -62_135_596_740, -(10**10), -1, 0, 253_402_300_740])
def test_the_first_and_the_last_year_have_buckets(zone: str, t: int) -> None:
    for interval in INTERVALS:
        first, after = Calendar(zone).edges(t, t + 1, interval)
        assert first <= t < after
        assert Calendar(zone).floor_one(t, interval) == first
        assert after - first <= 32 * 86_400


def test_offsets_that_are_not_on_a_minute_cut_a_minute() -> None:
    calendar = Calendar("Europe/Berlin")
    start = calendar.first_instant(dt.date(1890, 1, 1))
    assert start % 60 == 32  # 0:53:28 ahead of UTC until 1893
    assert grain([start]) == 60
    days = calendar.edges(start, start + 3 * 86_400, "day")
    assert [b - a for a, b in itertools.pairwise(days)] == [86_400] * 3
    hours = calendar.edges(start, start + 86_400, "hour")
    assert len(hours) == 25
    assert calendar.floor_one(start - 1, "hour") == start - 3600


@pytest.mark.parametrize(
    ("zone", "interval", "seconds"),
    [("UTC", "day", 86_400), ("Europe/Berlin", "day", 3600), ("Asia/Kathmandu", "month", 900), ("Asia/Kolkata", "hour", 900)],
)
def test_the_grain_is_what_no_edge_cuts(zone: str, interval: Interval, seconds: int) -> None:
    assert grain(Calendar(zone).edges(moment("2026-01-01"), moment("2026-12-31"), interval)) == seconds


@examples(max_examples=50, deadline=None)
@given(st.sampled_from(sorted({zone for zone, _ in CHANGES})), st.integers(moment("1960-01-01"), moment("2040-01-01")))
def test_the_instant_of_a_local_time_is_the_first_at_which_the_clock_shows_it(zone: str, t: int) -> None:
    calendar = Calendar(zone)
    local = calendar.local(t)
    info = ZoneInfo(zone)
    assert local == t + dt.datetime.fromtimestamp(t, info).utcoffset().total_seconds()  # pyright: ignore[reportOptionalMemberAccess]  # it has a zone
    first = calendar.instant(local)
    assert first <= t
    assert calendar.local(first) == local
    if first < t:
        assert dt.datetime.fromtimestamp(t, info).fold or t - first >= 86_400


def test_a_zone_is_named_in_any_case_and_an_unknown_one_is_one_line() -> None:
    assert [zone_name(text) for text in ("utc", "europe/BERLIN", " Asia/Kathmandu ", "Etc/GMT 5")] == [
        "UTC",
        "Europe/Berlin",
        "Asia/Kathmandu",
        "Etc/GMT+5",
    ]
    for text in ("", "Mars/Olympus", "../../etc/passwd", "America", "right/UTC", "localtime", "Europe/\nBerlin\0", "\udcff"):
        with pytest.raises(InputError) as caught:
            zone_name(text)
        assert len(str(caught.value).splitlines()) == 1
        assert "`tz`" in str(caught.value)
    with pytest.raises(InputError, match="was Europe/Berlin meant"):
        zone_name("Europe/Berln")


def test_a_machine_without_zone_files_has_the_same_zones() -> None:
    code = "from figures.calendar.calendar import Calendar; print(Calendar('Europe/Berlin').edges(1792879200, 1792879201, 'day'))"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONTZPATH": ""},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert ran.stdout.strip() == str(Calendar("Europe/Berlin").edges(1792879200, 1792879201, "day"))


def test_a_million_rows_take_milliseconds() -> None:
    t = np.sort(np.random.default_rng(1).integers(moment("2025-01-01"), moment("2027-01-01"), 1_000_000))
    calendar = Calendar("Europe/Berlin")
    for interval in INTERVALS:
        calendar.floor(t[:1000], interval)
        begun = time.process_time()
        calendar.floor(t, interval)
        assert time.process_time() - begun < 0.5
