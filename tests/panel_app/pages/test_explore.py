"""The Explore page: what it asks of the store, and that hvplot draws it whatever the names are."""

from __future__ import annotations

import datetime as dt
from typing import Any

import holoviews as hv
import msgspec
import pandas as pd
import panel as pn
import polars as pl
import pytest
from bokeh.models import CategoricalAxis, DatetimeAxis, NumeralTickFormatter

from dataflows.contract.settings import Settings
from figures.catalogue import BUILT_IN
from figures.service import Service
from figures.views import exploring
from figures.views.exploring import KINDS, OTHERS, Ask, ExploreFigures, from_query
from panel_app.api.explore import shown
from panel_app.pages import plots
from panel_app.pages.plots import draw, readable
from tests.support.results import BEGIN, result


def find(service: Service, ask: Ask) -> ExploreFigures:
    return exploring.find(service.snapshot(), ask, service.settings.window_seconds)


SPLITS = [(), ("channel",), ("campaign",), ("campaign", "channel"), ("campaign", "channel", "currency")]


@pytest.fixture
def service(settings: Settings) -> Service:
    made = Service(settings, clock=lambda: BEGIN + 3600.0)
    rows = [
        result(minute=minute, campaign=f"c{at}", channel="$$x$$" if at else "time") for minute in range(90) for at in range(20)
    ]
    made.store.apply([*rows, result(minute=90, campaign="c0", state="provisional", clicks=7)])
    return made


@pytest.mark.parametrize("by", SPLITS)
def test_totals_by_any_dimension_add_up_to_everything(service: Service, by: tuple[str, ...]) -> None:
    found = find(service, Ask(measures=("clicks",), by=by, span="all", kind="bar"))
    assert found.frame["clicks"].sum() == 90 * 20 + 7


@pytest.mark.parametrize("grain", ["1m", "5m", "15m", "1h", "1d", "1w", "1mo"])
def test_any_grain_of_time_adds_up_to_the_same(service: Service, grain: str) -> None:
    found = find(service, Ask(measures=("clicks",), by=("channel",), span="all", grain=grain, kind="table"))
    assert found.frame["clicks"].sum() == 90 * 20 + 7


@pytest.mark.parametrize("by", [("campaign",), ("campaign", "channel")])
def test_lines_show_the_largest_and_the_sum_of_all_others(service: Service, by: tuple[str, ...]) -> None:
    service.store.apply([result(minute=89, campaign=OTHERS, channel="x", clicks=500, impressions=500, spend_micros=10**12)])
    found = find(service, Ask(measures=("clicks", "ctr"), by=by))
    assert found.dimensions == by
    assert len(found.frame.select(by).unique()) == 12
    assert f"11 largest of {21 + (len(by) > 1)}" in found.note
    last = found.frame.filter(pl.col("time") == dt.datetime.fromtimestamp(BEGIN + 60 * 89, dt.UTC).replace(tzinfo=None))
    assert last["clicks"].sum() == 20 + 500
    others = last.filter(pl.col("campaign") == OTHERS)
    assert others.select("clicks", "ctr").rows() == [(20 - 10, 0.1)]
    assert others.select(by).row(0) == (OTHERS, OTHERS)[: len(by)]
    # A campaign of that name is not the sum.
    assert last.filter(pl.col("campaign") == f"“{OTHERS}”")["clicks"].to_list() == [500]


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("by", SPLITS)
def test_every_kind_of_plot_can_be_drawn_of_every_split(service: Service, kind: str, by: tuple[str, ...]) -> None:
    drawn = draw(find(service, Ask(measures=("spend", "cpa"), by=by, kind=kind)), currency="USD", dark=True)
    assert drawn.get_root() is not None


