"""Needs attention, heatmap, scatter, breadcrumbs and the embedded page in a real browser."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Page, expect
from typing_extensions import override

from tests.support.browser.pages import HOSTILE, STEADY, exact, filled, points, recent
from tests.support.browser.site import Site
from tests.support.waiting import until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
SECOND = 1000


def scrolled(page: Page) -> int:
    return page.evaluate("scrollY")


def test_what_needs_attention_is_shown_and_a_click_selects_it(site: Site) -> None:
    filled(site)
    page = site.open("/?range=30m")
    finding = page.locator("#attention .finding")
    expect(finding).to_have_count(1)
    for text in (
        "Spends without converting",
        "broken",
        "$1,8",
        "Chance alone does this less than once in 1,000 years",
        "Check its tracking",
    ):
        expect(finding).to_contain_text(text)
    finding.click()
    expect(page.locator('[data-measure="conversions"]')).to_have_attribute("aria-checked", "true")
    expect(page.locator("#crumbs")).to_contain_text("broken")
    expect(page.locator('[data-measure="conversions"] .tile-value')).to_have_text("0")
    assert "campaign=broken" in page.url
    assert "metric=conversions" in page.url
    page.locator("#crumbs").get_by_role("button", name="Back").click()
    expect(page.locator("#crumbs")).to_be_hidden()
    expect(page.locator('[data-measure="spend"]')).to_have_attribute("aria-checked", "true")


def test_where_nothing_is_wrong_the_page_says_what_was_checked(site: Site) -> None:
    filled(site, ("one", "two"), minutes=12)
    page = site.open("/?campaign=one")
    expect(page.locator("#attention")).to_contain_text("Checks start once there are 20 complete minutes.")
    site.world.send(*(recent(minute, campaign="one", channel="search", **STEADY) for minute in range(12, 60)))
    site.holds(2 * 2 * 12 + 48)
    page.get_by_role("button", name="Refresh now").click()
    expect(page.locator("#attention")).to_contain_text("Nothing needs attention")
    expect(page.locator("#attention")).to_contain_text("2 campaigns checked up to")
    assert page.locator("#attention .finding").count() == 0


def test_heatmap_and_scatter_add_up_to_the_tiles(site: Site) -> None:
    filled(site)
    page = site.open("/?range=1h&metric=clicks")
    cells = page.locator("#heatmap .heat button")
    expect(cells).to_have_count(12)
    assert sum(int(text.replace(",", "")) for text in cells.all_inner_texts()) == exact(page, "clicks") == 60 * 40 * 12
    found = {one["name"]: one for one in points(page)}
    assert sum(one["spend"] for one in found.values()) == pytest.approx(exact(page, "spend"))
    assert sum(one["conversions"] for one in found.values()) == exact(page, "conversions")
    assert found["one"]["cpa"] == pytest.approx(30 / 8, rel=1e-5)
    assert found["broken"]["cpa"] == pytest.approx(60 / 8, rel=1e-5)
    page.locator('[data-measure="ctr"]').click()
    expect(page.locator("#heatmap h2")).to_have_text("Click rate by campaign and channel")
    expect(cells.first).to_have_text("20.00%")


def test_names_of_points_stand_where_there_is_room_and_over_nothing(site: Site) -> None:
    filled(site)
    page = site.open("/?range=1h")
    points(page)
    # Two alone, two on top of each other and one in a corner, each with a name 80 pixels wide.
    places = [(200, 50), (200, 150), (100, 250), (103, 250), (395, 280)]
    read = ".map((one) => one && [one.side, one.shift])"
    given = [{"x": x, "y": y, "radius": 8, "width": 80} for x, y in places]
    bounds = {"left": 0, "right": 400, "top": 0, "bottom": 300}
    ask = "([points, bounds]) => import('adtally/labels.js').then((found) => found.sides(points, bounds)" + read + ")"
    assert page.evaluate(ask, [given, bounds]) == [["right", 0], ["right", 0], ["right", 0], ["left", 0], ["left", 0]]
    # One at the edge with another next to it: its name is above, moved back into the plot, and not across a line.
    edge = [{"x": 380, "y": 100, "radius": 10, "width": 80}, {"x": 340, "y": 100, "radius": 10, "width": 80}]
    assert page.evaluate(ask, [edge, bounds])[0] == ["top", -20]
    line = {"left": 0, "right": 400, "top": 80, "bottom": 82}
    crossed = ask.replace("points, bounds", "points, bounds, line", 1).replace("(points, bounds)", "(points, bounds, [line])")
    assert page.evaluate(crossed, [edge, bounds, line])[0] == ["bottom", -20]
    crowd = [{"x": 100 + at, "y": 100, "radius": 60, "width": 80} for at in range(3)]
    assert page.evaluate(ask, [crowd, {"left": 40, "right": 170, "top": 40, "bottom": 160}]) == [None] * 3
    shown = page.evaluate(
        "echarts.getInstanceByDom(document.querySelector('#scatter .canvas')).getOption()"
        ".series.flatMap((one) => one.data.map((item) => item.label.show))"
    )
    assert any(shown)


def test_a_cell_of_the_heatmap_drills_down_and_the_breadcrumbs_lead_back_step_by_step(site: Site) -> None:
    filled(site)
    page = site.open("/?range=30m")
    crumbs = page.locator("#crumbs")
    expect(crumbs).to_be_hidden()
    page.get_by_title("Show only two, social").click()
    expect(crumbs.locator("li")).to_have_text(["All campaigns", "two", "social"])
    expect(crumbs.locator("[aria-current]")).to_have_text("social")
    expect(page.locator('[data-measure="clicks"] .tile-value')).to_have_text("1,200")
    crumbs.get_by_role("link", name="two").click()
    expect(crumbs.locator("li")).to_have_text(["All campaigns", "two"])
    expect(page.locator('[data-measure="clicks"] .tile-value')).to_have_text("2,400")
    crumbs.get_by_role("button", name="Back").click()
    expect(crumbs.locator("li")).to_have_count(3)
    crumbs.get_by_role("link", name="All campaigns").click()
    expect(crumbs).to_be_hidden()
    page.go_back()
    expect(crumbs.locator("li")).to_have_count(3)


def test_who_comes_by_a_shared_link_gets_up_from_it_with_back(site: Site) -> None:
    filled(site)
    page = site.open("/?range=30m&campaign=two")
    page.locator("#crumbs").get_by_role("button", name="Back").click()
    expect(page.locator("#crumbs")).to_be_hidden()
    assert "range=30m" in page.url


def test_an_embedded_page_shows_and_can_not_clear(site: Site) -> None:
    filled(site)
    page = site.open("/?embed=1&range=30m&metric=cpa")
    for gone in ("Menu", "Pause", "Refresh now", "Dark theme", "All campaigns", "Download campaigns as CSV"):
        expect(page.get_by_role("button", name=gone)).to_have_count(0)
    expect(page.locator("#pill")).to_contain_text("Live")
    expect(page.get_by_role("link", name="Open the dashboard")).to_have_attribute("href", "/?range=30m&metric=cpa")
    # Nor by a message that its own buttons would not send.
    page.evaluate("window.adtallyModel.send_msg({ kind: 'clear', id: 1_000_000 })")
    page.wait_for_timeout(SECOND)
    site.holds(6 * 2 * 90)


@pytest.fixture
def wiki(site: Site) -> Iterator[str]:
    """The origin of another site of this machine, whose page frames the overview."""
    framed = f'<iframe src="{site.address}/?embed=1&range=30m" width="900" height="700" title="adtally"></iframe>'

    class FramingPage(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(framed.encode())

        @override
        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), FramingPage)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("allowed", [True, False])
def test_an_embedded_page_lives_in_the_frame_of_a_site_that_may_and_of_no_other(site: Site, wiki: str, allowed: bool) -> None:
    filled(site)
    if allowed:
        site.stop()
        site.start("--embed-in", wiki)
        site.holds(6 * 2 * 90)
    page = site.open("/?range=30m")
    if not allowed:
        with page.expect_console_message(lambda message: "frame-ancestors" in message.text):
            page.goto(wiki)
        return
    page.goto(wiki)
    frame = page.frame_locator("iframe")
    expect(frame.locator('[data-measure="clicks"] .tile-value')).to_have_text("14,400")
    expect(frame.locator("html[data-linked]")).to_have_count(1)
    assert site.errors == []


def test_hostile_names_execute_nothing_in_the_new_blocks_and_their_tooltips(site: Site) -> None:
    filled(site, tuple(HOSTILE), minutes=50, broken=HOSTILE[0])
    page = site.open("/?range=15m", width=820)
    assert {one["name"] for one in points(page)} == set(HOSTILE)
    finding = page.locator("#attention .finding")
    expect(finding).to_have_count(1)
    page.locator("#scatter").scroll_into_view_if_needed()
    box = page.locator("#scatter .canvas").bounding_box()
    assert box
    # All campaigns spent the same and most cost the same: one place holds their points.
    for step in range(40):
        page.mouse.move(box["x"] + box["width"] * step / 40, box["y"] + box["height"] * 0.85)
    for cell in page.locator("#heatmap .heat button").all()[:4]:
        cell.hover()
    assert page.locator("main script, main img[src=x], main svg[onload]").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 820
    finding.click()
    expect(page.locator("#crumbs li")).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") <= 820
    assert site.errors == []


def test_the_page_can_be_toured_with_the_keyboard_alone(site: Site) -> None:
    filled(site)
    page = site.open("/?range=30m&every=off")
    seen: list[str] = []
    block = "section, header, nav, [role=radiogroup], .controls"
    place = f"(document.activeElement.closest('{block}') ?? document.activeElement)"
    for _ in range(140):
        page.keyboard.press("Tab")
        seen.append(page.evaluate(f"{place}.id || {place}.className"))
        assert page.evaluate("document.activeElement.matches(':focus-visible')")
        if page.evaluate("document.activeElement.matches('#attention .finding')"):
            break
    assert page.evaluate("document.activeElement.matches('#attention .finding')")
    assert {"skip", "controls", "tiles", "chart", "campaigns", "heatmap", "attention"} <= set(seen)
    page.keyboard.press("Enter")
    expect(page.locator("#crumbs li")).to_have_text(["All campaigns", "broken"])
    page.get_by_role("button", name="Back").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#crumbs")).to_be_hidden()


@pytest.mark.parametrize("number", [2, 50, 500])
def test_few_and_many_campaigns_fit_every_screen(site: Site, keep: Callable[[Page, str], None], number: int) -> None:
    sent = [
        recent(
            minute,
            campaign=f"Campaign {at:03}",
            channel=("search", "social", "video")[at % 3],
            clicks=3 + at % 40,
            conversions=at % 7,
        )
        for minute in range(12 if number == 500 else 60)
        for at in range(number)
    ]
    site.world.send(*sent)
    site.holds(len(sent))
    for scheme in ("light", "dark"):
        for width in (390, 820, 1440):
            page = site.open("/?metric=clicks", width=width, scheme=scheme)
            points(page)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            keep(page, f"overview-{number}-campaigns-{width}-{scheme}")
            page.context.close()


@pytest.mark.parametrize("width", [390, 1440])
def test_a_drill_down_leads_to_the_top_and_back_to_where_it_was_pressed(site: Site, width: int) -> None:
    sent = [recent(minute, campaign=f"c{at}", clicks=at) for minute in range(3, 6) for at in range(1, 41)]
    site.world.send(*sent)
    site.holds(len(sent))
    page = site.open("/?rows=all&every=off", width=width, height=800)
    row = page.locator("#campaigns tbody tr").nth(30).locator("button")
    row.scroll_into_view_if_needed()
    name, before = row.inner_text(), scrolled(page)
    assert before > 800
    row.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#crumbs [aria-current]")).to_have_text(name)
    until(lambda: scrolled(page) == 0)
    expect(page.locator("#crumbs")).to_be_in_viewport()
    expect(page.locator('[data-measure="spend"]')).to_be_in_viewport()
    expect(page.locator("#crumbs .back")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#campaigns tbody tr")).to_have_count(40)
    until(lambda: abs(scrolled(page) - before) < 60)
    expect(page.locator("#campaigns").get_by_role("button", name=name, exact=True)).to_be_focused()
    # The browser's own button leads back as well.
    page.locator("#channels tbody button").first.click()
    until(lambda: scrolled(page) == 0)
    page.go_back()
    expect(page.locator("#campaigns tbody tr")).to_have_count(40)
    until(lambda: scrolled(page) > 0)
