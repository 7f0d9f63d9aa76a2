"""What fits where: many own metrics, narrow tables, searches that are quicker than the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Browser, expect

from dataflows.contract.settings import Settings
from tests.support.browser.pages import filled
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
