"""What fits where: many own metrics, narrow tables, searches that are quicker than the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Browser, expect

from dataflows.contract.settings import Settings
from tests.support.browser.pages import choose_zone, filled
from tests.support.browser.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

METRIC = """[[metric]]
name = "metric_{at}"
label = "A metric with quite a long label, number {at}"
numerator = "clicks + {weight} * conversions"
denominator = "impressions"
unit = "percent"
good = "up"
tile = true
"""


@pytest.fixture
def site(browser: Browser, settings: Settings, tmp_path: Path) -> Iterator[Site]:
    """A dashboard with eight own metrics that have a tile and a column."""
    metrics = tmp_path / "metrics.toml"
    metrics.write_text("\n".join(METRIC.format(at=at, weight=at + 1) for at in range(8)))
    made = Site(browser, msgspec.structs.replace(settings, metrics_file=str(metrics)))
    made.start()
    yield made
    made.stop()
    for context in list(browser.contexts):
        context.close()


def test_own_metrics_widen_no_page_and_their_tiles_fill_the_rows_evenly(site: Site) -> None:
    filled(site, minutes=20)
    for width in (320, 390, 768, 1024, 1440):
        page = site.open("/?range=15m&every=off", width=width)
        expect(page.locator("#tiles .tile")).to_have_count(14)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("[...document.querySelectorAll('.tile')].every((one) => one.scrollWidth <= one.clientWidth)")
        if width == 1440:
            rows = [box["y"] for box in (one.bounding_box() for one in page.locator("#tiles .tile").all()) if box]
            assert [rows.count(top) for top in sorted(set(rows))] == [7, 7]
        page.context.close()


def test_a_choice_by_enter_closes_its_list_and_the_word_that_begins_like_the_search_is_first(site: Site) -> None:
    page = site.open("/?every=off")
    choose_zone(page, "lord")
    expect(page.locator("#footer")).to_contain_text("Times in Australia/Lord_Howe")
    expect(page.get_by_label("Search time zones")).to_be_hidden()
    expect(page.locator("#zone-picker")).to_be_focused()


def test_a_search_that_waits_does_not_come_back_after_a_campaign_was_pressed(site: Site) -> None:
    filled(site, minutes=20)
    page = site.open("/?range=15m&every=off")
    page.evaluate("""() => {
      const search = document.querySelector('#campaigns .search');
      search.value = 'tw';
      search.dispatchEvent(new Event('input', { bubbles: true }));
      document.querySelector('#campaigns tbody .name button').click();
    }""")
    expect(page.locator("#crumbs")).to_be_visible()
    page.wait_for_timeout(500)  # longer than a search waits for its viewer to stop typing
    assert "q=tw" not in page.url


def test_on_paper_are_figures_and_what_they_are_of_and_nothing_to_press(site: Site) -> None:
    filled(site, minutes=20)
    page = site.open("/?range=15m&campaign=one&every=off")
    page.emulate_media(media="print")
    for shown in (
        '#controls [data-range="15m"]',
        '#controls .drop:has-text("one")',
        "#crumbs ol",
        "#comparison > span",
        "#footer",
    ):
        expect(page.locator(shown)).to_be_visible()
    for hidden in ('#controls [data-range="1h"]', "#refresh", "#menu", "#campaigns .search", "#crumbs [data-key=back]"):
        expect(page.locator(hidden)).to_be_hidden()
    assert (
        page.evaluate("['.top', '#notices'].map((one) => getComputedStyle(document.querySelector(one)).position)")
        == ["static"] * 2
    )
