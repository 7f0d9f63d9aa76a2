"""A visit leaves nothing behind: once its session is gone, none of what was made for it is alive."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks.dashboard.served import ServedDashboard, served
from benchmarks.dashboard.visits import KINDS, emptied
from tests.support.viewers import visit

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
