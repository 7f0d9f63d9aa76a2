"""Which page a visitor gets."""

from __future__ import annotations

import importlib
import threading
from functools import cache

import panel as pn

from dataflows.errors import AdtallyError
from panel_app.data import data
from panel_app.overview import TITLE, overview
from panel_app.service import service

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
    try:
        return overview(service(), explore, data)
    except AdtallyError as error:
        # Under `panel serve` there is no command line that could say so before.
        return pn.pane.Str(f"adtally can't start: {error}")


@cache
def _warm() -> None:
    """Import what the Explore page needs on a thread, once the first visitor has his figures.

    On the server's own thread it would keep every viewer waiting when somebody opens that page for the first time.
    """
    thread = threading.Timer(_WARM_SECONDS, importlib.import_module, ["panel_app.explorer"])
    thread.daemon = True
    thread.start()


def explore_page(back: str = "./") -> pn.Template | pn.viewable.Viewable:
    """The Explore page for one visitor; `back` is the address of the overview."""
    # hvplot, pandas and HoloViews take seconds to import; the overview does not wait for them.
    from panel_app.explorer import explorer  # noqa: PLC0415

    try:
        return explorer(service(), back)
    except AdtallyError as error:
        return pn.pane.Str(f"adtally can't start: {error}")


def data_page(back: str = "./", explore: str = "explore", api: str = "api/results") -> pn.Template | pn.viewable.Viewable:
    """The Data page for one visitor; `back`, `explore` and `api` are addresses, the last one empty where it is not served."""
    try:
        return data(service(), back, explore, api)
    except AdtallyError as error:
        return pn.pane.Str(f"adtally can't start: {error}")


def serve_here() -> None:
    """Serve the page asked for from the script that Panel runs at this moment."""
    by_query().servable(title=TITLE)
