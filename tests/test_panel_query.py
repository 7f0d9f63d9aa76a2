"""The figures of a page: sums over sums, compared with the same minutes one period earlier."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np
import pytest
from test_panel_store import BEGIN, result

from dataflows.schema import STATES, State, WindowResult
from panel_app.charts import COLORS, Tile
from panel_app.measures import TILES
from panel_app.query import Page, page
from panel_app.store import Store
from panel_app.tables import short
from panel_app.view import View, from_query


def filled(minutes: int = 120) -> Store:
    store = Store()
    store.apply([result(minute=minute) for minute in range(minutes)])
    return store


def tile(shown: Page, name: str) -> float | None:
    return next(one.value for one in shown.tiles if one.id == name)


def test_tiles_are_sums_over_sums_and_not_means_of_ratios() -> None:
    store = Store()
    store.apply(
        [
            result(
                campaign="big", impressions=1000, clicks=100, conversions=10, spend_micros=50_000_000, revenue_micros=9_000_000
            ),
            result(campaign="tiny", impressions=1, clicks=1, conversions=1, spend_micros=10_000_000, refund_micros=3_000_000),
        ]
    )
    shown = page(store.snapshot(), View())
    assert tile(shown, "spend") == 60.0
    assert tile(shown, "clicks") == 101
    assert tile(shown, "cpa") == pytest.approx(60 / 11)
    assert tile(shown, "ctr") == pytest.approx(101 / 1001)
    assert tile(shown, "roas") == pytest.approx(6 / 60)


def test_a_zero_denominator_gives_no_figure_rather_than_zero() -> None:
    store = Store()
    store.apply([result(impressions=0, clicks=0, spend_micros=0)])
    shown = page(store.snapshot(), View())
    assert [tile(shown, name) for name in ("cpa", "ctr", "roas")] == [None] * 3
    assert tile(shown, "spend") == 0.0


def test_an_empty_store_has_no_figures_at_all() -> None:
    shown = page(Store().snapshot(), View())
    assert shown.empty
    assert all(one.value is None for one in shown.tiles)
    assert shown.campaigns.rows == []


def test_the_range_ends_with_the_newest_window_and_not_with_the_clock() -> None:
    shown = page(filled(120).snapshot(), View(range="15m"))
    assert tile(shown, "clicks") == 15
    assert shown.span.newest_end == BEGIN + 120 * 60


def the(shown: Page, name: str) -> Tile:
    return next(one for one in shown.tiles if one.id == name)


def shown(view: View, *results: WindowResult) -> Page:
    """The page of a store that holds `results`, and a minute long before them: none of theirs is the first of the stream."""
    store = Store()
    store.apply([result(minute=-70), *results])
    return page(store.snapshot(), view)


def test_the_previous_period_is_the_same_span_one_length_earlier() -> None:
    minutes = [result(minute=minute, clicks=2 if minute < 60 else 3) for minute in range(120)]
    clicks = the(shown(View(range="1h"), *minutes), "clicks")
    assert (clicks.value, clicks.was, clicks.change, clicks.difference, clicks.compared) == (180, 120, 0.5, None, None)


CHANGES = {  # was, now: change, difference
    "a rise": (4, 5, 0.25, None),
    "a fall": (4, 3, -0.25, None),
    "no change": (4, 4, 0.0, None),
    "a fall to nothing": (4, 0, -1.0, None),
    "a rise of exactly 1,000 %": (1, 11, 10.0, None),
    "a rise beyond 1,000 %": (1, 12, None, 11),
    "a rise from nothing": (0, 5, None, 5),
    "nothing twice": (0, 0, None, 0),
    "a credit after nothing": (0, -2, None, -2),
    "from a credit to a charge": (-10, 10, None, 20),
    "from a charge to a credit": (10, -10, None, -20),
    "a larger credit": (-4, -5, -0.25, None),
    "a smaller credit": (-4, -3, 0.25, None),
    "a credit that ends": (-4, 0, 1.0, None),
    "a far smaller credit": (-4000, -1, 0.99975, None),
    "a far larger credit": (-1, -4000, None, -3999),
}


@pytest.mark.parametrize(("was", "now", "change", "difference"), CHANGES.values(), ids=CHANGES)
def test_a_change_has_the_sign_of_the_difference_and_is_one_where_a_percentage_has_no_meaning(
    was: int, now: int, change: float | None, difference: float | None
) -> None:
    found = shown(View(range="1h"), result(minute=30, spend_micros=was * 10**6), result(minute=119, spend_micros=now * 10**6))
    spend, (row,), (channel,) = the(found, "spend"), found.campaigns.rows, found.channels.rows
    assert (spend.value, spend.was, spend.change, spend.difference) == (now, was, change, difference)
    assert (row.change, row.difference) == (channel.change, channel.difference) == (change, difference)


def test_a_return_that_was_below_zero_and_is_above_it_has_risen() -> None:
    costs: dict[str, Any] = {"spend_micros": 10_000_000}
    found = shown(
        View(range="1h", metric="roas"),
        result(minute=30, campaign="a", refund_micros=5_000_000, **costs),
        result(minute=30, campaign="b", refund_micros=10_000_000, **costs),
        result(minute=119, campaign="a", revenue_micros=10_000_000, **costs),
        result(minute=119, campaign="b", refund_micros=20_000_000, **costs),
    )
    assert {row.name: (row.change, row.difference) for row in found.campaigns.rows} == {"a": (None, 1.5), "b": (-1.0, None)}


def test_a_figure_that_is_unknown_in_one_of_the_periods_has_neither_change_nor_difference() -> None:
    for minute in (30, 119):
        one, other = result(minute=minute, conversions=1), result(minute=149 - minute, conversions=0)
        cpa = the(shown(View(range="1h"), one, other), "cpa")
        assert (cpa.change, cpa.difference) == (None, None)
        assert (cpa.value is None) != (cpa.was is None)


def test_a_campaign_that_is_new_is_compared_with_the_nothing_before_it() -> None:
    found = shown(View(range="1h", metric="clicks", campaigns=("new",)), result(minute=30), result(minute=119, campaign="new"))
    assert (the(found, "clicks").was, the(found, "clicks").difference) == (0, 1)
    assert found.campaigns.rows[0].difference == 1


@pytest.mark.parametrize(("minutes", "fitting"), [(5, "15m"), (59, "15m"), (60, "30m"), (119, "30m"), (120, "1h"), (2000, "1h")])
def test_without_a_range_the_longest_one_is_shown_that_can_be_compared(minutes: int, fitting: str) -> None:
    store = Store(hours=48)
    store.apply([result(minute=minute) for minute in range(minutes)])
    assert page(store.snapshot(), View()).span.range == fitting


def test_a_previous_period_that_is_held_only_in_part_compares_with_nothing() -> None:
    assert all(one.was is None for one in page(filled(90).snapshot(), View(range="1h")).tiles)


def test_open_minutes_count_in_the_figure_and_leave_the_change_to_the_complete_ones() -> None:
    complete = [result(minute=minute, clicks=10 if minute < 60 else 15) for minute in range(119)]
    found = shown(View(range="1h"), *complete, result(minute=119, clicks=3, state="provisional"))
    clicks = the(found, "clicks")
    assert (clicks.value, clicks.compared, clicks.was) == (59 * 15 + 3, 59 * 15, 59 * 10)
    assert clicks.change == 0.5
    assert len(clicks.spark) == 59
    assert (found.span.counting, found.span.compared) == (60, 59 * 60)


def test_a_campaign_that_is_on_again_is_not_compared_with_what_was_never_counted() -> None:
    """A pause that ends in the open minute."""
    past = [result(minute=minute, clicks=10) for minute in range(30, 60)]
    found = shown(View(range="1h"), *past, result(minute=100), result(minute=119, clicks=50, state="provisional"))
    clicks = the(found, "clicks")
    assert (clicks.value, clicks.compared, clicks.was) == (51, 1, 29 * 10)
    assert clicks.change == pytest.approx(1 / 290 - 1)


OPEN = {
    "a slow partition": range(100, 120),
    "the newest are final": range(80, 110),
    "every other one": range(61, 120, 2),
    "a cell here and there": (64, 65, 99),
    "of the previous period": (10, 11, 12, 40),
    "of both": (10, 70, 71, 119),
    "the first of the range": (60,),
    "the last of the previous period": (59,),
}


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("open_", OPEN.values(), ids=OPEN)
def test_whatever_is_provisional_is_open_wherever_it_lies(open_: Iterable[int], wide: bool) -> None:
    minutes = [
        # Of a window one cell is final and the other one is not.
        result(minute, campaign, clicks=100 + minute, state="provisional" if minute in open_ and campaign == "b" else "final")
        for minute in range(120)
        for campaign in "ab"
    ]
    more = [result(minute=-65, spend_micros=2**62)] if wide else []
    found = shown(View(range="1h", metric="clicks"), *more, *minutes)
    clicks = the(found, "clicks")
    compared = [minute for minute in range(60, 120) if minute not in open_ and minute - 60 not in open_]
    now, was = (2 * sum(100 + minute for minute in given) for given in (compared, [minute - 60 for minute in compared]))
    assert clicks.value == 2 * sum(range(160, 220))
    assert (clicks.compared, clicks.was, clicks.change) == (now, was, (now - was) / was)
    assert [row.change for row in found.campaigns.rows] == [pytest.approx(clicks.change, rel=1e-5)] * 2
    assert [at for at, marked in enumerate(found.chart.open) if marked] == [minute - 60 for minute in open_ if minute >= 60]
    assert [at for at, value in enumerate(found.chart.previous) if value is None] == [minute for minute in open_ if minute < 60]
    assert {at for at, value in enumerate(clicks.spark) if value is None} <= {minute - 60 for minute in open_}
    assert found.span.compared == 60 * len(compared)
    for row in found.campaigns.rows:
        assert sum(value is None for value in row.trend) == len({(minute - 60) // 2 for minute in open_ if minute >= 60}) - (
            30 - len(row.trend)
        )


def test_where_every_minute_is_open_nothing_is_compared() -> None:
    found = shown(View(range="15m"), *(result(minute, state="provisional") for minute in range(40)))
    clicks = the(found, "clicks")
    assert (clicks.value, clicks.was, clicks.change, clicks.difference, clicks.compared, clicks.spark) == (
        15,
        None,
        None,
        None,
        None,
        [],
    )
    assert (found.span.compared, found.span.counting, found.span.held) == (0, 900, 900)


def test_the_first_minute_that_is_held_is_in_no_comparison_and_no_line() -> None:
    store = Store()
    store.apply([result(minute=minute, clicks=1 if minute == 0 else 10) for minute in range(30)])
    found = page(store.snapshot(), View(range="15m", metric="clicks"))
    clicks = the(found, "clicks")
    assert (clicks.value, clicks.compared, clicks.was, clicks.change) == (150, 140, 140, 0.0)
    assert found.chart.previous == [None, *[10.0] * 14]
    wider = page(store.snapshot(), View(range="30m", metric="clicks"))
    assert [at for at, marked in enumerate(wider.chart.partial) if marked] == [0]
    assert the(wider, "clicks").spark == [None, *[10.0] * 29]
    day = page(store.snapshot(), View(range="24h", metric="clicks"))
    assert (day.chart.partial.count(True), day.chart.previous) == (1, [])
    assert (day.span.held, day.span.compared) == (0, 0)


def test_a_corrected_minute_is_marked() -> None:
    store = filled(60)
    store.apply([result(minute=30, revision=13, state="corrected")])
    assert [at for at, fixed in enumerate(page(store.snapshot(), View(range="1h")).chart.fixed) if fixed] == [30]


@pytest.mark.parametrize("name", ["15m", "30m", "1h", "3h", "6h", "24h", "7d", "30d"])
@pytest.mark.parametrize(("hours", "days"), [(72, 0), (2, 30)])
def test_chart_tables_and_tiles_of_every_range_add_up_to_the_same(name: str, hours: float, days: float) -> None:
    store = Store(hours, days)
    store.apply([result(minute=minute, campaign=f"c{minute % 4}", channel=f"h{minute % 3}") for minute in range(2 * 1440 + 17)])
    shown = page(store.snapshot(), View(range=name, metric="clicks"))
    clicks = tile(shown, "clicks")
    assert clicks == sum(value or 0 for line in shown.chart.series for value in line.values)
    at = shown.campaigns.columns.index("clicks")
    assert clicks == sum(row.figures[at] or 0 for row in shown.campaigns.rows)
    assert clicks == sum(row.figures[at] or 0 for row in shown.channels.rows)
    assert shown.funnel["clicks"] == clicks
    if name in ("7d", "30d"):
        assert clicks == 2 * 1440 + 17


def test_filters_narrow_every_part_of_the_page() -> None:
    store = Store()
    store.apply([result(campaign=campaign, channel=channel) for campaign in "ab" for channel in "xyz"])
    shown = page(store.snapshot(), View(campaigns=("a",), channels=("x", "y")))
    assert tile(shown, "clicks") == 2
    assert [row.name for row in shown.campaigns.rows] == ["a"]
    assert [row.name for row in shown.channels.rows] == ["x", "y"]


def test_a_filter_on_a_name_that_nobody_knows_shows_nothing() -> None:
    assert page(filled(5).snapshot(), View(campaigns=("no such",))).empty


def test_small_channels_share_one_line_so_that_the_chart_still_adds_up() -> None:
    store = Store()
    store.apply([result(channel=f"h{at:02}", clicks=at + 1) for at in range(30)])
    lines = page(store.snapshot(), View(metric="clicks")).chart.series
    assert len(lines) == 8
    assert lines[-1].name is None
    assert sum(value or 0 for line in lines for value in line.values) == 30 * 31 / 2


def test_the_table_sorts_searches_and_counts() -> None:
    store = Store()
    store.apply([result(campaign=f"Sale {at:02}", spend_micros=at * 10**6) for at in range(25)])
    snapshot = store.snapshot()
    table = page(snapshot, View()).campaigns
    assert [row.name for row in table.rows][:2] == ["Sale 24", "Sale 23"]
    assert (len(table.rows), table.matched, table.total) == (10, 25, 25)
    assert len(page(snapshot, View(all_rows=True)).campaigns.rows) == 25
    found = page(snapshot, View(search="sale 1", sort="name", descending=False)).campaigns
    assert [row.name for row in found.rows] == [f"Sale {at}" for at in range(10, 20)]


def test_campaigns_without_a_figure_come_last_in_either_order() -> None:
    store = Store()
    store.apply([result(campaign="none", conversions=0), result(campaign="some", conversions=1)])
    for descending in (True, False):
        rows = page(store.snapshot(), View(sort="cpa", descending=descending)).campaigns.rows
        assert [row.name for row in rows] == ["some", "none"]


@pytest.mark.parametrize("state", STATES)
def test_sums_beyond_64_bits_come_out_as_large_numbers(state: State) -> None:
    store = Store()
    store.apply([result(campaign=f"c{at % 4}", channel=f"h{at}", spend_micros=2**80, state=state) for at in range(8)])
    shown = page(store.snapshot(), View())
    assert tile(shown, "spend") == pytest.approx(8 * 2**80 / 1e6)
    assert [row.figures[0] for row in shown.campaigns.rows] == [pytest.approx(2 * 2**80 / 1e6, rel=1e-5)] * 4
    assert sum(value or 0 for line in shown.chart.series for value in line.values) == pytest.approx(8 * 2**80 / 1e6, rel=1e-5)


def test_windows_of_another_length_make_points_of_that_length() -> None:
    store = Store()
    store.apply([result(minute=60 * hour) for hour in range(5)])
    shown = page(store.snapshot(), View(range="3h"), window=3600)
    assert tile(shown, "clicks") == 3
    assert shown.span.bucket == 3600


@pytest.mark.parametrize("large", [1, 2**60])
def test_no_figure_of_a_page_is_a_negative_zero(large: int) -> None:
    store = Store()
    rows = [{"spend_micros": -5 * large, "conversions": 1}, {"spend_micros": 0, "conversions": 1}, {"spend_micros": large}]
    store.apply([result(minute=at, campaign=f"c{at % 3}", channel=f"h{at % 2}", **rows[at % 3]) for at in range(240)])
    for metric, name in itertools.product(TILES, ("15m", "1h")):
        text = msgspec.json.encode(page(store.snapshot(), View(metric=metric, range=name))).decode()
        assert not re.search(r"-0(\.0+)?(e[+-]?\d+)?[,\]}]", text)
    assert str(short(np.array([-0.0, -1e-300, -1e-17, 0.0]))) == str([0.0] * 4)


def test_a_page_is_json() -> None:
    msgspec.json.decode(msgspec.json.encode(page(filled(10).snapshot(), View(metric="cpa"))))


def test_every_field_of_a_view_is_read_from_the_url() -> None:
    query = "?range=6h&campaign=a%26b&campaign=c&channel=%3Cx%3E&metric=cpa&chart=share&sort=clicks&order=asc&q=sale&rows=all&theme=dark"
    assert from_query(query) == View(
        campaigns=("a&b", "c"),
        channels=("<x>",),
        range="6h",
        metric="cpa",
        chart="share",
        sort="clicks",
        descending=False,
        search="sale",
        all_rows=True,
    )


@pytest.mark.parametrize(
    "query", ["", "?", "?range=99y&metric=__class__&chart=&sort=%00&order=up&rows=-1", "?%ff=%fe&range", "range=9h&" * 600]
)
def test_nonsense_in_the_url_is_left_at_its_default(query: str) -> None:
    assert from_query(query) == View()


def test_no_two_channels_that_are_drawn_together_have_one_colour_and_the_known_ones_keep_theirs() -> None:
    store = Store()
    names = ["search", "Search", "video", *(f"other {at:02}" for at in range(20))]
    store.apply([result(minute=minute, channel=name, clicks=50 - at) for minute in range(30) for at, name in enumerate(names)])
    for channels in ((), ("other 00", "other 08", "other 16"), ("search", "other 03", "other 11")):
        series = page(store.snapshot(), View(range="15m", metric="clicks", channels=channels)).chart.series
        colors = [one.color for one in series if one.name is not None]
        assert len({color % COLORS for color in colors}) == len(colors)
        assert {one.name: one.color for one in series}.get("search", 0) == 0
