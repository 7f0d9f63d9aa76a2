"""Which page a visitor gets."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from functools import cache

import panel as pn

from dataflows.contract.errors import AdtallyError
from figures.service import service
from panel_app.pages.data import data
from panel_app.pages.overview import TITLE, overview
from panel_app.server import access

_WARM_SECONDS = 5.0


def by_query() -> pn.Template | pn.viewable.Viewable:
    """The page that ``?page=`` names: explore, data, or else the overview."""
    asked = (pn.state.session_args or {}).get("page", [b""])[-1]
    if asked == b"explore":
        return explore_page("?")
    return data_page("?", "?page=explore", "") if asked == b"data" else overview_page("?page=explore", "?page=data")


def overview_page(explore: str = "explore", data: str = "data") -> pn.Template | pn.viewable.Viewable:
    """The overview for one visitor; `explore` and `data` are the addresses of the other pages."""
    _warm()
    return _guarded(lambda: overview(service(), explore, data))


def _guarded(page: Callable[[], pn.Template | pn.viewable.Viewable]) -> pn.Template | pn.viewable.Viewable:
    """`page` for who may see it; for others a line, and nothing of what is held."""
    context = pn.state.curdoc.session_context if pn.state.curdoc else None
    request = getattr(context, "request", None)
    panels_login = bool(pn.config.basic_auth or pn.config.oauth_provider)
    try:
        reason = access.refusal(pn.state.cookies, getattr(request, "remote_ip", None), panels_login=panels_login)
        return pn.pane.Str(f"adtally: {reason}") if reason else page()
    except AdtallyError as error:
        # Under `panel serve` there is no command line that could say so before.
        return pn.pane.Str(f"adtally can't start: {error}")


@cache
def _warm() -> None:
    """Import what the Explore page needs on a thread, once the first visitor has his figures.

    On the server's own thread it would keep every viewer waiting when somebody opens that page for the first time.
    """
    thread = threading.Timer(_WARM_SECONDS, importlib.import_module, ["panel_app.pages.explorer"])
    thread.daemon = True
    thread.start()


def explore_page(back: str = "./") -> pn.Template | pn.viewable.Viewable:
    """The Explore page for one visitor; `back` is the address of the overview."""
    # hvplot, pandas and HoloViews take seconds to import; the overview does not wait for them.
    from panel_app.pages.explorer import explorer  # noqa: PLC0415

    return _guarded(lambda: explorer(service(), back))


def data_page(back: str = "./", explore: str = "explore", api: str = "api/results") -> pn.Template | pn.viewable.Viewable:
    """The Data page for one visitor; `back`, `explore` and `api` are addresses, the last one empty where it is not served."""
    return _guarded(lambda: data(service(), back, explore, api))


def serve_here() -> None:
    """Serve the page asked for from the script that Panel runs at this moment."""
    by_query().servable(title=TITLE)
