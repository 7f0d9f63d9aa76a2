"""axe-core, which ships with axe-playwright-python, finds nothing serious on any page, light or dark."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.support.browser.pages import filled
from tests.support.browser.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

PAGES = {
    "overview": "/?range=30m",
    "overview of a rate": "/?range=30m&metric=cpa&rows=all",
    "drill-down": "/?range=30m&campaign=broken&channel=search&metric=conversions",
    "embedded": "/?range=30m&embed=1",
    "explore": "/explore?by=channel&measure=spend",
    "data": "/data",
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_serious(site: Site, name: str, scheme: str) -> None:
    filled(site)
    page = site.open(PAGES[name], scheme=scheme)
    page.wait_for_timeout(1500)
    found = Axe().run(page).response["violations"]
    grave = [
        (one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found if one["impact"] in ("serious", "critical")
    ]
    assert grave == []


def test_axe_finds_nothing_serious_with_menu_and_picker_open(site: Site) -> None:
    filled(site)
    page = site.open("/?range=30m")
    page.get_by_role("button", name="All campaigns").click()
    page.get_by_role("checkbox", name="two").wait_for()
    assert [one["id"] for one in Axe().run(page).response["violations"] if one["impact"] in ("serious", "critical")] == []
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Menu").click()
    assert [one["id"] for one in Axe().run(page).response["violations"] if one["impact"] in ("serious", "critical")] == []
