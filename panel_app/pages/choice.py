"""Which page a visitor gets."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from functools import cache

import panel as pn

from dataflows.contract.errors import AdtallyError
from panel_app.pages.data import data
from panel_app.pages.overview import TITLE, overview
from panel_app.server.dashboard import Dashboard, FindDashboard

_PRELOAD_SECONDS = 5.0

Page = pn.Template | pn.viewable.Viewable


class Pages:
    """The pages of the dashboard that `find` returns, for one visitor each; a page's arguments are the addresses of the others."""

    def __init__(self, find: FindDashboard) -> None:
        self._find = find

    def overview(self, explore: str = "explore", data: str = "data") -> Page:
        """Return the overview."""
        _preload_explorer()
        return self._guarded(lambda dashboard: overview(dashboard, explore, data))

    def explore(self, back: str = "./") -> Page:
        """Return the Explore page; `back` leads to the overview."""
        # hvplot, pandas and HoloViews take seconds to import; the overview does not wait for them.
        from panel_app.pages.explorer import explorer  # noqa: PLC0415 - see above

        return self._guarded(lambda dashboard: explorer(dashboard, back))

    def data(self, back: str = "./", explore: str = "explore", api: str = "api/results") -> Page:
        """Return the Data page; `api` is empty where the API is not served."""
        return self._guarded(lambda dashboard: data(dashboard, back, explore, api))

    def by_query(self) -> Page:
        """Return the page that ``?page=`` names: explore, data, or else the overview."""
        name = (pn.state.session_args or {}).get("page", [b""])[-1]
        if name == b"explore":
            return self.explore("?")
        return self.data("?", "?page=explore", "") if name == b"data" else self.overview("?page=explore", "?page=data")

    def serve_here(self) -> None:
        """Serve the page asked for from the script that Panel runs at this moment."""
        self.by_query().servable(title=TITLE)

    def _guarded(self, page: Callable[[Dashboard], Page]) -> Page:
        """Return `page` for a visitor with access; for others a line of text without any data."""
        context = pn.state.curdoc.session_context if pn.state.curdoc else None
        remote = getattr(getattr(context, "request", None), "remote_ip", None)
        try:
            dashboard = self._find()
            gate = dashboard.gate
            reason = gate.refusal(pn.state.cookies, remote, panels_login=gate.panels_login)
            return pn.pane.Str(f"adtally: {reason}") if reason else page(dashboard)
        except AdtallyError as error:
            # Under `panel serve` no command line reports it earlier.
            return pn.pane.Str(f"adtally can't start: {error}")


@cache
def _preload_explorer() -> None:
    """Import what the Explore page needs on a thread, once the first visitor has seen figures.

    On the server's own thread it would keep every viewer waiting when that page is opened for the first time.
    """
    thread = threading.Timer(_PRELOAD_SECONDS, importlib.import_module, ["panel_app.pages.explorer"])
    thread.daemon = True
    thread.start()
