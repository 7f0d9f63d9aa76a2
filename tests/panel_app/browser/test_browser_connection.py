"""Controls answer before there is a WebSocket, and where there never is one."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.support.browser.pages import recent
from tests.support.browser.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
BOKEH = "**/static/js/bokeh*"
"""The scripts that bring the connection."""


def test_every_control_answers_without_the_scripts_of_the_connection(site: Site) -> None:
    site.world.send(*(recent(minute, campaign=name) for minute in range(3) for name in ("one", "two")))
    site.holds(6)
    page = site.open("/?every=off", without=BOKEH)
    clicks = page.locator('[data-measure="clicks"] .tile-value')
    expect(clicks).to_have_text("6")
    page.locator("#campaigns").get_by_role("button", name="one").click()
    expect(clicks).to_have_text("3")
    page.locator(".drop", has_text="one").click()
    page.get_by_role("checkbox", name="two").check()
    expect(clicks).to_have_text("6")
    page.keyboard.press("Escape")
    site.world.send(recent(-1, campaign="two", clicks=100))
    site.holds(7)
    page.get_by_role("button", name="Refresh now").click()
    expect(clicks).to_have_text("106")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download campaigns as CSV").click()
    assert waiting.value.suggested_filename.startswith("adtally-campaigns-")
    page = site.open("/explore", without=BOKEH)
    page.get_by_role("checkbox", name="Campaign").check()
    expect(page.locator("#table tbody")).to_contain_text("two")
    page = site.open("/data?every=off", without=BOKEH)
    page.locator(".reason", has_text="Late").click()
    expect(page.locator('.reason[aria-pressed="true"]')).to_contain_text("Late")


def test_while_nothing_answers_pill_and_picker_say_so_and_both_go_on_by_themselves(site: Site) -> None:
    site.world.send(recent(-10, campaign="one"))
    site.holds(1)
    page = site.open(without=BOKEH)
    site.stop()
    page.get_by_role("button", name="All campaigns").click()
    expect(page.get_by_role("dialog")).to_contain_text("No answer from the dashboard; retrying")
    expect(page.locator("#pill")).to_contain_text("Reconnecting")
    page.evaluate("window.same = true")
    site.start()
    expect(page.get_by_role("checkbox", name="one")).to_be_visible(timeout=120_000)
    expect(page.locator("#pill")).to_contain_text("Live", timeout=120_000)
    assert page.evaluate("window.same")