@pytest.mark.parametrize("kind", ["line", "area", "bar", "heatmap"])
def test_axes_say_what_their_figures_are(service: Service, kind: str) -> None:
    measures = ("spend", "ctr", "clicks")
    drawn = draw(find(service, Ask(measures=measures, by=("channel",), kind=kind)), currency="USD", dark=False)
    assert isinstance(drawn, pn.Column)
    figures = [hv.render(pane.object) for pane in drawn if isinstance(pane, pn.pane.HoloViews)]
    formats = [{one.format for one in figure.select(NumeralTickFormatter)} for figure in figures]
    assert formats == [{"$0,0[.]00"}, {"0,0[.]0%"}, {"0,0[.]0"}]
    # Names and times are written as they were.
    named = [axis for figure in figures for axis in figure.axis if isinstance(axis, CategoricalAxis | DatetimeAxis)]
    assert not any(isinstance(axis.formatter, NumeralTickFormatter) for axis in named)
    assert len(named) == (6 if kind == "heatmap" else 3)
    assert [figure.title.text for figure in figures] == ["Spend, USD", "Click rate (CTR)", "Clicks"]


WRITTEN = {
    ("cpa", "EUR", 12.5): ("Cost per conversion (CPA), EUR", "0,0[.]00"),
    ("cpa", "USD", 12.5): ("Cost per conversion (CPA), USD", "$0,0[.]00"),
    ("cpc", "JPY", 0.045): ("Cost per click (CPC), JPY", "0,0[.]0000"),
    ("ctr", "EUR", 0.21): ("Click rate (CTR)", "0,0[.]0%"),
    ("ctr", "EUR", 0.0004): ("Click rate (CTR)", "0,0[.]0000%"),
    ("roas", "EUR", 0.0): ("Return on spend (ROAS)", "0,0[.]00"),
}


@pytest.mark.parametrize(("given", "wanted"), WRITTEN.items(), ids=lambda one: f"{one[0]} {one[1]}")
def test_money_is_named_only_dollars_have_their_sign_and_small_figures_keep_digits_that_matter(
    given: tuple[str, str, float], wanted: tuple[str, str]
) -> None:
    measure, currency, largest = given
    label, formatter = plots.written(BUILT_IN.measures[measure], currency, largest)
    assert (label, formatter.format) == wanted


def test_points_that_are_open_or_not_held_whole_are_not_drawn(settings: Settings) -> None:

    def minutes(grain: str, newest: int) -> list[float]:
        service = Service(settings)
        service.store.apply([result(at, state="provisional" if at in (12, 29) else "final") for at in range(2, newest + 1)])
        found = find(service, from_query(f"range=1h&grain={grain}&by=none")).incomplete
        return [(at.replace(tzinfo=dt.UTC).timestamp() - BEGIN) / 60 for at in found]

    assert minutes("1m", 29) == [2, 12, 29]
    assert minutes("5m", 29) == [0, 10, 25]
    assert minutes("5m", 31) == [0, 10, 25, 30]


def test_an_empty_store_draws_a_line_of_text(settings: Settings) -> None:
    for asked in (Ask(), Ask(by=(), kind="bar"), Ask(by=(), kind="table", span="all")):
        found = find(Service(settings), asked)
        assert found.frame.is_empty()
        assert isinstance(draw(found, currency="USD", dark=False), pn.pane.Str)


def test_a_question_is_read_from_the_url_and_nonsense_left_at_its_default() -> None:
    asked = from_query("?measure=cpa&measure=roas&measure=evil&by=channel,campaign&range=6h&grain=5m&kind=area")
    assert asked == Ask(measures=("cpa", "roas"), by=("campaign", "channel"), span="6h", grain="5m", kind="area")
    assert from_query("?measure=x&by=__class__&range=1y&grain=0&kind=") == Ask()
    assert from_query("by=campaign&" * 600) == Ask(by=("campaign",))
    assert from_query("by=none") == Ask(by=())


