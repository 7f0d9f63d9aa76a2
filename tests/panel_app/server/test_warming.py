"""What is done before the first visitor comes leaves nothing of a visit behind, and is done of what was read."""

from __future__ import annotations

import asyncio
import gc
import weakref

import panel as pn

from dataflows.contract.settings import Settings
from figures.service import Service
from panel_app.pages.overview import overview
from panel_app.server import warming
from panel_app.server.access import Access
from panel_app.server.dashboard import Dashboard
from tests.support.feeds import World
from tests.support.results import result
from tests.support.waiting import until


def test_a_page_without_a_visitor_holds_the_figures_and_leaves_nothing(settings: Settings) -> None:
    dashboard = Dashboard(settings, Access())
    dashboard.service.store.apply([result(clicks=4321)])
    rendered: list[weakref.ref[pn.Template]] = []

    def page() -> pn.Template:
        template = overview(dashboard)
        rendered.append(weakref.ref(template))
        return template

    html = asyncio.run(warming.render(page))
    assert '"value":4321' in html
    assert '<script type="module" async>import "adtally/main.js";</script>' in html
    gc.collect()
    assert [template() for template in rendered] == [None]
    assert dashboard.open_pages.viewers() == 0


def test_the_first_figures_are_worked_out_once_the_topic_was_read(settings: Settings) -> None:
    world = World(settings)
    world.send(result(), result(minute=1))
    service = Service(settings)
    held: list[int] = []
    answer = service.answer
    service.answer = lambda query: held.append(service.store.snapshot().rows) or answer(query)  # type: ignore[method-assign]  # to note what it is of
    thread = warming.figures(service)
    service.feed.start()
    until(lambda: not thread.is_alive())
    service.stop()
    assert held == [2]


def test_it_waits_no_longer_than_the_feed_runs() -> None:
    service = Service(Settings(brokers="127.0.0.1:1"))
    service.feed.start()
    until(lambda: service.feed.status.state == "down")
    thread = warming.figures(service)
    service.stop()
    until(lambda: not thread.is_alive())
