"""A page of whole days of a zone: its points, what it is compared with, and what is remembered from one refresh to the next."""

from __future__ import annotations

import datetime as dt
import itertools
import random
from functools import cache
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest

from dataflows.contract.schema import WindowResult, rfc3339
from figures.store.store import Store
from figures.views.grid import Grid
from figures.views.query import OverviewPage, page
from figures.views.view import View, asked
from tests.support.results import result

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe")


def at(text: str, zone: str) -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


def every(start: int, end: int, step: int = 900) -> list[WindowResult]:
    """A result for each `step` seconds, whose clicks are all different."""
    return [
        msgspec.structs.replace(
            result(campaign="ab"[index % 2], channel="xy"[index % 3 % 2], clicks=index + 1),
            window_start=rfc3339(moment),
            window_end=rfc3339(moment + 60),
        )
        for index, moment in enumerate(range(start, end, step))
    ]


def clicks(results: list[WindowResult], start: int, end: int) -> int:
    return sum(one.clicks for one in results if rfc3339(start) <= one.window_start < rfc3339(end))


def shown(results: list[WindowResult], view: View) -> OverviewPage:
    return page(held(results).snapshot(), view)


def held(results: list[WindowResult]) -> Store:
    store = Store(hours=48, days=4000)
    store.apply(results)
    return store


@cache
def summer(zone: str) -> tuple[list[WindowResult], Store]:
    """A result every two hours and a half until 14:30 of 26 October, when the clocks of Berlin have just changed."""
    results = every(at("2026-07-30 00:30", zone), at("2026-10-26 14:31", zone), 9000)
    return results, held(results)


def tile(found: OverviewPage) -> tuple[float | None, float | None, float | None]:
    one = next(one for one in found.tiles if one.id == "clicks")
    return one.value, one.compared if one.compared is not None else one.value, one.was


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    ("name", "dates"),
    [
        ("yesterday", ("2026-10-25", "2026-10-26", "2026-10-24", "2026-10-25")),
        ("last7d", ("2026-10-19", "2026-10-26", "2026-10-12", "2026-10-19")),
        ("2026-10-24..2026-10-25", ("2026-10-24", "2026-10-26", "2026-10-22", "2026-10-24")),
        ("last_month", ("2026-09-01", "2026-10-01", "2026-08-01", "2026-09-01")),
    ],
)
def test_a_range_of_days_that_are_over_is_compared_with_the_days_before_it(zone: str, name: str, dates: tuple[str, ...]) -> None:
    first, last, was_first, was_last = (at(text, zone) for text in dates)
    results, store = summer(zone)
    found = page(store.snapshot(), View(range=name, metric="clicks", zone=zone))
    assert (found.range.start, found.range.end, found.range.running) == (first, last, False)
    assert (found.compare.how, found.compare.start, found.compare.end) == ("before", was_first, was_last)
    now, before = clicks(results, first, last), clicks(results, was_first, was_last)
    assert tile(found) == (now, now, before)
    assert sum(value for line in found.chart.series for value in line.values if value) == pytest.approx(now, rel=1e-4)
    assert found.chart.t[0] == first
    if name != "last_month":  # of which the month before has a day more
        assert sum(value for value in found.chart.previous if value) == pytest.approx(before, rel=1e-4)
    assert len(found.chart.t) == len(found.chart.previous)


@pytest.mark.parametrize(
    ("zone", "date", "hours", "twice"),
    [
        ("Europe/Berlin", "2026-10-25", 25, 1),
        ("Europe/Berlin", "2026-03-29", 23, 0),
        ("Australia/Lord_Howe", "2026-04-05", 25, 0),
    ],
)
def test_a_day_has_a_point_for_each_of_its_hours(zone: str, date: str, hours: int, twice: int) -> None:
    start = at(date, zone)
    found = shown(every(start - 3 * 86_400, start + 3 * 86_400), View(range=f"{date}..{date}", zone=zone, metric="clicks"))
    assert len(found.chart.t) == hours
    assert found.chart.t == sorted(set(found.chart.t))
    assert sum(value is None for value in found.chart.previous) == twice


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    ("name", "compare", "was", "was_end"),
    [
        ("today", "", "2026-10-25", "2026-10-25 14:30"),
        ("today", "elapsed", "2026-10-25", "2026-10-25 14:30"),
        ("today", "before", "2026-10-25", "2026-10-26"),
        ("today", "7d", "2026-10-19", "2026-10-19 14:30"),
        ("mtd", "", "2026-09-01", "2026-09-26 14:30"),
        ("mtd", "before", "2026-09-01", "2026-10-01"),
        ("2026-10-20..2026-10-31", "elapsed", "2026-10-08", "2026-10-14 14:30"),
    ],
)
def test_a_running_range_is_compared_with_the_same_elapsed_part(
    zone: str, name: str, compare: str, was: str, was_end: str
) -> None:
    results, store = summer(zone)
    found = page(store.snapshot(), View(range=name, compare=compare, metric="clicks", zone=zone))
    before, before_end = at(was, zone), at(was_end, zone)
    assert found.range.running
    left = 0 if compare == "before" else at("2026-10-26 14:30", zone) - found.span.newest_end
    assert (found.compare.start, found.compare.end) == (before, before_end - left)
    now = clicks(results, found.range.start, found.range.end)
    assert tile(found) == (now, now, clicks(results, before, before_end - left))


