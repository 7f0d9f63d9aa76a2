"""The overview in a real browser: the figures are right, they come in time, and what is pressed does what it says."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser.pages import HOSTILE, SECOND, exact, press_menu, recent, tile
from tests.support.browser.site import Site
from tests.support.results import result

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


def test_figures_on_screen_equal_an_independent_sum_over_what_was_produced(site: Site) -> None:
    draw = random.Random(3)
    made = [
        recent(
            minute,
            campaign=f"c{at % 4}",
            channel=f"h{at % 3}",
            impressions=draw.randint(50, 900),
            clicks=draw.randint(1, 40),
            conversions=draw.randint(0, 5),
            spend_micros=draw.randint(1, 9 * 10**6),
            revenue_micros=draw.randint(0, 10**8),
            refund_micros=draw.randint(0, 10**6),
        )
        for minute in range(5, 40)
        for at in range(12)
    ]
    last = {(one.window_start, one.campaign_id, one.channel): one for one in made}
    site.world.send(*made)
    site.holds(len(last))
    page = site.open("/?range=1h")
    rows = last.values()
    spend, clicks = sum(one.spend_micros for one in rows) / 1e6, sum(one.clicks for one in rows)
    conversions, shown = sum(one.conversions for one in rows), sum(one.impressions for one in rows)
    earned = sum(one.revenue_micros - one.refund_micros for one in rows) / 1e6
    wanted = {"spend": spend, "clicks": clicks, "conversions": conversions, "cpa": spend / conversions}
    wanted |= {"ctr": clicks / shown, "roas": earned / spend}
    for measure, value in wanted.items():
        assert exact(page, measure) == pytest.approx(value, rel=1e-12), measure
    assert tile(page, "clicks") == f"{clicks:,}"
    assert tile(page, "ctr") == f"{clicks / shown:.2%}"
    expect(page.locator("#campaigns tbody tr")).to_have_count(4)
    assert site.errors == []


def test_a_record_is_on_screen_by_itself_in_ten_seconds_and_at_once_by_refresh_now(site: Site) -> None:
    site.world.send(recent(-9, clicks=1))
    site.holds(1)
    page = site.open()
    expect(page.locator("#pill")).to_contain_text(re.compile(r"next in (10|\d) s"))
    site.world.send(recent(-10, clicks=100))
    expect(page.locator('[data-measure="clicks"] .tile-value')).to_have_text("101")
    page = site.open("/?every=off")
    expect(page.locator('[data-measure="clicks"] .tile-value')).to_have_text("101")
    site.world.send(recent(-10, campaign="other", clicks=1000))
    site.holds(3)
    page.get_by_role("button", name="Refresh now").click()
    expect(page.locator('[data-measure="clicks"] .tile-value')).to_have_text("1,101")


def test_a_correction_replaces_and_does_not_double(site: Site) -> None:
    site.world.send(recent(3, clicks=10), recent(3, clicks=12, revision=20, state="corrected"))
    site.holds(1)
    page = site.open()
    expect(page.locator('[data-measure="clicks"] .tile-value')).to_have_text("12")
    expect(page.locator("#chart .legend")).to_contain_text("Corrected")


def test_clear_in_one_tab_empties_the_other_and_undo_brings_it_back(site: Site) -> None:
    site.world.send(*(recent(minute) for minute in range(3)))
    site.holds(3)
    here, there = site.open("/?every=off"), site.open("/?every=off")
    press_menu(here, "Clear data")
    expect(here.get_by_role("dialog")).to_contain_text("3 minute rows held by the dashboard will be dropped")
    here.get_by_role("button", name="Keep data").click()
    assert tile(here, "clicks") == "3"
    press_menu(here, "Clear data")
    here.get_by_role("button", name="Clear data", exact=True).last.click()
    for page in (here, there):
        expect(page.locator('[data-measure="clicks"] .tile-value')).to_have_text("–")
        expect(page.locator("#notices")).to_contain_text("cleared")
    there.get_by_role("button", name="Undo").click()
    for page in (here, there):
        expect(page.locator('[data-measure="clicks"] .tile-value')).to_have_text("3")


CONTROLS = {
    "range=6h": '[data-range="6h"][aria-pressed="true"]',
    "metric=cpa": '[data-measure="cpa"][aria-checked="true"]',
    "chart=lines": '[data-mode="lines"][aria-pressed="true"]',
    "theme=dark": 'html[data-theme="dark"]',
    "every=30": '[data-every="30"][aria-pressed="true"]',
    "tz=utc": '#zone-picker:has-text("UTC")',
    "tz=Asia/Kathmandu": '#zone-picker:has-text("Asia/Kathmandu")',
    "week=sunday": '[data-week="sunday"][aria-pressed="true"]',
    "paused=1": '#pause[aria-label="Resume"]',
    "campaign=sale": '.drop.on:has-text("sale")',
    "channel=search": '.drop.on:has-text("search")',
    "sort=clicks": 'th[aria-sort="descending"]:has-text("Clicks")',
    "sort=clicks&order=asc": 'th[aria-sort="ascending"]:has-text("Clicks")',
    "rows=all": 'button:has-text("Show the top 10")',
}


def test_every_control_survives_a_round_trip_through_the_url(site: Site) -> None:
    site.world.send(*(recent(2, campaign="sale" if at == 0 else f"c{at}") for at in range(12)))
    site.holds(12)
    page = site.open()
    for query, selector in CONTROLS.items():
        page.goto(f"{site.address}/?{query}")
        page.wait_for_selector("html[data-linked]")
        page.wait_for_selector(selector, state="attached")
        assert set(query.split("&")) <= set(page.url.partition("?")[2].split("&"))


def test_every_choice_is_in_the_url_and_the_back_button_reverts_it(site: Site) -> None:
    site.world.send(*(recent(minute, campaign=name) for minute in range(3) for name in ("one", "two")))
    site.holds(6)
    page = site.open()
    page.locator('[data-range="15m"]').click()
    page.locator('[data-measure="cpa"]').click()
    page.locator("#campaigns").get_by_role("button", name="one").click()
    expect(page.locator('[data-measure="clicks"] .tile-value')).to_have_text("3")
    for part in ("range=15m", "metric=cpa", "campaign=one"):
        assert part in page.url
    page.go_back()
    expect(page.locator('[data-measure="clicks"] .tile-value')).to_have_text("6")
    page.get_by_role("button", name="All campaigns").click()
    page.get_by_role("checkbox", name="two").check()
    expect(page.locator('[data-measure="clicks"] .tile-value')).to_have_text("3")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Show everything").click()
    expect(page.locator('[data-measure="clicks"] .tile-value')).to_have_text("6")


def test_the_chosen_tile_moves_with_the_arrow_keys_and_aims_the_page(site: Site) -> None:
    site.world.send(recent(1))
    site.holds(1)
    page = site.open()
    page.locator('[data-measure="spend"]').focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#chart h2")).to_have_text("Clicks by channel")
    expect(page.locator('[data-measure="clicks"]')).to_be_focused()


def test_paused_means_that_nothing_moves_until_it_is_resumed(site: Site) -> None:
    site.world.send(recent(1))
    site.holds(1)
    page = site.open("/?paused=1&every=5")
    expect(page.locator("#pill")).to_contain_text("Paused")
    site.world.send(recent(0, clicks=7))
    site.holds(2)
    page.wait_for_timeout(6 * SECOND)
    assert tile(page, "clicks") == "1"
    page.get_by_role("button", name="Resume").click()
    expect(page.locator('[data-measure="clicks"] .tile-value')).to_have_text("8")


def test_old_data_is_shown_with_the_time_up_to_which_it_goes(site: Site) -> None:
    site.world.send(*(result(minute=minute) for minute in range(10)))
    site.holds(10)
    page = site.open()
    assert tile(page, "clicks") == "10"
    expect(page.locator("#notices")).to_contain_text("Showing data up to")
    expect(page.locator("#pill")).to_contain_text("Data is late")


def test_an_empty_page_waits_and_tells_how_to_send_data(site: Site) -> None:
    page = site.open()
    expect(page.locator("#pill")).to_contain_text("Waiting for data")
    expect(page.locator("#notices")).to_contain_text("Send ad events to topic")
    assert tile(page, "spend") == "–"


def test_the_page_comes_back_by_itself_after_the_server_was_away(site: Site) -> None:
    site.world.send(recent(-10))  # which is not late yet, however long the server takes to start
    site.holds(1)
    page = site.open("/?range=15m&metric=clicks")
    site.stop()
    expect(page.locator("#pill")).to_contain_text("Reconnecting")
    site.start()
    page.wait_for_selector('html[data-linked] [data-range="15m"][aria-pressed="true"]')
    expect(page.locator("#pill")).to_contain_text("Live")
    expect(page.locator("#chart h2")).to_have_text("Clicks by channel")


PAGES = [
    "/?rows=all",
    "/?rows=all&chart=lines&metric=cpa",
    "/?embed=1&rows=all",
    "/explore?by=campaign,channel&measure=spend",
    "/explore?by=campaign&kind=bar",
    "/explore?by=campaign&kind=area",
    "/data",
]


@pytest.mark.parametrize("path", PAGES)
def test_hostile_names_execute_nothing_and_break_no_layout(site: Site, path: str) -> None:
    # Points that differ are named on the canvas, which has ECharts look up the width of each name.
    unlike = [
        {"spend_micros": (at + 1) ** 3 * 10**6, "conversions": 1 + at % 5, "clicks": 9 + at, "campaign": name, "channel": name}
        for at, name in enumerate(HOSTILE)
    ]
    site.world.send(*(recent(minute, **one) for minute in range(4) for one in unlike))
    site.holds(4 * len(HOSTILE))
    page = site.open(path, width=820)
    page.wait_for_timeout(SECOND)
    assert site.errors == []
    assert page.locator("main script, main img[src=x], main svg[onload]").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 820
    if path.startswith("/?"):
        page.wait_for_function("() => document.querySelectorAll('#chart canvas, #scatter canvas').length === 2")
        expect(page.locator("#campaigns tbody tr")).to_have_count(len(HOSTILE))
        page.locator("#campaigns tbody tr button").first.click()
        page.mouse.move(300, 700)
        page.wait_for_timeout(SECOND)
        assert site.errors == []


def test_what_every_object_has_is_what_it_was_and_a_text_that_names_it_is_drawn_like_another(site: Site) -> None:
    page = site.open()
    said = "names => import('adtally/echarts.js').then((found) => names.map((name) => found.drawable(name)))"
    assert page.evaluate(said, ["__proto__", "toString", "sale"]) == ["__proto__\u2060", "toString\u2060", "sale"]
    # Libraries that write on it all the same are kept from it; what an object defines itself is kept.
    page.evaluate("(() => { try { ({})['__proto__'].next = 1; } catch { /* in strict mode */ } })()")
    assert page.evaluate("[({}).next === undefined, String({ toString: () => 'own' })]") == [True, "own"]


def test_no_request_leaves_for_another_host(site: Site) -> None:
    site.world.send(*(recent(minute) for minute in range(5)))
    site.holds(5)
    for path in ("/", "/explore"):
        site.open(path).wait_for_timeout(SECOND)
    own = (site.address, f"ws://localhost:{site.port}", "data:", "blob:")
    assert [url for url in site.requests if not url.startswith(own)] == []


@pytest.mark.parametrize("path", ["/", "/explore", "/explore?by=campaign"])
def test_no_page_is_wider_than_the_screen(site: Site, keep: Callable[[Page, str], None], path: str) -> None:
    names = (
        "Autumn Sale",
        "Retargeting Q4",
        "A campaign with a name that is rather long",
        *(f"WIDE WIDE WIDE WIDE {at}" for at in range(9)),
    )
    pairs = [(name, channel) for name in names for channel in ("search", "social")]
    sent = [recent(minute, campaign=name, channel=channel) for minute in range(30) for name, channel in pairs]
    site.world.send(*sent)
    site.holds(len(sent))
    for scheme in ("light", "dark"):
        for width in (390, 820, 1440):
            page = site.open(path, width=width, scheme=scheme)
            page.wait_for_timeout(SECOND / 2)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate("document.documentElement.dataset.theme") == scheme
            keep(page, f"{path.strip('/').replace('?', '-') or 'overview'}-{width}-{scheme}")
            page.context.close()
