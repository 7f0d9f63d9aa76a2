"""Files of the overview under filters on values: each holds what its card shows."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from dataflows.contract.breakdowns import Value
from dataflows.contract.settings import Settings
from figures.service import Service
from panel_app.api.downloads import SHEETS, sheet
from tests.support.results import BEGIN, result

CELLS: dict[tuple[Value, ...], int] = {
    ("DE", "tv"): 1,
    ("DE", None): 2,
    (None, None): 4,
    ("(other)", "(not set)"): 8,
    (True, True): 32,
}
ALL = sum(CELLS.values())


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    made = Service(Settings(breakdowns="where=country,device"), clock=lambda: BEGIN + 60.0)
    made.store.apply([result(clicks=ALL)])
    for values, clicks in CELLS.items():
        made.breakdowns["where"].apply([result(clicks=clicks)], values=[values])
    yield made
    made.stop()


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("", ALL),
        ("f.country=DE", 3),
        ("x.country=DE", ALL - 3),
        ("f.country=DE&f.country.null=1", 7),
        ("f.country=(other)", 8),
        ("f.country.other=1", 32),
        ("f.country=DE&x.device.null=1", 1),
    ],
)
def test_every_file_of_the_overview_has_the_clicks_that_the_page_shows(service: Service, query: str, wanted: int) -> None:
    page = json.loads(service.answer(query))["page"]
    assert next(one["value"] for one in page["tiles"] if one["id"] == "clicks") == wanted
    for what in SHEETS:
        frame = sheet(service, what, query)[1].frame
        assert frame["clicks"].sum() == wanted, what


def test_the_file_of_a_breakdown_has_the_rows_of_its_table_in_their_order(service: Service) -> None:
    for query in ("metric=clicks", "metric=clicks&border=asc", "bsort=name&border=asc", "metric=clicks&bq=other"):
        rows = json.loads(service.answer(query))["page"]["breakdown"]["rows"]
        frame = sheet(service, "breakdown", query)[1].frame
        shown = [tuple(None if value is True else value for value in row["values"]) for row in rows]
        assert frame.select("country", "device").rows() == shown, query
        assert frame["other"].to_list() == [row["kinds"][0] == "other" for row in rows]
    frame = sheet(service, "breakdown", "split=device&metric=clicks")[1].frame
    assert frame.select("device", "other", "clicks").rows() == [
        (None, True, 32),
        ("(not set)", False, 8),
        (None, False, 6),
        ("tv", False, 1),
    ]
