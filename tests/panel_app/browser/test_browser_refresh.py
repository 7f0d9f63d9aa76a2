"""What a viewer does outlives a refresh: tooltip, selection, focus, and what is open or scrolled."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from dataflows.flow.progress import CommittedCounters
from tests.support.browser.pages import commit, exact, points, recent, reject, value
from tests.support.browser.site import Site
from tests.support.waiting import until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
NAMES = [f"Campaign {letter}" for letter in "abcdefgh"]
RISING = list(range(1, 9))
TIP = """where => {
  const tip = document.querySelector(`${where} .tip`);
  return tip?.checkVisibility({ visibilityProperty: true, opacityProperty: true }) ? tip.textContent : "";
}"""
"""What the tooltip of a chart says; empty where none is to be seen."""


def send(site: Site, spend: list[int], revision: int = 1) -> None:
    """40 minutes in which each campaign of `NAMES` has its `spend` (dollars a minute) on two channels."""
    campaigns = list(enumerate(zip(NAMES, spend, strict=True)))
    site.world.send(
        *(
            recent(minute, campaign=name, channel=channel, spend_micros=each * 10**6, conversions=2 + at % 3, revision=revision)
            for minute in range(40)
            for at, (name, each) in campaigns
            for channel in ("search", "social")
        )
    )
    site.holds(40 * 8 * 2)


def refresh_with(site: Site, page: Page, spend: list[int], revision: int) -> None:
    """Put other figures on the topic and have the page draw them, without touching anything on it."""
    send(site, spend, revision)

    def drawn() -> bool:
        page.evaluate("document.getElementById('refresh').click()")
        page.wait_for_timeout(100)
        return exact(page, "spend") == sum(spend) * 80

    until(drawn, 120)


def test_the_tooltip_of_a_pointer_that_rests_stays_and_says_the_new_figures(site: Site) -> None:
    send(site, RISING)
    page = site.open("/?range=1h&every=off")
    points(page)
    scatter = "echarts.getInstanceByDom(document.querySelector('#scatter .canvas'))"
    point = f"{scatter}.convertToPixel({{ xAxisIndex: 0, yAxisIndex: 0 }}, {scatter}.getOption().series[0].data[0].value)"

    def rest_on(where: str) -> str:
        canvas = page.locator(f"{where} .canvas")
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        assert box
        x, y = page.evaluate(point) if where == "#scatter" else (box["width"] * 0.7, box["height"] / 2)
        page.mouse.move(box["x"] + x - 9, box["y"] + y)
        page.mouse.move(box["x"] + x, box["y"] + y)
        page.wait_for_function(TIP, arg=where)
        return page.evaluate(TIP, where)

    for revision, where in enumerate(("#chart", "#scatter"), 2):
        before = rest_on(where)
        # All grow alike, so that each point stays where it is among round bounds, or nearly.
        refresh_with(site, page, [each * 100 + revision for each in RISING], revision)
        page.wait_for_function(f"([where, before]) => ![before, ''].includes(({TIP})(where))", arg=[where, before])
    assert site.errors == []


def test_a_selection_and_the_focus_follow_their_rows_to_other_places(site: Site) -> None:
    send(site, RISING)
    page = site.open("/?range=1h&every=off")
    rows = page.locator("#campaigns tbody tr")
    expect(rows.nth(0)).to_contain_text("Campaign h")
    page.evaluate("""() => {
      const [first, second] = document.querySelectorAll("#campaigns tbody tr");
      window.kept = [first, second, ...document.querySelectorAll("#heatmap td, #channels tr, #tiles .tile-value, #chart .legend li")];
      second.querySelector("button").focus();
      getSelection().setBaseAndExtent(first.querySelector("bdi").firstChild, 1, first.querySelector("bdi").firstChild, 10);
    }""")
    refresh_with(site, page, [each + 1 for each in reversed(RISING)], 2)
    expect(rows.nth(0)).to_contain_text("Campaign a")
    expect(rows.nth(7)).to_contain_text("Campaign h")
    assert page.evaluate("getSelection().toString()") == "ampaign h"
    expect(page.get_by_title("Show only Campaign g").first).to_be_focused()
    assert page.evaluate("window.kept.every((one) => one.isConnected)")
    # The rows that stayed do what they say.
    page.locator("#campaigns").get_by_role("button", name="Campaign c").click()
    expect(page.locator("#crumbs")).to_contain_text("Campaign c")


def test_what_is_open_stays_open_and_where_it_is_scrolled_to(site: Site) -> None:
    send(site, RISING)
    page = site.open("/?range=1h&every=off", width=390)
    page.get_by_role("button", name="Menu").click()
    scroll = "document.querySelector('#heatmap .table-box').scrollLeft"
    page.evaluate("document.querySelector('#chart details.save').open = true")
    page.evaluate(f"document.querySelector('#heatmap table').style.minWidth = '900px'; {scroll} = 40; scrollTo(0, 300)")
    refresh_with(site, page, [each + 1 for each in RISING], 2)
    expect(page.get_by_role("button", name="Clear data")).to_be_visible()
    assert page.evaluate("[document.querySelector('#chart details.save').open, scrollY]") == [True, 300]
    page.keyboard.press("Escape")
    page.get_by_role("button", name="All campaigns").click()
    box = page.get_by_role("checkbox", name="Campaign b")
    box.focus()
    refresh_with(site, page, RISING, 3)
    expect(box).to_be_focused()


def test_a_rejected_event_that_is_being_read_stays_open_and_selected_when_others_come(site: Site) -> None:
    commit(site, 20, 12, CommittedCounters(read=12, counted=10, malformed=2))
    reject(site, "{one", "{two")
    page = site.open("/data?every=off")
    expect(value(page, "Rejected")).to_have_text("2")
    page.locator(".reject summary").last.click()
    page.evaluate("getSelection().selectAllChildren(document.querySelector('.reject[open] .payload'))")
    reject(site, "{three", first=2)

    def drawn() -> bool:
        page.evaluate("document.getElementById('refresh').click()")
        page.wait_for_timeout(100)
        return value(page, "Rejected").inner_text() == "3"

    until(drawn, 120)
    assert page.evaluate("getSelection().toString()") == "{one"
    expect(page.locator(".reject[open] .payload")).to_have_text("{one")
    assert site.errors == []
