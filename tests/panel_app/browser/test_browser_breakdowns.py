"""Breakdowns in the overview: filters in the URL, figures that add up, hostile values; and the days of a zone in the chart."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Browser, Page, expect

from dataflows.contract.breakdowns import Value
from dataflows.contract.schema import breakdown_codec, breakdown_key
from dataflows.contract.settings import Settings
from tests.support.browser.pages import HOSTILE, SECOND, choose_zone, exact, recent
from tests.support.browser.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
FIELDS = ("adgroup_id", "ad_id")


@pytest.fixture
def site(browser: Browser, settings: Settings) -> Iterator[Site]:
    """A dashboard with the breakdown `ad`, and another one without rows."""
    made = Site(browser, msgspec.structs.replace(settings, breakdowns="ad=adgroup_id,ad_id;device"))
    made.start()
    yield made
    made.stop()
    for context in list(browser.contexts):
        context.close()


def sent(site: Site, cells: dict[tuple[Value, ...], int], minutes: int = 3) -> None:
    """Put a row for each of `cells` (clicks by values) on the topic of the breakdown, and their sum on that of the results."""
    settings = site.world.settings
    breakdown, topic = settings.breakdown_list[0], settings.breakdown_topics[0]
    codec = breakdown_codec(breakdown)
    for minute in range(minutes):
        for values, clicks in cells.items():
            row = recent(minute, clicks=clicks, impressions=100 * clicks, spend_micros=10**6 * clicks)
            key = breakdown_key(row.window_start, row.campaign_id, row.channel, values, row.currency)
            site.world.producer.produce(topic, codec.encode(row, values), key)
        total = sum(cells.values())
        site.world.send(recent(minute, clicks=total, impressions=100 * total, spend_micros=10**6 * total))
    site.holds(minutes)


def rows(page: Page) -> list[str]:
    return page.locator("#breakdown tbody th .only").all_inner_texts()


def test_values_are_filtered_by_a_click_and_the_figures_are_those_of_their_rows(site: Site) -> None:
    cells: dict[tuple[Value, ...], int] = {
        ("g1", "a1"): 1,
        ("g1", "a2"): 2,
        ("g2", None): 4,
        ("g2", "(other)"): 8,
        (True, True): 16,
    }
    sent(site, cells)
    page = site.open("/?range=15m&metric=clicks&every=off")
    expect(page.locator("#breakdown tbody tr")).to_have_count(len(cells))
    assert rows(page) == ["(other)", "(other)", "(not set)", "a2", "a1"]
    # What is not a text looks unlike a text of the same words.
    assert page.locator("#breakdown tbody th em").all_inner_texts() == ["(other)", "(not set)"]
    expect(page.locator("#breakdown")).to_contain_text("48% of clicks by ad group and ad; 52% in (other)")
    page.get_by_role("button", name="g1").first.click()
    expect(page.locator("#filters")).to_contain_text("Ad group is g1")
    page.wait_for_function("() => document.querySelectorAll('#breakdown tbody tr').length === 2")
    assert exact(page, "clicks") == 3 * (1 + 2)
    page.locator("#breakdown tbody tr").first.hover()
    page.get_by_role("button", name="Leave out Ad a2").click()
    expect(page.locator("#filters li")).to_have_count(2)
    page.wait_for_function("() => document.querySelectorAll('#breakdown tbody tr').length === 1")
    assert exact(page, "clicks") == 3
    assert {"f.adgroup_id=g1", "x.ad_id=a2"} <= set(page.url.partition("?")[2].split("&"))
    expect(page.locator("#crumbs")).to_contain_text("Ad group g1")
    # The link carries all of it.
    there = site.open(page.url.removeprefix(site.address))
    expect(there.locator("#filters li")).to_have_count(2)
    assert exact(there, "clicks") == 3
    there.get_by_role("button", name="Remove the filter Ad is not a2").click()
    expect(there.locator("#filters li")).to_have_count(1)
    there.get_by_role("button", name="Show everything").click()
    there.wait_for_function("() => document.querySelectorAll('#breakdown tbody tr').length === 5")
    assert exact(there, "clicks") == 3 * sum(cells.values())


def test_hostile_values_execute_nothing_and_are_filtered_like_others(site: Site) -> None:
    cells: dict[tuple[Value, ...], int] = {(name[:256], name[:256]): at + 1 for at, name in enumerate(HOSTILE) if name}
    sent(site, cells, minutes=1)
    page = site.open("/?range=15m&brows=all&every=off", width=820)
    expect(page.locator("#breakdown tbody tr")).to_have_count(len(cells))
    assert page.locator("main script, main img[src=x], main svg[onload]").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 820
    page.locator("#breakdown tbody th .only").first.click()
    expect(page.locator("#filters li")).to_have_count(1)
    page.wait_for_function("() => document.querySelectorAll('#breakdown tbody tr').length === 1")
    page.wait_for_timeout(SECOND / 2)
    assert site.errors == []


def test_explore_splits_by_several_names_with_the_keyboard_and_its_url_carries_them(site: Site) -> None:
    sent(site, {("g1", "a1"): 1, ("g1", None): 2, ("(other)", "a1"): 4, (True, True): 8}, minutes=2)
    page = site.open("/explore?measure=clicks&kind=bar&by=none")
    for name in ("Campaign", "Ad group", "Ad"):
        page.get_by_role("checkbox", name=name, exact=True).focus()
        page.keyboard.press("Space")
    page.wait_for_function("() => document.querySelectorAll('#table tbody tr').length === 4")

    def table(shown: Page) -> tuple[list[str], list[str]]:
        heads = shown.locator("#table thead th").all_inner_texts()
        return heads, [" ".join(row.split()) for row in shown.locator("#table tbody tr").all_inner_texts()]

    campaign = recent(0).campaign_id
    wanted = (
        ["Campaign", "Ad group", "Ad", "Clicks"],
        [f"{campaign} {row}" for row in ("(other) (other) 16", "“(other)” a1 8", "g1 (not set) 4", "g1 a1 2")],
    )
    assert table(page) == wanted
    assert "by=campaign%2Cadgroup_id%2Cad_id" in page.url
    page.reload()
    page.wait_for_selector("html[data-linked]")
    assert table(page) == wanted
    # No breakdown has a device and an ad: the field that was pressed last stays.
    page.get_by_role("checkbox", name="Device").check()
    expect(page.locator("body")).to_contain_text("No breakdown has Device together with Ad group and Ad")
    page.wait_for_url(re.compile("by=campaign%2Cdevice"))
    expect(page.get_by_role("checkbox", name="Ad group")).not_to_be_checked()
    assert site.errors == []


CONTROLS = {
    "range=yesterday": '#days-picker:has-text("Yesterday")',
    "range=2026-11-01..2026-11-15": '#days-picker:has-text("Nov 1 – 15, 2026")',
    "compare=364d": '#compare:has(option[value="364d"]:checked)',
    "breakdown=ad&split=ad_id": '#breakdown-choice:has(option[value="ad|ad_id"]:checked)',
    "bsort=clicks&border=asc": '#breakdown th[aria-sort="ascending"]:has-text("Clicks")',
    "bq=a": '#breakdown .search[aria-label="Search ad group, ad"]',
    "brows=all": '#breakdown button:has-text("Show the top 10")',
    "f.ad_id=a1&x.adgroup_id.null=1&f.ad_id.other=1": "#filters li:nth-child(3)",
}


def test_controls_of_days_and_breakdowns_survive_a_round_trip_through_the_url(site: Site) -> None:
    sent(site, {("g", f"a{at}"): at + 1 for at in range(12)}, minutes=1)
    page = site.open()
    for query, selector in CONTROLS.items():
        page.goto(f"{site.address}/?{query}")
        page.wait_for_selector("html[data-linked]")
        page.wait_for_selector(selector, state="attached")
        assert set(query.split("&")) <= set(page.url.partition("?")[2].split("&"))


def shown_page(site: Site, query: str) -> dict[str, Any]:
    page = site.open(f"/?{query}")
    answer = page.evaluate("query => fetch(`./api/view?${query}`).then((answer) => answer.text())", query)
    return json.loads(answer)["page"]


def test_a_zone_is_remembered_and_carried_and_moves_the_days_of_the_chart(site: Site) -> None:
    sent(site, {("g", "a"): 1}, minutes=1)
    page = site.open("/?range=last7d&every=off")
    choose_zone(page, "kathmandu")
    expect(page.locator("#footer")).to_contain_text("Times in Asia/Kathmandu")
    assert "tz=Asia%2FKathmandu" in page.url
    starts = {zone: shown_page(site, f"range=last7d&tz={zone}")["range"]["start"] for zone in ("UTC", "Asia/Kathmandu")}
    assert starts["UTC"] % 86_400 == 0
    assert (starts["Asia/Kathmandu"] + 20_700) % 86_400 == 0  # 5:45 h ahead of UTC
    # A new visit of this browser, without a zone in the URL, has it too; one with another zone keeps that.
    page.goto(f"{site.address}/?range=1h")
    expect(page.locator("#footer")).to_contain_text("Times in Asia/Kathmandu")
    page.goto(f"{site.address}/?range=1h&tz=Europe/Berlin")
    expect(page.locator("#footer")).to_contain_text("Times in Europe/Berlin")


def test_days_are_chosen_with_the_keyboard(site: Site) -> None:
    sent(site, {("g", "a"): 1}, minutes=1)
    page = site.open("/?range=2026-11-10..2026-11-12&every=off")
    page.locator("#days-picker").focus()
    page.keyboard.press("Enter")
    page.locator('[data-day="2026-11-12"]').focus()
    for key in ("ArrowUp", "Enter", "ArrowRight", "PageUp", "Enter"):  # the 5th, and the 6th of the month before
        page.keyboard.press(key)
    page.wait_for_url(re.compile(r"range=2026-10-06\.\.2026-11-05"))
    expect(page.locator("#days-picker")).to_be_focused()


def test_the_days_that_a_range_of_days_is_compared_with_are_named_in_its_zone(site: Site) -> None:
    sent(site, {("g", "a"): 1}, minutes=1)
    page = site.open("/?range=yesterday&compare=7d&tz=Asia/Kathmandu&every=off")
    named_by = """([name, how, start, end]) => import('adtally/tiles.js').then(({ comparison }) =>
        comparison({ span: { start, end, newest_end: end, compared: end - start }, compare: { how, start, end }, range: { name } }))"""
    start = 1_780_000_200 // 86_400 * 86_400 - 20_700  # midnight in Kathmandu
    named = "Changes are against the same days a week before (May 28 – 29, 2026)."
    assert " ".join(page.evaluate(named_by, ["last7d", "7d", start, start + 2 * 86_400]).split()) == named
    assert page.evaluate(named_by, ["24h", "before", start, start + 86_400]) == "Changes are against the period before."
