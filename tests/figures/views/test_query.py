"""The figures of a page: sums over sums, compared with the same minutes one period earlier."""

from __future__ import annotations

import itertools
import re

import msgspec
import numpy as np
import pytest

from dataflows.contract.schema import STATES, State
from figures.catalogue import BUILT_IN
from figures.store.store import Store
from figures.views.charts import COLORS
from figures.views.query import OverviewPage, page
from figures.views.rankings import short
from figures.views.view import View, from_query
from tests.support.results import BEGIN, result


def filled(minutes: int = 120) -> Store:
    store = Store()
    store.apply([result(minute=minute) for minute in range(minutes)])
    return store


def tile(shown: OverviewPage, name: str) -> float | None:
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


@pytest.mark.parametrize(("minutes", "fitting"), [(5, "15m"), (59, "15m"), (60, "30m"), (119, "30m"), (120, "1h"), (2000, "1h")])
def test_without_a_range_the_longest_one_is_shown_that_can_be_compared(minutes: int, fitting: str) -> None:
    store = Store(hours=48)
    store.apply([result(minute=minute) for minute in range(minutes)])
    assert page(store.snapshot(), View()).span.range == fitting


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


def test_a_filter_on_an_unknown_name_shows_nothing() -> None:
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
    for metric, name in itertools.product((measure.id for measure in BUILT_IN.tiles("spend")), ("15m", "1h")):
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