def test_nothing_is_compared_where_nothing_is_asked_for_or_held() -> None:
    results = every(at("2026-10-20", "UTC"), at("2026-10-26 14:30", "UTC"))
    for view in (
        View(range="yesterday", compare="none"),
        View(range="1h", compare="none"),
        View(range="yesterday", compare="364d"),
    ):
        found = shown(results, view)
        assert (found.span.compared, found.chart.previous) == (0, [])
        assert all(one.was is None for one in found.tiles)
    assert shown(results, View(range="1h", compare="none")).compare.start is None


@pytest.mark.parametrize(
    "name", ["2026-12-01..2026-12-31", "1999-12-31..2000-01-01", "0001-01-01..0001-01-01", "9999-12-31..9999-12-31"]
)
def test_days_without_data_are_an_empty_page(name: str) -> None:
    found = shown(every(at("2026-10-20", "UTC"), at("2026-10-26", "UTC"), 3600), View(range=name, zone="America/New_York"))
    assert found.empty
    assert all(one.value is None for one in found.tiles)


def test_a_day_that_the_zone_skipped_is_an_empty_page() -> None:
    found = shown(
        every(at("2011-12-28", "UTC"), at("2012-01-02", "UTC")), View(range="2011-12-30..2011-12-30", zone="Pacific/Apia")
    )
    assert found.empty


def test_a_rolling_range_is_compared_with_the_same_clock_times_of_days_before() -> None:
    results = every(at("2026-10-18", "UTC"), at("2026-10-26 14:30", "UTC"))
    for zone, off in (("UTC", 0), ("Europe/Berlin", -3600)):
        found = shown(results, View(range="1h", compare="7d", metric="clicks", zone=zone))
        assert (found.compare.how, found.compare.start) == ("7d", found.range.start - 7 * 86_400 + off)
        now, _, was = tile(found)
        assert now == clicks(results, found.range.start, found.range.end)
        assert was == clicks(results, found.range.start - 7 * 86_400 + off, found.range.end - 7 * 86_400 + off)


VIEWS = [
    View(range=name, compare=compare, zone=zone, metric="clicks")
    for (name, compare), zone in itertools.product(
        [("today", ""), ("today", "before"), ("mtd", "7d"), ("last7d", ""), ("2026-10-24..2026-10-26", "elapsed"), ("1h", "7d")],
        ("Europe/Berlin", "Asia/Kathmandu"),
    )
]


@pytest.mark.parametrize("seed", range(2))
def test_moved_sums_of_days_equal_sums_from_scratch(seed: int) -> None:
    draw = random.Random(seed)
    begin = at("2026-10-25 20:00", "UTC")
    batches = [every(at("2026-09-20", "UTC"), begin, 9000)]
    store = Store(hours=48, days=100)
    store.apply(batches[0])
    minute = begin
    for revision in range(30):
        minute += draw.choice((0, 60, 60, 300, 3600))
        batch = [
            msgspec.structs.replace(
                result(campaign=draw.choice("abc"), channel=draw.choice("xy"), clicks=draw.randint(0, 99)),
                window_start=rfc3339(start),
                window_end=rfc3339(start + 60),
                revision=20 + revision,
                state=draw.choice(("provisional", "final", "corrected")),
            )
            for start in (minute, minute - 60, minute - draw.choice((600, 86_400, 7 * 86_400)))
        ]
        store.apply(batch)
        batches.append(batch)
        for view in draw.sample(VIEWS, 3):
            page(store.snapshot(), view)
    fresh = Store(hours=48, days=100)
    for batch in batches:
        fresh.apply(batch)
    for view in VIEWS:
        one, other = (msgspec.structs.replace(page(held.snapshot(), view), version=0) for held in (store, fresh))
        assert one == other


def test_a_query_names_the_range_the_zone_and_the_comparison() -> None:
    found = asked("range=last7d&compare=364d&tz=europe/berlin&week=sunday")
    assert (found.view.range, found.view.compare, found.view.zone, found.view.week) == (
        "last7d",
        "364d",
        "Europe/Berlin",
        "sunday",
    )
    assert found.notes == ()
    assert asked("range=2026-11-01..2026-11-15").view.on_calendar
    assert asked("tz=local") == asked("tz=UTC")


@pytest.mark.parametrize(
    "query",
    [
        "range=2026-11-15..2026-11-01",
        "range=2026-02-30..2026-03-01",
        "range=0001-01-01..9999-12-31",
        "compare=twice",
        "week=tuesday",
    ],
)
def test_a_range_that_cannot_be_is_one_note(query: str) -> None:
    (note,) = asked(query).notes
    assert "is not applied: it " in note


def test_points_of_two_grids_correspond() -> None:
    day, long = Grid((0, 10, 20, 30)), Grid((100, 110, 110, 130))
    assert day.shifted(np.array([0, 5, 10, 20, 25, 30]), long).tolist() == [100, 105, 110, 110, 120, 130]
    assert long.index(np.array([100, 109, 110, 129])).tolist() == [0, 0, 2, 2]
