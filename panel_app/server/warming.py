"""What the first visit of a process would pay for is done while it starts: the page is rendered once, the figures are worked out once.

Panel and Bokeh make many things when they first render - the properties of models, the list of a page's scripts, templates - and the
store adds up its history when it is first asked.
"""

from __future__ import annotations

import gc
import logging
import threading
import time

from bokeh.application.handlers.document_lifecycle import DocumentLifecycleHandler
from bokeh.application.handlers.function import FunctionHandler
from bokeh.document import Document
from panel.io.application import Application
from panel.io.resources import Resources
from panel.io.server import server_html_page_for_session
from panel.io.session import generate_session
from panel.io.state import set_curdoc

from figures.service import Service
from panel_app.pages.overview import TITLE, overview

log = logging.getLogger("adtally.dashboard")

_LOOK_SECONDS = 0.1


async def warm(service: Service) -> None:
    """Do both. What is there afterwards stays for good: it is left out of garbage collection.

    Python collects all of its garbage once that has grown by a quarter of what it keeps an eye on.
    """
    figures(service)
    try:
        await render(service)
    finally:
        gc.collect()
        gc.freeze()


async def render(service: Service) -> str:
    """The overview as a visitor would get it, for nobody; what was made for it is given up as if he had left."""

    def fill(document: Document) -> None:
        with set_curdoc(document):
            overview(service).server_doc(document)

    application = Application(FunctionHandler(fill), DocumentLifecycleHandler())
    session = generate_session(application)
    document = session.document
    context = document.session_context
    assert context is not None  # noqa: S101 - the session holds it
    page = server_html_page_for_session(
        session,
        Resources(mode="server"),
        TITLE,
        template=document.template,
        template_variables=document.template_variables,
    )
    session.destroy()
    await application.on_session_destroyed(context)
    return page


def figures(service: Service) -> threading.Thread:
    """Work the overview's figures out on a thread of its own, once the feed has read what stands on its topic."""

    def wait() -> None:
        while service.feed.status.state in ("starting", "reading", "down"):
            time.sleep(_LOOK_SECONDS)
            if not service.feed.alive:
                return
        try:
            service.answer("")
        except Exception:  # the first visitor will meet it too; the feed goes on
            log.exception("the first figures could not be worked out")

    thread = threading.Thread(target=wait, name="adtally-warm", daemon=True)
    thread.start()
    return thread
