"""The table of a breakdown: its rows add up, "(other)" and "(not set)" are no texts, and filtered figures come from its rows."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from dataflows.contract.breakdowns import Breakdown
from dataflows.contract.settings import Settings
from figures.service import Service
from figures.store.rows import Values
from figures.views.view import View, asked, scope_of
from tests.support.results import BEGIN, result

WHERE = Breakdown("where", ("country", "device"))
CELLS: dict[tuple[str, str, Values], int] = {
    ("a", "x", ("DE", "tv")): 1,
    ("a", "x", ("DE", None)): 2,
    ("a", "y", (None, None)): 4,
    ("b", "x", ("(other)", "(not set)")): 8,
    ("b", "y", ("FR", "tv")): 16,
    ("b", "y", (True, True)): 32,
}
MINUTES = 4


def filled(minutes: int = MINUTES) -> Service:
    service = Service(Settings(breakdowns="where=country,device;device"), clock=lambda: BEGIN + 60.0 * minutes)
    for minute in range(minutes):
        cells: dict[tuple[str, str], int] = {}
        for (campaign, channel, values), clicks in CELLS.items():
            cells[campaign, channel] = cells.get((campaign, channel), 0) + clicks
            rows = [result(minute, campaign, channel, clicks=clicks, impressions=100)]
            service.breakdowns["where"].apply(rows, values=[values])
        service.store.apply(
            [result(minute, *cell, clicks=clicks, impressions=100 * len(CELLS)) for cell, clicks in cells.items()]
        )
    return service


def page(service: Service, *query: tuple[str, str]) -> dict[str, Any]:
    return json.loads(service.answer(urlencode([("metric", "clicks"), *query])))["page"]


def rows(table: dict[str, Any]) -> dict[tuple[Any, ...], float]:
    """Clicks by values."""
    at = table["columns"].index("clicks")
    found = {tuple(row["values"]): row["figures"][at] for row in table["rows"]}
    assert len(found) == len(table["rows"])
    kinds = {None: "null", True: "other"}
    assert all(row["kinds"] == [kinds.get(value, "text") for value in row["values"]] for row in table["rows"])
    return found


def tile(shown: dict[str, Any]) -> float:
    return next(one["value"] for one in shown["tiles"] if one["id"] == "clicks")


def test_the_rows_of_all_fields_and_of_one_add_up_to_the_figures_of_the_page() -> None:
    service = filled()
    shown = page(service)
    table = shown["breakdown"]
    assert (table["name"], table["fields"], table["total_rows"]) == ("where", ["country", "device"], 6)
    assert [each["name"] for each in table["names"]] == ["where", "device"]
    other, unset = True, None
    both = {
        ("DE", "tv"): 1,
        ("DE", unset): 2,
        (unset, unset): 4,
        ("(other)", "(not set)"): 8,
        ("FR", "tv"): 16,
        (other, other): 32,
    }
    assert rows(table) == {key: MINUTES * clicks for key, clicks in both.items()}
    assert sum(rows(table).values()) == tile(shown) == MINUTES * 63
    assert next(iter(rows(table))) == (other, other)
    assert table["coverage"] == pytest.approx(31 / 63, abs=1e-6)
    assert table["other"] == pytest.approx(32 / 63, abs=1e-6)
    assert table["other_figures"][table["columns"].index("clicks")] == MINUTES * 32
    devices = page(service, ("split", "device"))["breakdown"]
    assert rows(devices) == {(unset,): 24, ("tv",): 68, ("(not set)",): 32, (other,): 128}
    assert shown["figures_of"] == ""
    service.stop()


@pytest.mark.parametrize(
    ("query", "clicks"),
    [
        ([("f.device", "tv")], 17),
        ([("device", "tv")], 17),
        ([("f.device.null", "1")], 6),
        ([("f.device.other", "1")], 32),
        ([("f.country", "(other)")], 8),
        ([("x.device", "tv")], 46),
        ([("x.device", "tv"), ("x.country.other", "1")], 14),
        ([("f.device", "tv"), ("f.device", "(not set)")], 25),
        ([("f.device", "tv"), ("campaign", "a")], 1),
        ([("f.device", "tv"), ("channel", "y")], 16),
        ([("f.country", "DE"), ("f.device", "tv")], 1),
        ([("f.device", "phone")], 0),
    ],
)
def test_under_filters_on_values_every_figure_is_that_of_the_breakdown(query: list[tuple[str, str]], clicks: int) -> None:
    service = filled()
    shown = page(service, ("breakdown", "where"), *query)
    assert shown["figures_of"] == "where"
    at = shown["campaigns"]["columns"].index("clicks")
    assert (tile(shown) or 0) == MINUTES * clicks
    assert sum(row["figures"][at] for row in shown["campaigns"]["rows"]) == MINUTES * clicks
    assert sum(row["figures"][at] for row in shown["channels"]["rows"]) == MINUTES * clicks
    assert sum(value or 0 for line in shown["heatmap"]["values"] for value in line) == MINUTES * clicks
    assert sum(value or 0 for line in shown["chart"]["series"] for value in line["values"]) == MINUTES * clicks
    assert sum(rows(shown["breakdown"]).values()) == MINUTES * clicks
    campaign = dict(query).get("campaign")
    channel = dict(query).get("channel")
    inside = {key: size for key, size in CELLS.items() if campaign in (None, key[0]) and channel in (None, key[1])}
    share = 1 - sum(size for key, size in inside.items() if key[2] == (True, True)) / sum(inside.values())
    assert shown["breakdown"]["coverage"] == pytest.approx(share, abs=1e-6)
    service.stop()


def test_the_table_is_searched_sorted_and_cut_to_the_top() -> None:
    service = Service(Settings(breakdowns="device"), clock=lambda: BEGIN + 60.0)
    values: list[Values] = [(f"Device {at:02}",) for at in range(30)]
    service.breakdowns["device"].apply([result(clicks=at + 1) for at in range(30)], values=values)
    service.store.apply([result(clicks=465)])
    table = page(service)["breakdown"]
    assert list(rows(table).values()) == list(range(30, 20, -1))
    assert (table["total"], table["total_rows"]) == (30, 30)
    assert len(page(service, ("brows", "all"))["breakdown"]["rows"]) == 30
    least = page(service, ("bsort", "clicks"), ("border", "asc"))["breakdown"]
    assert list(rows(least).values()) == list(range(1, 11))
    named = page(service, ("bsort", "name"), ("border", "asc"), ("bq", "DEVICE 2"))["breakdown"]
    assert [key for (key,) in rows(named)] == [f"Device {at}" for at in range(20, 30)]
    assert (named["total"], named["total_rows"]) == (30, 10)
    service.stop()


def test_changes_compare_with_the_same_minutes_of_the_period_before() -> None:
    service = Service(Settings(breakdowns="device"), clock=lambda: BEGIN + 1860.0)
    for minute in range(31):
        clicks = 2 if minute < 16 else 3
        service.breakdowns["device"].apply([result(minute, clicks=clicks)], values=[("tv",)])
        service.store.apply([result(minute, clicks=clicks)])
    (row,) = page(service, ("range", "15m"))["breakdown"]["rows"]
    assert row["change"] == pytest.approx(0.5)
    service.stop()


@pytest.mark.parametrize("span", ["15m", "3h"])
@pytest.mark.parametrize("split", ["", "device"])
def test_each_row_has_the_trend_of_its_own_clicks(span: str, split: str) -> None:
    minutes, fields = 41, 1 if split else 2
    service = Service(Settings(breakdowns="ad=device,ad_id"), clock=lambda: BEGIN + 60.0 * minutes)
    ads: list[Values] = [("tv", None), ("tv", "a"), (None, "a"), (True, True)]
    held: list[tuple[int, Values, int]] = []
    for query in [()] * minutes + [(("x.device", "tv"),)]:
        minute = len(held) // len(ads)
        if minute < minutes:
            new = [(minute, ad, 1 + minute % 3 + 10 * at) for at, ad in enumerate(ads)]
            held += new
            service.breakdowns["ad"].apply([result(minute, clicks=clicks) for *_, clicks in new], values=[ad for _, ad, _ in new])
            service.store.apply([result(minute, clicks=sum(clicks for *_, clicks in new))])
            for store in (service.store, service.breakdowns["ad"]):
                store.snapshot()
        found = page(service, ("range", span), ("split", split), ("bsort", "clicks"), *query)
        chart, rows = found["chart"], found["breakdown"]["rows"]
        assert len(rows) == len({ad[:fields] for ad in ads if not query or ad[0] != "tv"})
        step = 1 if span == "15m" else 2
        starts = [*chart["t"], chart["t"][-1] + found["span"]["bucket"]]
        for row in rows:
            clicks = [(BEGIN + 60 * at, count) for at, ad, count in held if list(ad[:fields]) == row["values"]]
            for place, shown in enumerate(row["trend"]):
                first, last = place * step, (place + 1) * step
                unknown = any(chart["open"][first:last]) or any(chart["partial"][first:last]) or starts[first] < BEGIN
                expected = sum(count for at, count in clicks if starts[first] <= at < starts[last])
                assert shown == (None if unknown else expected)
    service.stop()


def test_without_breakdowns_there_is_no_table_and_nothing_held_is_an_empty_one() -> None:
    bare = Service(Settings())
    assert page(bare)["breakdown"] is None
    service = Service(Settings(breakdowns="device"))
    table = page(service)["breakdown"]
    assert (table["rows"], table["coverage"], table["other"], table["state"]) == ([], None, None, "starting")
    for one in (bare, service):
        one.stop()


def test_filters_that_no_breakdown_has_together_are_not_applied_and_named() -> None:
    declared = (Breakdown("ad", ("ad_id",)), Breakdown("device", ("device",)))
    both = asked("f.ad_id=1&f.device=tv", breakdowns=declared)
    assert both.view.filters == ()
    assert "no breakdown has `ad_id` and `device` together" in both.notes[0]
    assert asked("f.device=tv", breakdowns=declared).view.breakdown == "device"
    assert asked("breakdown=ad&f.device=tv", breakdowns=declared).view.filters == ()
    assert asked("f.browser=tv", breakdowns=declared).notes
    assert asked("breakdown=device&split=ad_id", breakdowns=declared).view == View(breakdown="device")


def test_an_embed_can_not_leave_the_filter_on_values_that_it_was_opened_with() -> None:
    declared = (Breakdown("device", ("device",)), Breakdown("ad", ("ad_id",)))
    scope = scope_of("embed=1&f.device=tv", breakdowns=declared)
    for query in ("", "breakdown=ad", "f.ad_id=1", "x.device=tv", "f.device=phone"):
        assert scope.filters[0] in asked(query, breakdowns=declared, scope=scope).view.filters
        assert asked(query, breakdowns=declared, scope=scope).view.breakdown == "device"
