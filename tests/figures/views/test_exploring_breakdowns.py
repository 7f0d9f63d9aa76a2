"""Explore by fields of breakdowns and under filters on their values, also by the days, weeks and months of a zone."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from dataflows.contract.breakdowns import Value
from dataflows.contract.schema import rfc3339
from dataflows.contract.settings import Settings
from figures.service import Service
from figures.views.view import scope_of
from panel_app.api.explore import find
from tests.support.results import result

CELLS: dict[tuple[Value, ...], int] = {
    ("DE", "tv"): 1,
    ("DE", None): 2,
    (None, None): 4,
    ("(other)", "time"): 8,
    (True, True): 32,
}
HOURS = 72
"""Hours of data, from noon in UTC of the day before the clock is put back in Berlin (2026-10-25)."""
BEGIN = int(dt.datetime(2026, 10, 24, 12, tzinfo=dt.UTC).timestamp())


@pytest.fixture(scope="module")
def service() -> Service:
    made = Service(Settings(breakdowns="where=country,time"), clock=lambda: BEGIN + 3600.0 * HOURS)
    for hour in range(HOURS):
        start = BEGIN + 3600 * hour

        def row(clicks: int, start: int = start) -> Any:
            return msgspec.structs.replace(result(clicks=clicks), window_start=rfc3339(start), window_end=rfc3339(start + 60))

        made.store.apply([row(sum(CELLS.values()))])
        for values, clicks in CELLS.items():
            made.breakdowns["where"].apply([row(clicks)], values=[values])
    return made


def totals(service: Service, query: str) -> dict[str, float]:
    figures, notes = find(service, f"measure=clicks&kind=bar&range=all&{query}")
    assert not notes
    return dict(figures.frame.select(*figures.dimensions, "clicks").rows())


def test_a_split_by_a_field_tells_its_values_from_what_is_not_set_and_what_was_not_admitted(service: Service) -> None:
    assert totals(service, "by=country") == {
        "DE": 3 * HOURS,
        "(not set)": 4 * HOURS,
        "“(other)”": 8 * HOURS,
        "(other)": 32 * HOURS,
    }
    # A field may have the name of another column.
    assert totals(service, "by=time&f.country=DE") == {"tv": HOURS, "(not set)": 2 * HOURS}


@pytest.mark.parametrize("by", ["country,time", "f.time,country", "time,campaign,country"])
def test_a_split_by_several_fields_has_a_column_of_each_and_a_row_of_each_combination(service: Service, by: str) -> None:
    figures, notes = find(service, f"measure=clicks&kind=bar&range=all&by={by}")
    assert not notes
    columns = [{"country": "country", "campaign": "campaign"}.get(name, "f.time") for name in sorted(by.split(","), key=len)]
    assert sorted(figures.dimensions) == sorted(columns)
    words = {None: "(not set)", True: "(other)", "(other)": "“(other)”"}
    assert dict(zip(figures.frame.select("country", "f.time").rows(), figures.frame["clicks"], strict=True)) == {
        tuple(words.get(value, value) for value in values): clicks * HOURS for values, clicks in CELLS.items()
    }


def test_fields_that_no_breakdown_has_together_do_not_split(service: Service) -> None:
    figures, notes = find(service, "measure=clicks&kind=bar&range=all&by=country,ad_id")
    assert (figures.dimensions, len(notes)) == (("channel",), 1)
    assert notes[0].startswith(
        "`by` is not applied: it must be campaign, channel, currency, a field of a breakdown (country, time)"
    )


@pytest.mark.parametrize(
    ("query", "wanted"),
    [("", 47), ("f.country=DE", 3), ("x.country.other=1", 15), ("f.country=(other)", 8), ("country=DE&time=tv", 1)],
)
def test_filters_on_values_apply_to_every_split(service: Service, query: str, wanted: int) -> None:
    for by in ("none", "channel", "campaign,channel", "country", "country,time", "channel,f.time"):
        figures, notes = find(service, f"measure=clicks&kind=bar&range=all&by={by}&{query}")
        assert not notes
        assert figures.frame["clicks"].sum() == wanted * HOURS, by


def test_an_embed_stays_within_its_filters_whatever_is_asked(service: Service) -> None:
    declared = service.settings.breakdown_list
    scope = scope_of("embed=1&f.country=DE", declared)
    for query in ("", "f.country.other=1", "x.country=DE", "breakdown=other", "by=country"):
        figures, _notes = find(service, f"embed=1&measure=clicks&kind=bar&range=all&by=none&{query}", scope)
        assert figures.frame["clicks"].sum() <= 3 * HOURS, query


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"])
@pytest.mark.parametrize("grain", ["1d", "1w", "1mo", "1h"])
def test_points_are_those_of_the_zone(service: Service, zone: str, grain: str) -> None:
    figures, notes = find(service, f"measure=clicks&by=none&kind=table&range=all&grain={grain}&tz={zone}")
    assert not notes
    wanted: dict[Any, int] = {}
    for hour in range(HOURS):
        local = dt.datetime.fromtimestamp(BEGIN + 3600 * hour, ZoneInfo(zone))
        date = local.date()
        first = date - dt.timedelta(days=date.weekday()) if grain == "1w" else date.replace(day=1) if grain == "1mo" else date
        key = (date, local.hour, local.utcoffset()) if grain == "1h" else first
        wanted[key] = wanted.get(key, 0) + sum(CELLS.values())
    assert figures.frame["clicks"].to_list() == list(wanted.values())
    if grain == "1d":
        starts = [at.replace(tzinfo=dt.UTC).astimezone(ZoneInfo(zone)) for at in figures.frame["time"].to_list()]
        assert [at.date() for at in starts] == list(wanted)
        assert {(at.hour, at.minute) for at in starts} == {(0, 0)}


def test_a_range_of_days_is_that_of_the_zone(service: Service) -> None:
    query = "measure=clicks&by=none&kind=bar&range=2026-10-25..2026-10-25"
    hours = {"Europe/Berlin": 25, "UTC": 24, "Australia/Lord_Howe": 24}
    for zone, count in hours.items():
        frame = find(service, f"{query}&tz={zone}")[0].frame
        assert frame["clicks"].sum() == count * sum(CELLS.values()), zone
    assert len(find(service, "measure=clicks&range=2020-01-01..2020-01-02")[0].frame) == 0
