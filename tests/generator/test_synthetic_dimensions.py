"""Dimensions of synthetic events: ads, keywords, placements, devices and countries, in believable shares; declared types; currencies."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import msgspec
import pytest

from dataflows.contract import event_types
from dataflows.contract.settings import Settings
from generator.synthetic.ads import rotation_of
from generator.synthetic.campaigns import DEMO, campaigns, currencies_of
from generator.synthetic.events import Plan, Synthetic
from generator.synthetic.faults import Injector

NOON = 1_767_268_800_000_000  # 2026-01-01T12:00:00Z
DECLARED = "add_to_cart,lead:conversion,renewal:purchase,chargeback:refund,view:impression,tap:click"

Fields = dict[str, Any]


def events(**options: Any) -> list[Fields]:
    given: dict[str, Any] = {"seed": 7, "start": NOON, "count": 60_000, "rate": 50.0, "currencies": ("USD", "EUR"), **options}
    plan = Plan(**given)
    source = Synthetic(plan, Injector(plan.faults, plan.seed, plan.rate, Settings()))
    return [msgspec.json.decode(value) for batch in source.batches() for _, value in batch.messages]


@pytest.fixture(scope="module")
def found() -> list[Fields]:
    """20 minutes at 50/s, with declared types."""
    return events(declared=event_types.parse(DECLARED))


def of(found: list[Fields], *kinds: str, **fields: str) -> list[Fields]:
    return [
        each for each in found if each["event_type"] in kinds and all(each.get(field) == value for field, value in fields.items())
    ]


def share(found: list[Fields], field: str, value: str | None) -> float:
    return sum(each.get(field) == value for each in found) / len(found)


def test_keywords_are_on_search_only_and_placements_on_display_and_video_only(found: list[Fields]) -> None:
    assert {each["channel"] for each in found if "keyword" in each} == {"search"}
    assert {each["channel"] for each in found if "placement" in each} == {"display", "video"}


def test_keywords_have_a_long_tail(found: list[Fields]) -> None:
    seen = Counter(each["keyword"] for each in of(found, "impression", campaign_id="always-on-brand") if "keyword" in each)
    top = sum(count for _, count in seen.most_common(len(seen) // 5))
    assert len(seen) > 50
    assert top > 0.5 * seen.total()
    assert min(seen.values()) * 20 < max(seen.values())


def test_every_event_but_a_fee_has_an_ad_of_its_own_campaign_channel_and_ad_group(found: list[Fields]) -> None:
    homes = defaultdict[str, set[tuple[str, ...]]](set)
    for each in found:
        if each["event_type"] == "cost":
            assert not {"ad_id", "device", "country", "user_id"} & each.keys()
        else:
            homes[each["ad_id"]].add((each["campaign_id"], each["channel"], each["adgroup_id"]))
    assert all(len(home) == 1 for home in homes.values())


def test_a_campaign_has_the_number_of_ads_asked_for_on_each_channel() -> None:
    seen = defaultdict[tuple[str, str], set[str]](set)
    for each in events(campaigns=3, channels="search,social", ads=50, count=40_000):
        if each["event_type"] != "cost":
            seen[each["campaign_id"], each["channel"]].add(each["ad_id"])
    assert {len(ads) for ads in seen.values()} == {50}


def test_the_share_of_phones_is_that_of_the_channel(found: list[Fields]) -> None:
    assert share(of(found, "impression", channel="social"), "device", "mobile") > 0.8
    assert 0.5 < share(of(found, "impression", channel="search"), "device", "mobile") < 0.65
    assert share(of(found, "impression", channel="video"), "device", "tv") > 0.2
    assert share(of(found, "impression", channel="search"), "device", "tv") == 0.0


def test_people_click_more_on_phones_and_buy_more_on_desktops(found: list[Fields]) -> None:
    def rates(device: str) -> tuple[float, float]:
        seen, clicked = (len(of(found, kind, device=device)) for kind in ("impression", "click"))
        return clicked / seen, len(of(found, "conversion", "purchase", device=device)) / clicked

    (mobile_ctr, mobile_cvr), (desktop_ctr, desktop_cvr), (tv_ctr, _) = map(rates, ("mobile", "desktop", "tv"))
    assert mobile_ctr > 1.1 * desktop_ctr
    assert desktop_cvr > 1.4 * mobile_cvr
    assert tv_ctr < 0.3 * desktop_ctr


def test_ads_of_a_campaign_differ_in_size_and_in_how_often_they_are_clicked(found: list[Fields]) -> None:
    seen, clicked = (
        Counter(each["ad_id"] for each in of(found, kind, campaign_id="always-on-brand", channel="search"))
        for kind in ("impression", "click")
    )
    rates = [clicked[ad] / seen[ad] for ad in seen]
    assert max(seen.values()) > 3 * min(seen.values())
    assert max(rates) > 1.4 * min(rates)


def test_some_events_have_no_device_or_country_but_few(found: list[Fields]) -> None:
    impressions = of(found, "impression")
    assert 0.01 < share(impressions, "device", None) < 0.04
    assert 0.015 < share(impressions, "country", None) < 0.05
    assert 0.03 < share(of(found, "impression", channel="display"), "placement", None) < 0.15


def test_a_user_has_one_device_and_one_country(found: list[Fields]) -> None:
    of_user = defaultdict[str, set[tuple[str | None, str | None]]](set)
    for each in found:
        if "user_id" in each:
            of_user[each["user_id"]].add((each.get("device"), each.get("country")))
    assert len(of_user) > 5_000
    assert all(len(kinds) == 1 for kinds in of_user.values())


def test_a_click_id_is_on_a_click_and_on_what_follows_it_with_the_same_ad(found: list[Fields]) -> None:
    clicks = {each["click_id"]: each for each in of(found, "click", "tap") if "click_id" in each}
    followed = [each for each in found if "click_id" in each and each["event_type"] not in ("click", "tap")]
    assert len(clicks) == len([each for each in of(found, "click", "tap") if each["channel"] != "email"])
    assert {each["event_type"] for each in followed} >= {"conversion", "purchase", "refund", "add_to_cart", "lead"}
    for each in followed:
        click = clicks[each["click_id"]]
        fields = (
            "campaign_id",
            "channel",
            "adgroup_id",
            "ad_id",
            "keyword",
            "placement",
            "landing_page",
            "device",
            "country",
            "user_id",
        )
        assert [each.get(field) for field in fields] == [click.get(field) for field in fields]
    assert not any("click_id" in each for each in of(found, "impression"))
    assert not any("landing_page" in each for each in of(found, "impression"))


def test_declared_types_are_those_of_the_settings_with_what_their_role_carries(found: list[Fields]) -> None:
    built_in = {"impression", "click", "conversion", "purchase", "refund", "cost"}
    declared = {each.name: each.role for each in event_types.parse(DECLARED)}
    count = Counter(each["event_type"] for each in found)
    assert count.keys() == built_in | declared.keys()
    assert not {each["event_type"] for each in events(count=5_000)} - built_in
    assert count["add_to_cart"] > count["conversion"] + count["purchase"] > count["lead"]
    with_money = {each["event_type"] for each in found if "revenue_micros" in each}
    assert with_money == {"purchase", "refund", "renewal", "chargeback"}
    conversions = count["conversion"] + count["purchase"]
    assert conversions / (count["impression"] + count["click"] + conversions) == pytest.approx(0.03, abs=0.003)


def test_a_campaign_bills_in_one_currency_and_few_in_the_second(found: list[Fields]) -> None:
    currency_of = defaultdict[str, set[str]](set)
    for each in found:
        currency_of[each["campaign_id"]].add(each.get("currency", "USD"))
        if "cost_micros" in each or "revenue_micros" in each:
            assert "currency" in each
    abroad = {campaign.name for campaign in DEMO if campaign.abroad}
    assert currency_of == {campaign.name: {"EUR" if campaign.name in abroad else "USD"} for campaign in DEMO}
    assert share(of(found, "impression", campaign_id="shoes-outlet"), "country", "DE") > 0.3
    assert share(of(found, "impression", campaign_id="always-on-brand"), "country", "US") > 0.6


def test_further_currencies_take_turns_and_one_alone_is_that_of_all() -> None:
    some = campaigns(60)
    assert Counter(currencies_of(some, ("GBP",))) == {"GBP": 60}
    count = Counter(currencies_of(some, ("USD", "EUR", "JPY")))
    assert count["USD"] > 40
    assert count["EUR"] == pytest.approx(count["JPY"], abs=1)
    # An event without an amount names a currency too, unless it is the deployment's.
    assert all(each["currency"] == "GBP" for each in events(currencies=("GBP",), count=2_000))


def test_a_campaign_has_the_same_ads_in_every_run() -> None:
    def ads(seed: int) -> set[str]:
        return {each["ad_id"] for each in events(seed=seed, count=30_000) if each["campaign_id"] == "always-on-brand"}

    assert ads(1) == ads(2)


@pytest.mark.parametrize(("ads", "keywords"), [(1, 1), (2, 500), (1_000, 3)])
def test_any_number_of_ads_and_keywords_is_within_the_bounds_of_the_contract(ads: int, keywords: int) -> None:
    rotation = rotation_of("x", "search", "keyword", ads=ads, keywords=keywords, size=64)
    shown = [msgspec.json.decode(f"{{{text[1:]}}}") for text in rotation.shown]
    assert len({each["ad_id"] for each in shown}) == ads
    assert all(0 < len(value) <= 256 for each in shown for value in each.values())
