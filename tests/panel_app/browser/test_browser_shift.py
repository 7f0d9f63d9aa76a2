"""Nothing moves by itself: the layout shift of each page, at load and over refreshes, as browsers measure it."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from dataflows.flow.progress import CommittedCounters
from tests.support.browser.pages import STEADY, commit, filled, recent, reject
from tests.support.browser.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
BOUND = 0.05
WATCH = """
  window.shifts = [];
  new PerformanceObserver((list) => {
    const own = list.getEntries().filter((one) => !one.hadRecentInput);
    window.shifts.push(...own.map((one) => [one.value, one.sources.map((from) => from.node?.className ?? "")]));
  }).observe({ type: "layout-shift", buffered: true });
"""
SIZES = [(1440, 1000), (390, 844)]


def shifted(page: Page) -> tuple[float, Any]:
    """The sum of all shifts so far, and what made it."""
    shifts = page.evaluate("window.shifts")
    return sum(value for value, _ in shifts), shifts


def settled(page: Page) -> None:
    """Wait until what comes after the connection is drawn: charts, plots, and what the broker is asked for."""
    page.wait_for_timeout(2500)


@pytest.mark.parametrize("number", [0, 2, 40])
def test_no_page_shifts_when_it_loads(site: Site, number: int) -> None:
    if number:
        filled(site, tuple(f"Campaign {at}" for at in range(number)), minutes=12)
        commit(site, 20, 12, CommittedCounters(read=12, counted=8, duplicate=1, late=1, malformed=2))
        reject(site, *(f"{{bad {at}" for at in range(20)))
    for width, height in SIZES:
        for path in ("/", "/explore", "/explore?by=campaign&kind=bar&measure=spend&measure=clicks", "/data"):
            page = site.open(path, width=width, height=height, before=WATCH)
            settled(page)
            moved, why = shifted(page)
            assert moved < BOUND, (path, width, why)
            page.context.close()


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_no_refresh_shifts_the_page_while_findings_notices_and_open_minutes_come_and_go(
    site: Site, width: int, height: int
) -> None:
    filled(site)
    page = site.open("/?range=30m&every=off", width=width, height=height, before=WATCH)
    settled(page)
    findings = page.locator("#attention .finding")
    expect(findings).to_have_count(1)
    for turn in range(1, 7):
        broken = turn % 2 == 0
        fields = STEADY | ({"conversions": 0, "revenue_micros": 0} if broken else {}) | {"revision": 12 + turn}
        corrected = "corrected" if turn % 3 == 0 else "final"
        site.world.send(
            *(
                recent(at, campaign="broken", channel=one, state=corrected, **fields)
                for at in range(30)
                for one in ("search", "social")
            ),
            recent(
                0,
                campaign="one",
                channel="search",
                state="final" if broken else "provisional",
                **STEADY | {"revision": 12 + turn},
            ),
        )
        for _ in range(600):
            page.evaluate("document.getElementById('refresh').click()")
            page.wait_for_timeout(200)
            if findings.count() == int(broken):
                break
        expect(findings).to_have_count(int(broken))
        # The pill says other things, and a notice comes.
        address = "?range=30m&every=off&paused=1" if broken else "?range=30m&every=5&nonsense=1"
        page.evaluate("address => history.replaceState(null, '', address)", address)
    moved, why = shifted(page)
    assert moved < BOUND, why
