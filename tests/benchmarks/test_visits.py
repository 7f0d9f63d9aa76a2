"""A visit leaves nothing behind: once its session is gone, none of what was made for it is alive."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks.dashboard.served import ServedDashboard, served
from benchmarks.dashboard.visits import KINDS, emptied
from tests.support.dashboards import get
from tests.support.viewers import visit
from tests.support.waiting import until

MADE_FOR_A_VISIT = (
    "bokeh.document.document.Document",
    "bokeh.server.session.ServerSession",
    "panel.template.base.Template",
    "panel_app.server.bridge.Bridge",
    "panel.layout.base.Column",
    "panel.pane.holoviews.HoloViews",
)
"""The last two for the plots of the Explore page."""


def left(site: ServedDashboard) -> dict[str, int]:
    """How much is alive of what is made for a visit, after one of each page whose sessions are gone."""
    # On a thread: Playwright leaves this one with an event loop when the browser's tests ran before.
    with ThreadPoolExecutor(1) as other:
        for page, kind in KINDS.items():
            other.submit(asyncio.run, visit(site.address + page, "", "range=15m", kind=kind)).result()
    during = site.census().alive
    assert all(during.get(name, 0) for name in MADE_FOR_A_VISIT), during
    alive = emptied(site).alive
    return {name: alive.get(name, 0) for name in MADE_FOR_A_VISIT}


@pytest.mark.long
@pytest.mark.timeout(300)
def test_nothing_that_was_made_for_a_visit_outlives_its_session() -> None:
    with served(minutes=20) as site:
        assert left(site) == left(site)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_hundred_sessions_leave_no_memory_behind() -> None:
    with served(campaigns=20, channels=1, minutes=30) as dashboard, ThreadPoolExecutor(1) as other:

        def left_after(visits: int) -> int:
            # Without a browser, whose hundred windows take minutes: the server sees no difference.
            for _ in range(visits):
                other.submit(asyncio.run, visit(dashboard.address, "")).result()
            # Bokeh keeps a session for half a minute after its visitor has left.
            until(lambda: dashboard.census(tidy=True).sessions == 0)
            return dashboard.census(tidy=True).resident

        assert get(f"{dashboard.address}explore")[0] == 200  # which imports what is imported once
        before = left_after(20)
        # A session that stayed would take more than a third of a megabyte, for good.
        assert left_after(80) - before < 20 * 2**20
