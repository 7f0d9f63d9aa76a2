"""A real browser, and a dashboard of one's own for each test."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from dataflows.contract.settings import Settings
from tests.support.browser.chromium import ARGS, CHROMIUM
from tests.support.browser.site import Site
from tests.support.dashboards import ROOT

ARTEFACTS = Path(os.environ.get("ADTALLY_ARTEFACTS") or ROOT / "artefacts")

ADDED = """(() => {
  const own = Object.getOwnPropertyDescriptors(Object.prototype);
  const added = Object.keys(Object.prototype);
  const lost = ["toString", "hasOwnProperty", "__proto__"].filter((name) => !(own[name].writable || own[name].set));
  return [...added, ...lost, ...(Object.getPrototypeOf({}) === Object.prototype ? [] : ["the prototype itself"])];
})()"""
"""What was added to the prototype of all objects, and what of it can't be written in an object any more."""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium where there is one."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed (apt-get install chromium)")
    expect.set_options(timeout=30_000)  # a shared machine is slow at times, which says nothing about the page
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGS, timeout=120_000)
        yield started
        started.close()


@pytest.fixture
def site(browser: Browser, settings: Settings) -> Iterator[Site]:
    """A dashboard on an empty topic."""
    made = Site(browser, settings)
    made.start()
    yield made
    # Under a name such as `__proto__` a library writes on what every object of the page has.
    left = [page.evaluate(ADDED) for context in browser.contexts for page in context.pages if page.url.startswith(made.address)]
    made.stop()
    for context in list(browser.contexts):
        context.close()
    assert not any(left)


@pytest.fixture
def keep() -> Callable[[Page, str], None]:
    """Save a screenshot of the whole page among the artefacts."""

    def save(page: Page, name: str) -> None:
        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=ARTEFACTS / f"{name}.png", full_page=True)

    return save
