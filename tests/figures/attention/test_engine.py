"""Needs attention: a change is reported once, with its beginning and its money; what chance explains is not."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import polars as pl
import pytest

from dataflows.contract.schema import WindowResult, rfc3339
from dataflows.contract.settings import Settings
from figures.attention.engine import NOTHING, Attention, Report
from figures.attention.findings import Finding
from figures.service import Service
from figures.store.store import Store
from tests.support.results import BEGIN, result

MINUTES, CHANGED = 200, 170
NAMES = tuple(f"c{at}" for at in range(8))
Change = Callable[[int, str, dict[str, Any]], None]


def nothing(_minute: int, _campaign: str, _sums: dict[str, Any]) -> None:
    """Steady traffic."""


def traffic(change: Change = nothing, names: tuple[str, ...] = NAMES, minutes: int = MINUTES, scale: float = 1.0) -> Store:
    """A store with Poisson-like counts of each campaign: 100 impressions, 20 clicks, 4 conversions, 20 units spent a minute."""
    draw = random.Random(11)
    store = Store()
    found: list[WindowResult] = []
    for minute in range(minutes):
        for name in names:
            drawn = [sum(draw.random() < scale * mean / 400 for _ in range(400)) for mean in (100, 20, 4)]
            sums: dict[str, Any] = dict(zip(("impressions", "clicks", "conversions"), drawn, strict=True))
            sums |= {"spend_micros": sums["clicks"] * 1_000_000, "revenue_micros": sums["conversions"] * 10_000_000}
            change(minute, name, sums)
            if any(sums.values()):
                found.append(result(minute=minute, campaign=name, **sums))
    store.apply(found)
    return store


def scaled(first: int = CHANGED, names: tuple[str, ...] = ("c0",), **factors: float) -> Change:
    """Multiply some sums of some campaigns from minute `first` on."""

    def change(minute: int, campaign: str, sums: dict[str, Any]) -> None:
        if minute >= first and campaign in names:
            for name, value in sums.items():
                sums[name] = round(value * factors.get(name, factors.get("everything", 1.0)))

    return change


def looked(store: Store, minutes: int = MINUTES, attention: Attention | None = None) -> Report:
    return (attention or Attention()).report(store.snapshot(), BEGIN + 60 * minutes)


def the_one(report: Report) -> Finding:
    assert len(report.findings) == 1, report.findings
    return report.findings[0]


def test_steady_traffic_needs_no_attention_and_says_what_was_checked() -> None:
    report = looked(traffic())
    assert report.findings == []
    assert (report.campaigns, report.until) == (len(NAMES), BEGIN + 60 * MINUTES)
    assert report.hours == pytest.approx(MINUTES / 60)


def test_a_campaign_that_fell_silent_is_reported_with_the_missing_revenue() -> None:
    one = the_one(looked(traffic(scaled(everything=0.0))))
    assert (one.kind, one.campaign, one.metric, one.count) == ("silent", "c0", "clicks", 0)
    assert one.since == BEGIN + 60 * CHANGED
    assert one.usual == pytest.approx(120, rel=0.05)
    assert one.money_kind == "missed"
    assert one.money == pytest.approx(30 * 40, rel=0.15)
    assert one.chance < 1e-9


def test_spend_without_conversions_is_reported_with_the_spend_since_then() -> None:
    one = the_one(looked(traffic(scaled(conversions=0.0, revenue_micros=0.0))))
    assert (one.kind, one.campaign, one.metric, one.now) == ("unconverted", "c0", "conversions", None)
    assert one.money_kind == "spent"
    assert one.money == pytest.approx(30 * 20, rel=0.2)
    assert one.expected == pytest.approx(30 * 4, rel=0.25)
    assert abs(one.since - BEGIN - 60 * CHANGED) <= 180


def test_a_jump_of_cost_per_conversion_is_reported_with_its_extra_cost() -> None:
    one = the_one(looked(traffic(scaled(spend_micros=3.0))))
    assert (one.kind, one.campaign, one.metric) == ("cpa_up", "c0", "cpa")
    assert one.now is not None
    assert one.usual is not None
    assert one.now / one.usual == pytest.approx(3.0, rel=0.2)
    assert one.money == pytest.approx(30 * 40, rel=0.2)


def test_a_halved_click_rate_is_reported_with_its_figures() -> None:
    one = the_one(looked(traffic(scaled(clicks=0.5, conversions=0.5, spend_micros=0.5, revenue_micros=0.5))))
    assert (one.kind, one.campaign, one.metric) == ("ctr_down", "c0", "ctr")
    assert one.now == pytest.approx(0.1, rel=0.15)
    assert one.usual == pytest.approx(0.2, rel=0.1)
    assert abs(one.since - BEGIN - 60 * CHANGED) <= 120


def test_a_click_flood_is_one_finding_and_not_one_for_each_figure_that_it_spoils() -> None:
    one = the_one(looked(traffic(scaled(first=MINUTES - 6, clicks=5.0, spend_micros=5.0))))
    assert (one.kind, one.campaign, one.metric, one.money_kind) == ("flood", "c0", "clicks", "extra")
    assert one.since == BEGIN + 60 * (MINUTES - 6)
    assert one.money == pytest.approx(6 * 80, rel=0.25)


def test_traffic_that_multiplies_with_its_impressions_is_not_a_flood() -> None:
    one = the_one(looked(traffic(scaled(first=MINUTES - 10, everything=4.0))))
    assert (one.kind, one.campaign) == ("surge", "c0")


def test_a_change_of_the_whole_site_is_reported_once_for_all_campaigns() -> None:
    one = the_one(looked(traffic(scaled(names=NAMES, clicks=0.4, conversions=0.4, spend_micros=0.4, revenue_micros=0.4))))
    assert (one.kind, one.campaign) == ("ctr_down", None)


def test_a_campaign_that_never_converted_is_measured_by_its_channel() -> None:
    one = the_one(looked(traffic(scaled(first=0, conversions=0.0, revenue_micros=0.0))))
    assert (one.kind, one.campaign) == ("unconverted", "c0")
    assert one.expected == pytest.approx(MINUTES * 4, rel=0.1)
    assert one.since == BEGIN


def test_a_handful_of_events_proves_nothing() -> None:
    report = looked(traffic(scaled(first=MINUTES - 8, clicks=0.0), scale=0.04))
    assert report.findings == []


def test_one_extreme_minute_raises_no_alarm() -> None:
    def spike(minute: int, campaign: str, sums: dict[str, Any]) -> None:
        if minute == MINUTES - 1 and campaign == "c0":
            sums["clicks"] *= 40

    assert looked(traffic(spike)).findings == []


def test_what_is_over_is_not_reported() -> None:
    def outage(minute: int, campaign: str, sums: dict[str, Any]) -> None:
        if campaign == "c0" and CHANGED <= minute < CHANGED + 15:
            sums.update(dict.fromkeys(sums, 0))

    assert looked(traffic(outage)).findings == []


def test_open_minutes_are_not_looked_at() -> None:
    assert looked(traffic(scaled(first=MINUTES - 6, clicks=9.0)), MINUTES - 6).findings == []


def test_nothing_is_computed_again_until_a_minute_is_complete_or_an_old_one_is_corrected() -> None:
    store, attention = traffic(), Attention()
    first = looked(store, attention=attention)
    store.apply([result(minute=MINUTES, state="provisional")])
    assert looked(store, attention=attention) is first
    for minute in (3, MINUTES - 1):
        before = looked(store, attention=attention)
        store.apply([result(minute=minute, campaign="c1", clicks=5, revision=99, state="corrected")])
        assert looked(store, attention=attention) is not before
    assert looked(store, MINUTES + 1, attention) is not first


def reopened(store: Store, minutes: Iterable[int], part: float) -> Store:
    """Open these minutes again, with that `part` of what was counted in them: a partition is behind."""
    rows = store.snapshot().between(0, 2**40, 60).with_columns((pl.col("t") - BEGIN) // 60)
    names = store.snapshot().campaigns.names
    sums = ("impressions", "clicks", "conversions", "spend_micros", "revenue_micros")
    store.apply(
        [
            result(
                row["t"],
                names[row["campaign"]],
                state="provisional",
                revision=13,
                **{name: round(row[name] * part) for name in sums},
            )
            for row in rows.filter(pl.col("t").is_in([*minutes])).iter_rows(named=True)
        ]
    )
    return store


@pytest.mark.parametrize("minutes", [range(150, 190), range(180, 198), range(100, 200, 3)], ids=["older", "newer", "every third"])
def test_minutes_that_are_open_are_no_evidence_wherever_they_lie(minutes: range) -> None:
    assert looked(reopened(traffic(), minutes, 0.3)).findings == []
    assert looked(reopened(traffic(), minutes, 0.0)).findings == []


def test_what_changed_before_and_after_open_minutes_is_found_all_the_same() -> None:
    for store in (traffic(scaled(everything=0.0)), traffic(scaled(spend_micros=3.0))):
        clean = the_one(looked(store))
        one = the_one(looked(reopened(store, range(150, 160), 0.2)))
        assert (one.kind, one.campaign) == (clean.kind, clean.campaign)
        assert one.usual == pytest.approx(clean.usual, rel=0.1)
        assert one.money == pytest.approx(clean.money, rel=0.1)
        assert abs(one.since - clean.since) <= 180


def test_a_minute_that_becomes_final_is_looked_at_without_another_event() -> None:
    store, attention = reopened(traffic(), [MINUTES - 3], 1.0), Attention()
    first = looked(store, attention=attention)
    rows = store.snapshot().between(0, 2**40, 60)
    store.apply([result(MINUTES - 3, name, revision=13) for name in NAMES])
    assert len(rows) == len(store.snapshot().between(0, 2**40, 60))
    assert looked(store, attention=attention) is not first


def test_a_finding_keeps_its_beginning_while_it_lasts_and_goes_when_it_is_over() -> None:
    def outage(minute: int, campaign: str, sums: dict[str, Any]) -> None:
        if campaign == "c0" and 120 <= minute < 160:
            sums.update(dict.fromkeys(("conversions", "revenue_micros"), 0))

    store, attention = traffic(outage), Attention()
    told = [looked(store, minute, attention).findings for minute in range(115, MINUTES)]
    shown = [at + 115 for at, findings in enumerate(told) if findings]
    assert shown == list(range(shown[0], shown[-1] + 1))
    assert 120 < shown[0] <= 135
    assert 159 <= shown[-1] < 175
    begun = {one.since for findings in told for one in findings}
    assert len(begun) == 1
    assert abs(min(begun) - BEGIN - 60 * 120) <= 180


def test_after_a_clear_what_was_found_is_forgotten() -> None:
    store, attention = traffic(scaled(everything=0.0)), Attention()
    assert looked(store, attention=attention).findings
    store.clear()
    assert attention.report(store.snapshot(), 60) == NOTHING
    store.apply([result(minute=minute, campaign="c0") for minute in range(MINUTES, MINUTES + 5)])
    assert looked(store, MINUTES + 5, attention).findings == []


@pytest.mark.parametrize("late", [0, 11])
def test_too_little_history_is_not_judged(late: int) -> None:
    # However the minutes lie in the quarter of an hour that they are kept by.
    store = Store()
    store.apply([result(minute=late + minute) for minute in range(17)])
    report = looked(store, late + 17)
    assert (report.campaigns, report.findings) == (0, [])
    assert Attention().report(Store().snapshot(), 60) == NOTHING


def test_windows_of_five_minutes_are_judged_as_well() -> None:
    def wide(minute: int, **sums: Any) -> WindowResult:
        start = BEGIN + 300 * minute
        made = result(**sums)
        return msgspec.structs.replace(made, window_start=rfc3339(start), window_end=rfc3339(start + 300))

    store = Store()
    quiet: dict[str, Any] = {"impressions": 500, "clicks": 100, "conversions": 20}
    store.apply([wide(at, **quiet | ({"clicks": 30} if at >= 42 else {})) for at in range(48)])
    one = the_one(Attention(300).report(store.snapshot(), BEGIN + 300 * 48))
    assert (one.kind, one.since) == ("ctr_down", BEGIN + 300 * 42)


def test_values_beyond_64_bits_crash_nothing() -> None:
    store = Store()
    store.apply([result(minute=minute, clicks=2**70, spend_micros=2**70) for minute in range(60)])
    assert looked(store, 60).campaigns == 1


def test_nothing_is_said_while_the_topic_is_read_for_the_rest_of_it_would_look_silent(settings: Settings) -> None:
    service = Service(settings)
    service.store = traffic(scaled(everything=0.0))
    assert service.attention(service.snapshot()).findings
    service.feed.reporter.enter("reading")
    assert service.attention(service.snapshot()) == NOTHING
    held = msgspec.json.decode(service.answer(""))
    service.feed.reporter.enter("live")
    # The figures are the same, and yet the browser gets a new answer.
    assert msgspec.json.decode(service.answer("", have=held["token"]))["attention"]["findings"]


def test_the_answer_to_a_browser_contains_the_report_and_the_page(settings: Settings) -> None:
    service = Service(settings)
    service.store.apply([result(minute=minute) for minute in range(60)])
    answer = msgspec.json.decode(service.answer(""))
    assert answer["attention"]["campaigns"] == 1
    assert msgspec.json.decode(service.answer("", have=answer["token"]))["attention"] is None