@pytest.mark.parametrize(
    "name", ["$$\\alert{}$$", "\u202egnp", "a\u0000b", "", " ", "\u3164", "a\u200db", "\u200d\u200d\u200d", "x" * 10_000]
)
def test_a_name_in_a_plot_holds_no_tex_and_nothing_invisible(name: str) -> None:
    shown = readable(name)
    assert 0 < len(shown) <= 40
    assert not set(shown) & set("$\u202e\u0000\u3164\u200d")


@pytest.mark.parametrize("name", ["می\u200cخواهم", "क\u094d\u200dष", "👩\u200d👧"])
def test_a_name_in_a_plot_keeps_the_joiners_that_its_script_is_written_with(name: str) -> None:
    assert readable(name) == name


def test_bars_left_out_are_reported_and_each_bar_has_the_height_of_its_name(settings: Settings) -> None:
    one = Service(settings)
    one.store.apply([result(campaign=f"campaign {at:02}") for at in range(40)])
    found = find(one, from_query("by=campaign&kind=bar"))
    assert found.note == "The 25 largest of 40 are drawn; the table lists them all."
    assert len(found.frame) == 40
    layout = draw(found, currency="USD", dark=True)
    assert isinstance(layout, pn.Column)
    (pane,) = layout
    assert (pane.height or 0) >= 25 * 20


def drawn_axes(found: ExploreFigures, zone: str = "UTC") -> tuple[Any, Any]:
    """Where the axis of times begins and ends."""
    bounds = hv.render(only_pane(found, zone).object).x_range
    return pd.Timestamp(bounds.start), pd.Timestamp(bounds.end)


def only_pane(found: ExploreFigures, zone: str = "UTC") -> pn.pane.HoloViews:
    drawn = draw(found, currency="USD", dark=False, zone=zone)
    assert isinstance(drawn, pn.Column)
    (pane,) = drawn
    assert isinstance(pane, pn.pane.HoloViews)
    return pane


@pytest.mark.parametrize("kind", ["line", "area"])
@pytest.mark.parametrize("by", SPLITS[:2])
def test_a_line_of_one_point_is_as_long_as_its_point_lasts(settings: Settings, kind: str, by: tuple[str, ...]) -> None:
    made = Service(settings, clock=lambda: BEGIN + 3600.0)
    made.store.apply([result(minute=minute, campaign="c", channel="x") for minute in range(15)])
    found = find(made, Ask(by=by, kind=kind, grain="1h"))
    assert found.frame["time"].n_unique() == 1
    begin, end = drawn_axes(found)
    assert end - begin == dt.timedelta(hours=1)


def test_a_heatmap_of_one_time_has_its_time_as_a_name(settings: Settings) -> None:
    made = Service(settings, clock=lambda: BEGIN + 3600.0)
    made.store.apply([result(minute=0, campaign="c", channel="x")])
    (axis,) = hv.render(only_pane(find(made, Ask(kind="heatmap"))).object).below
    assert isinstance(axis, CategoricalAxis)


def test_the_axis_has_the_times_of_the_viewers_zone_and_utc_where_polars_does_not_know_it(service: Service) -> None:
    found = find(service, Ask())
    utc = drawn_axes(found)
    assert drawn_axes(found, plots.zone_of("Asia/Kolkata")) == tuple(at + dt.timedelta(hours=5.5) for at in utc)
    for name in ("", "Mars/Olympus", "utc\0", "../etc/localtime"):
        assert drawn_axes(found, plots.zone_of(name)) == utc


def test_the_table_begins_with_the_newest_rows(service: Service) -> None:
    found = find(service, Ask(measures=("clicks",), by=("campaign",), span="3h", kind="table"))
    answer = msgspec.json.decode(shown(7, found, (), "UTC"))
    assert answer["total"] > len(answer["rows"])
    times = [row[0] for row in answer["rows"]]
    assert times == sorted(times, reverse=True)
    assert times[0] == found.frame["time"].dt.strftime("%Y-%m-%dT%H:%M:%S").max()
