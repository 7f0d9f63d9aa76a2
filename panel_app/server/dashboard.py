"""The parts of one dashboard, put together: the service that answers, the gate, the open pages, and the metrics."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

from dataflows.contract.settings import Settings
from figures.service import LOOK_SECONDS, Service
from panel_app.server import access
from panel_app.server.access import Access
from panel_app.server.gate import Gate
from panel_app.server.open_pages import OpenPages
from panel_app.server.telemetry import Telemetry, age_histogram

EXPORTS = 2
"""Number of exports that are computed at the same time; more would keep the viewers of the dashboard waiting."""


class Dashboard:
    """Everything that all visitors share. Panel runs the code of a page again for each visitor; this object is made once."""

    def __init__(
        self, settings: Settings, access: Access, clock: Callable[[], float] = time.time, look_seconds: float = LOOK_SECONDS
    ) -> None:
        """`clock` gives the wall time in seconds; `look_seconds`: how often the feed looks for new partitions."""
        ages = age_histogram()
        self.service = Service(settings, clock, measured=ages.observe, look_seconds=look_seconds)
        self.gate = Gate(access)
        self.open_pages = OpenPages()
        self.telemetry = Telemetry(self.service, self.open_pages, ages)
        self.service.store.on_cleared(self.open_pages.announce)
        self.exports = asyncio.Semaphore(EXPORTS)


FindDashboard = Callable[[], Dashboard]
"""Return the dashboard; raises `SettingsError`, or `InputError` for a file, if the environment has settings that can't be used."""


class FromEnvironment:
    """The dashboard of a process that Panel's own command runs: made from the environment when a visitor first asks for it."""

    def __init__(self) -> None:
        self._dashboard: Dashboard | None = None
        self._lock = threading.Lock()

    def __call__(self) -> Dashboard:
        """Return the dashboard; the first call makes its feed begin. Raises `SettingsError` and `InputError`."""
        with self._lock:
            if self._dashboard is None:
                self._dashboard = Dashboard(Settings.from_environment(), access.from_environment())
                self._dashboard.service.start()
            return self._dashboard
