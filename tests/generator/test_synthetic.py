"""Synthetic traffic: the same seed gives the same events, the mix holds, and every demo campaign shows its state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest

from dataflows.contract.schema import Event, event_decoder, to_micros
from dataflows.contract.settings import Settings
from generator.batches import Message
from generator.synthetic.campaigns import DEMO, campaigns, channels
from generator.synthetic.events import Plan, Synthetic
from generator.synthetic.faults import Injector
from generator.synthetic.traffic import Mix, cells_of, daily, outcomes_of, weights

NOON = 1_767_268_800_000_000  # 2026-01-01T12:00:00Z
MINUTE = 60_000_000


def messages(**options: Any) -> Iterator[Message]:
    given: dict[str, Any] = {"seed": 7, "start": NOON, **options}
    plan = Plan(**given)
    source = Synthetic(plan, Injector(plan.faults, plan.seed, plan.rate, Settings()))
    return (message for batch in source.batches() for message in batch.messages)


def events(**options: Any) -> list[Event]:
    decode = event_decoder().decode
    return [decode(value) for _, value in messages(**options)]


@pytest.fixture(scope="module")
def hour() -> list[Event]:
    """108,000 events: an hour at 30/s."""
    return events(rate=30.0, count=108_000)


def of(found: list[Event], campaign: str, *types: str) -> list[Event]:
    return [event for event in found if event.campaign_id == campaign and (not types or event.event_type in types)]


def minute(event: Event) -> float:
    return to_micros(event.timestamp) / MINUTE


def test_the_same_plan_gives_the_same_bytes() -> None:
    assert list(messages(count=20_000)) == list(messages(count=20_000))


def test_another_seed_start_or_rate_gives_no_id_of_the_first_plan() -> None:
    first = {key for key, _ in messages(count=2_000)}
    for other in ({"seed": 8}, {"start": NOON + 1}, {"rate": 21.0}):
        assert first.isdisjoint(key for key, _ in messages(count=2_000, **other))


@pytest.mark.parametrize("count", [1, 199, 4096, 5_000])
def test_a_shorter_run_is_the_beginning_of_a_longer_one(count: int) -> None:
    assert list(messages(count=count, rate=900.0)) == list(islice(messages(count=9_000, rate=900.0), count))


def test_event_times_lie_on_the_grid_of_the_rate() -> None:
    times = [to_micros(event.timestamp) for event in events(rate=7.0, count=500)]
    assert times == [NOON + int(index * 1_000_000 / 7) for index in range(500)]


def test_the_end_of_a_plan_is_the_last_slot_before_it() -> None:
    assert len(list(messages(rate=20.0, end=NOON + 10_000_000))) == 200
    assert len(list(messages(rate=20.0, end=NOON))) == 0


def test_impressions_clicks_and_conversions_are_80_17_3(hour: list[Event]) -> None:
    count = Counter(event.event_type for event in hour)
    conversions = count["conversion"] + count["purchase"]
    total = count["impression"] + count["click"] + conversions
    assert count["impression"] / total == pytest.approx(0.80, abs=0.005)
    assert count["click"] / total == pytest.approx(0.17, abs=0.005)
    assert conversions / total == pytest.approx(0.03, abs=0.002)
    assert 0 < count["refund"] + count["cost"] < 0.005 * total
    assert count["purchase"] > 0.4 * conversions


def test_another_mix_holds_as_well() -> None:
    count = Counter(event.event_type for event in events(mix=Mix(50, 30, 20), count=20_000))
    assert count["click"] / (count["impression"] + count["click"]) == pytest.approx(30 / 80, abs=0.02)


def test_the_mix_of_the_weights_is_exact_at_any_minute() -> None:
    cells = cells_of(DEMO, channels("6"))
    kinds = [outcome.kind for outcome in outcomes_of(cells)]
    for at in (0.0, 13.5, 777.7, 29_454_480.0):
        total = Counter[str]()
        for kind, weight in zip(kinds, weights(cells, Mix(), at), strict=True):
            total[kind] += weight  # pyright: ignore[reportArgumentType] - a Counter of floats
        assert total["impression"] == pytest.approx(80)
        assert total["click"] == pytest.approx(17)
        assert total["conversion"] + total["purchase"] == pytest.approx(3)


def test_ids_are_unique_and_are_the_kafka_keys(hour: list[Event]) -> None:
    assert len({event.event_id for event in hour}) == len(hour)
    decode = event_decoder().decode
    assert all(decode(value).event_id == key for key, value in messages(count=1_000))


def test_a_conversion_lags_a_click_of_the_same_user_by_five_seconds_or_more(hour: list[Event]) -> None:
    clicked: dict[tuple[str, str, str | None], int] = {}
    lags: list[int] = []
    converted = 0
    for event in hour:
        cell = (event.campaign_id, event.channel, event.user_id)
        if event.event_type == "click":
            clicked[cell] = to_micros(event.timestamp)
        elif event.event_type in ("conversion", "purchase"):
            converted += 1
            if cell in clicked:
                lags.append(to_micros(event.timestamp) - clicked[cell])
    # The click of some lies before the run began, as it would in a real log.
    assert len(lags) > 0.8 * converted
    assert sorted(lags)[len(lags) // 20] >= 5_000_000
    assert 20 < sum(lags) / len(lags) / 1e6 < 600


def test_refunds_give_back_an_earlier_purchase_once_and_no_more_than_it_brought(hour: list[Event]) -> None:
    bought: dict[str | None, Event] = {}
    refunds = 0
    for event in hour:
        if event.event_type == "purchase":
            assert event.order_id not in bought
            bought[event.order_id] = event
        elif event.event_type == "refund":
            refunds += 1
            purchase = bought.pop(event.order_id)
            assert (purchase.campaign_id, purchase.channel, purchase.user_id) == (event.campaign_id, event.channel, event.user_id)
            assert 0 < (event.revenue_micros or 0) <= (purchase.revenue_micros or 0)
    assert refunds > 50


def test_money_is_on_the_event_types_that_the_channel_charges(hour: list[Event]) -> None:
    charged = {(event.channel, event.event_type) for event in hour if event.cost_micros}
    assert ("search", "click") in charged
    assert ("search", "impression") not in charged
    assert ("display", "impression") in charged
    assert ("display", "click") not in charged
    assert ("email", "cost") in charged
    clicks = [event.cost_micros or 0 for event in hour if (event.channel, event.event_type) == ("search", "click")]
    assert sum(clicks) / len(clicks) == pytest.approx(1_100_000, rel=0.02)
    assert all(event.currency in ("USD", "EUR") for event in hour if event.cost_micros or event.revenue_micros)


def test_the_failing_campaign_keeps_its_clicks_and_loses_its_conversions(hour: list[Event]) -> None:
    def rate(low: float, high: float) -> float:
        clicks = sum(low <= minute(event) % 20 < high for event in of(hour, "checkout-outage", "click"))
        converted = sum(low <= minute(event) % 20 < high for event in of(hour, "checkout-outage", "conversion", "purchase"))
        assert clicks > 100
        return converted / clicks

    assert rate(12, 20) < 0.1 * rate(0, 12)


def test_the_silent_campaign_has_ten_minutes_without_an_event(hour: list[Event]) -> None:
    minutes = {int(minute(event) % 24) for event in of(hour, "flash-sale")}
    assert minutes == set(range(14))


def test_the_rising_campaign_rises(hour: list[Event]) -> None:
    per_minute = Counter(int(minute(event) % 45) for event in of(hour[:81_000], "spring-launch", "impression"))
    assert sum(per_minute[index] for index in range(30, 40)) > 2.5 * sum(per_minute[index] for index in range(10))


def test_the_flooded_campaign_has_bursts_of_clicks_that_do_not_convert(hour: list[Event]) -> None:
    clicks = Counter(minute(event) % 15 < 3 for event in of(hour, "bargain-clicks", "click"))
    impressions = Counter(minute(event) % 15 < 3 for event in of(hour, "bargain-clicks", "impression"))
    assert clicks[True] / impressions[True] > 4 * clicks[False] / impressions[False]


def test_one_campaign_spends_without_converting(hour: list[Event]) -> None:
    assert sum(event.cost_micros or 0 for event in of(hour, "awareness-film")) > 10_000_000
    assert not of(hour, "awareness-film", "conversion", "purchase")


def test_one_campaign_has_leads_without_revenue(hour: list[Event]) -> None:
    assert len(of(hour, "lead-form", "conversion")) > 50
    assert not any(event.revenue_micros for event in of(hour, "lead-form"))


def test_one_campaign_gives_back_much_and_one_earns_much(hour: list[Event]) -> None:
    def money(campaign: str, kind: str) -> int:
        return sum(event.revenue_micros or 0 for event in of(hour, campaign, kind))

    assert money("shoes-outlet", "refund") > 0.2 * money("shoes-outlet", "purchase")
    spend = sum(event.cost_micros or 0 for event in of(hour, "retargeting"))
    assert money("retargeting", "purchase") > 10 * spend


def test_one_campaign_is_tiny_and_one_is_the_largest(hour: list[Event]) -> None:
    sizes = Counter(event.campaign_id for event in hour)
    assert sizes.most_common(1)[0][0] == "always-on-brand"
    assert sizes.most_common()[-1][0] == "niche-b2b"
    assert sizes["niche-b2b"] < 0.01 * len(hour)


def test_every_demo_campaign_shows_itself_within_half_an_hour_of_twenty_a_second() -> None:
    assert {event.campaign_id for event in events(rate=20.0, count=36_000)} == {campaign.name for campaign in DEMO}


def test_the_daily_curve_peaks_at_the_hour_of_the_campaign() -> None:
    by_hour = {hour: daily(DEMO[4], hour * 60) for hour in range(24)}
    assert max(by_hour, key=by_hour.__getitem__) == DEMO[4].peak
    assert min(by_hour.values()) > 0


@pytest.mark.parametrize("number", [1, 5, 12, 40])
def test_there_are_as_many_campaigns_as_asked_for(number: int) -> None:
    assert len({campaign.name for campaign in campaigns(number)}) == number
    assert len({event.campaign_id for event in events(campaigns=number, count=40_000)}) == number


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ("1", {"search"}),
        ("search, podcast", {"search", "podcast"}),
        ("8", {"search", "social", "display", "video", "email", "affiliate", "channel-07", "channel-08"}),
    ],
)
def test_there_are_the_channels_asked_for_and_no_others(wanted: str, names: set[str]) -> None:
    assert {event.channel for event in events(channels=wanted, count=40_000)} == names


def test_a_name_with_quotes_and_accents_arrives_whole() -> None:
    assert 'Été & "Größe 40+"' in {event.campaign_id for event in events(count=5_000)}
