"""A dashboard process, and its pages in a browser."""

from __future__ import annotations

import subprocess
import sys

from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page

from dataflows.contract.settings import Settings
from tests.support.dashboards import ROOT, get
from tests.support.feeds import World
from tests.support.flows import environment, free_port
from tests.support.waiting import until


class Site:
    """A dashboard process and the topic it reads; `errors` are what its pages complained of."""

    def __init__(self, browser: Browser, settings: Settings) -> None:
        self.world = World(settings)
        self.port = free_port()
        self.address = f"http://localhost:{self.port}"
        self.errors: list[str] = []
        self.requests: list[str] = []
        self._browser = browser
        self._settings = settings
        self._process: subprocess.Popen[str] | None = None

    def start(self, *flags: str) -> None:
        """Start the process with `flags`, and wait until it answers."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "panel_app", "--port", str(self.port), *flags],
            cwd=ROOT,
            env=environment(self._settings),
            text=True,
            stdout=subprocess.DEVNULL,
        )
        until(lambda: get(f"{self.address}/healthz")[0] in (200, 503))

    def stop(self) -> None:
        """End the process at once, as a crash would."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def holds(self, rows: int) -> None:
        """Wait until the dashboard holds that number of rows."""
        until(lambda: f'"rows":{rows},' in get(f"{self.address}/healthz")[1])

    def open(
        self,
        path: str = "/",
        width: int = 1440,
        height: int = 1000,
        scheme: str = "light",
        *,
        locale: str = "en-US",
        zone: str = "UTC",
        before: str = "",
        without: str = "",
    ) -> Page:
        """A page in a browser context of its own, drawn, connected, and not waiting for an answer; `before` runs ahead of its scripts.

        Requests for addresses like `without` (a glob) fail; the page is then only drawn.
        """
        dark = scheme == "dark"
        context = self._browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            locale=locale,
            timezone_id=zone,
        )
        context.set_default_timeout(60_000)
        if before:
            context.add_init_script(before)
        page = context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._note)
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("dialog", self._refuse)
        if without:
            page.route(without, lambda route: route.abort())
            page.goto(self.address + path)
            page.wait_for_selector("main:not([aria-busy])")
            return page
        page.goto(self.address + path)
        # With the connection comes a first question, whose answer may be that of a moment later.
        page.wait_for_selector("html[data-linked] main:not(.asking)", state="attached")
        return page

    def _note(self, message: ConsoleMessage) -> None:
        """What the content security policy keeps a page from doing is a defect of one of the two."""
        if "Content Security Policy" in message.text:
            self.errors.append(message.text)

    def _refuse(self, dialog: Dialog) -> None:
        self.errors.append(f"dialog: {dialog.message}")
        dialog.dismiss()
