"""Heatmap and scatter: the same sums as the tables, looked at another way."""

from __future__ import annotations

import pytest

from figures.store.store import Store
from figures.views.query import OverviewPage, page
from figures.views.view import View
from tests.support.results import result


def shown(view: View | None = None, campaigns: int = 3) -> OverviewPage:
    store = Store()
    store.apply(
        result(minute=minute, campaign=f"c{number}", channel=channel, clicks=number + 1, conversions=number, impressions=50)
        for minute in range(30)
        for number in range(campaigns)
        for channel in ("search", "social", "display")[: 1 + number % 3]
    )
    return page(store.snapshot(), view or View(range="30m"))


@pytest.mark.parametrize("metric", ["spend", "clicks", "conversions"])
def test_the_rows_of_the_heatmap_add_up_to_the_campaigns_and_its_columns_to_the_channels(metric: str) -> None:
    found = shown(View(range="30m", metric=metric))
    heat = found.heatmap
    place = found.campaigns.columns.index(metric)
    rows = {row.name: row.figures[place] for row in found.campaigns.rows}
    columns = {row.name: row.figures[place] for row in found.channels.rows}
    assert {name: sum(value or 0 for value in values) for name, values in zip(heat.campaigns, heat.values, strict=True)} == rows
    assert {name: sum(values[at] or 0 for values in heat.values) for at, name in enumerate(heat.channels)} == columns


def test_a_cell_without_traffic_is_empty_and_not_nought() -> None:
    heat = shown().heatmap
    row = heat.values[heat.campaigns.index("c0")]
    assert row[heat.channels.index("search")] == 30.0
    assert row[heat.channels.index("display")] is None


def test_rates_of_a_cell_are_sums_over_sums_and_the_largest_stand_first() -> None:
    heat = shown(View(range="30m", metric="ctr")).heatmap
    assert heat.campaigns[0] == "c2"
    assert heat.values[0] == [pytest.approx(3 / 50)] * 3


def test_what_finds_no_room_is_counted() -> None:
    found = shown(View(range="30m"), campaigns=14)
    assert len(found.heatmap.campaigns) == 10
    assert found.heatmap.more == (4, 0)


def test_the_points_are_the_campaigns_with_what_they_spent_and_got_for_it() -> None:
    found = shown().scatter
    assert found.by == "campaign"
    assert {(one.name, one.spend, one.cpa, one.conversions) for one in found.points} == {
        ("c0", 30.0, None, 0.0),
        ("c1", 60.0, 1.0, 60.0),
        ("c2", 90.0, 0.5, 180.0),
    }


def test_the_points_of_a_single_campaign_are_its_channels() -> None:
    found = shown(View(range="30m", campaigns=("c2",))).scatter
    assert found.by == "channel"
    assert {one.name for one in found.points} == {"search", "social", "display"}


def test_the_points_stay_two_hundred_however_many_campaigns_there_are() -> None:
    found = shown(View(range="30m"), campaigns=230).scatter
    assert (len(found.points), found.more) == (200, 30)


def test_what_spent_nothing_or_got_money_back_is_counted_among_those_without_a_point() -> None:
    store = Store()
    store.apply([result(campaign=name, spend_micros=micros) for name, micros in (("a", 5), ("b", 0), ("c", -5))])
    found = page(store.snapshot(), View()).scatter
    assert ([point.name for point in found.points], found.more) == (["a"], 2)
