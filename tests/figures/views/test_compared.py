"""What is compared with the period before: which minutes, and what is shown where a percentage has no meaning."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from dataflows.contract.schema import WindowResult
from figures.store.store import Store
from figures.views.charts import Tile
from figures.views.query import OverviewPage, page
from figures.views.view import View
from tests.support.results import result


def the(shown: OverviewPage, name: str) -> Tile:
    return next(one for one in shown.tiles if one.id == name)


def shown(view: View, *results: WindowResult) -> OverviewPage:
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


def test_a_previous_period_that_is_held_only_in_part_compares_with_nothing() -> None:
    found = shown(View(range="3h"), *(result(minute) for minute in range(120)))
    assert all(one.was is one.change is one.difference is one.compared is None for one in found.tiles)
    assert found.chart.previous == []
    assert (found.span.held, found.span.compared) == (600, 0)


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
