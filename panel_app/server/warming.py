"""Warming: what the first visit of a process would have to wait for is done while it starts. A page is rendered, and figures are computed.

Panel and Bokeh make many things when they first render - the properties of models, the list of a page's scripts, templates - and the
store adds up its history when it is first asked.
"""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Callable

import panel as pn
from bokeh.application.handlers.document_lifecycle import DocumentLifecycleHandler
from bokeh.application.handlers.function import FunctionHandler
from bokeh.document import Document
from panel.io.application import Application
from panel.io.resources import Resources
from panel.io.server import server_html_page_for_session
from panel.io.session import generate_session
from panel.io.state import set_curdoc

from figures.service import Service

log = logging.getLogger("adtally.dashboard")

_LOOK_SECONDS = 0.1


Page = Callable[[], pn.Template | pn.viewable.Viewable]
"""Return a page for the visitor whose document is the current one."""


async def warm(service: Service, page: Page) -> None:
    """Do both. What was made is left out of garbage collection from then on, because it stays until the process ends.

    Python collects all of its garbage once that has grown by a quarter of the objects that it watches.
    """
    figures(service)
    try:
        await render(page)
    finally:
        gc.collect()
        gc.freeze()


async def render(page: Page) -> str:
    """Return the HTML of `page` as a visitor would get it; what was made for it is released as if the visitor had left."""

    def fill(document: Document) -> None:
        with set_curdoc(document):
            page().server_doc(document)

    application = Application(FunctionHandler(fill), DocumentLifecycleHandler())
    session = generate_session(application)
    document = session.document
    context = document.session_context
    assert context is not None  # noqa: S101 - the session holds it
    html = server_html_page_for_session(
        session,
        Resources(mode="server"),
        document.title,
        template=document.template,
        template_variables=document.template_variables,
    )
    session.destroy()
    await application.on_session_destroyed(context)
    return html


def figures(service: Service) -> threading.Thread:
    """Compute the overview's figures on a thread of its own, once the feed has read its topic; return that thread."""

    def wait() -> None:
        while service.feed.status.state in ("starting", "reading", "down"):
            time.sleep(_LOOK_SECONDS)
            if not service.feed.alive:
                return
        try:
            service.answer("")
        except Exception:  # the first visitor will get the same error; the feed continues
            log.exception("the first figures could not be computed")

    thread = threading.Thread(target=wait, name="adtally-warm", daemon=True)
    thread.start()
    return thread
