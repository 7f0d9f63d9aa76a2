"""The Explore page by days, weeks and months of a zone."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from dataflows.contract.schema import WindowResult, rfc3339
from figures.store.store import Store
from figures.views.exploring import Ask, ExploreFigures, asked, find
from tests.support.results import result

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp())


def made() -> list[WindowResult]:
    """A result each quarter of an hour from 20 September to the afternoon of 26 October, when the clocks have changed."""
    return [
        msgspec.structs.replace(result(clicks=index), window_start=rfc3339(start), window_end=rfc3339(start + 60))
        for index, start in enumerate(range(at("2026-09-20"), at("2026-10-26 14:30"), 900))
    ]


RESULTS = made()
STORE = Store(hours=48, days=100)
STORE.apply(RESULTS)


def shown(**given: Any) -> ExploreFigures:
    return find(STORE.snapshot(), Ask(measures=("clicks",), by=(), kind="table", zone="Europe/Berlin", **given), 60)


def clicks(start: str, end: str) -> int:
    return sum(one.clicks for one in RESULTS if rfc3339(at(start)) <= one.window_start < rfc3339(at(end)))


def local(found: ExploreFigures) -> list[str]:
    times = (time.replace(tzinfo=dt.UTC).astimezone(BERLIN) for time in found.frame["time"].to_list())
    return [time.strftime("%m-%d %H:%M") for time in times]


@pytest.mark.parametrize(
    ("span", "start", "end"),
    [
        ("today", "2026-10-26", "2026-10-27"),
        ("yesterday", "2026-10-25", "2026-10-26"),
        ("last7d", "2026-10-19", "2026-10-26"),
        ("mtd", "2026-10-01", "2026-10-27"),
        ("2026-10-20..2026-10-25", "2026-10-20", "2026-10-26"),
        ("last_month", "2026-09-20", "2026-10-01"),
        ("2030-01-01..2030-01-31", "2030-01-01", "2030-02-01"),
        ("1999-01-01..1999-01-31", "1999-01-01", "1999-02-01"),
        ("all", "2026-09-20", "2026-10-27"),
    ],
)
@pytest.mark.parametrize("grain", ["auto", "1h", "1d", "1w", "1mo"])
def test_a_range_has_the_sums_of_its_days_at_every_grain(span: str, start: str, end: str, grain: str) -> None:
    assert shown(span=span, grain=grain).frame["clicks"].sum() == clicks(start, end)


def test_points_begin_with_days_weeks_and_months_of_the_zone() -> None:
    assert local(shown(span="last7d", grain="1d")) == [f"10-{day} 00:00" for day in range(19, 26)]
    assert local(shown(span="all", grain="1mo")) == ["09-01 00:00", "10-01 00:00"]
    assert local(shown(span="2026-10-14..2026-10-25", grain="1w")) == ["10-12 00:00", "10-19 00:00"]
    assert local(shown(span="2026-10-14..2026-10-25", grain="1w", week="sunday")) == [f"10-{day} 00:00" for day in (11, 18, 25)]
    assert len(shown(span="yesterday", grain="1h").frame) == 25


def test_points_without_rows_from_their_beginning_or_to_their_end_are_incomplete() -> None:
    first, last = shown(span="2026-10-14..2026-10-25", grain="1w"), shown(span="mtd", grain="1d")
    assert [time.day for time in first.incomplete] == [11]  # 12 October in Berlin
    assert [time.day for time in last.incomplete] == [25]  # 26 October in Berlin


def test_the_query_has_ranges_and_zone() -> None:
    ask, notes = asked("range=2026-10-01..2026-10-02&grain=1w&tz=asia/kathmandu&week=sunday")
    assert (ask.span, ask.grain, ask.zone, ask.week, notes) == ("2026-10-01..2026-10-02", "1w", "Asia/Kathmandu", "sunday", ())
    ask, notes = asked("range=2026-10-02..2026-10-01")
    assert (ask.span, len(notes)) == ("1h", 1)
