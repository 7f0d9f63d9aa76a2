"""The docs in a browser: nothing is asked of another host, nothing sticks out on a phone, the search finds an alarm."""

from __future__ import annotations

import functools
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from typing_extensions import override

from tests.support.dashboards import ROOT

pytestmark = pytest.mark.browser


class Quiet(http.server.SimpleHTTPRequestHandler):
    @override
    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the built site is served."""
    folder: Path = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)]
    subprocess.run(build, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, check=True)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("width", "height"), [(1400, 900), (390, 844)], ids=["desktop", "phone"])
def test_pages_ask_no_other_host_and_fit_the_screen(browser: Browser, address: str, width: int, height: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": height})
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    for file in sorted((ROOT / "docs").glob("*.md")):
        page.goto(f"{address}/{file.stem}.html", wait_until="networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, file.name
    assert len(asked) > 10
    assert [url for url in asked if not url.startswith((f"{address}/", "data:", "blob:"))] == []
    assert said == []
    page.close()


def test_the_search_finds_an_alarm_and_leads_to_its_section(browser: Browser, address: str) -> None:
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.goto(address)
    page.get_by_placeholder("Search").click()
    page.keyboard.type("AdtallyConservation")
    page.locator(".md-search-result__link").first.click()
    page.wait_for_url("**/operations.html**")
    page.goto(f"{address}/operations.html#alert-adtally-conservation")
    assert page.get_by_role("heading", name="AdtallyConservation").first.is_visible()
    page.close()
