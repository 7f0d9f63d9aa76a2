"""The dashboard's own addresses, for its command and for `panel serve … --plugins panel_app.routes`."""

from __future__ import annotations

from typing import Any

from tornado.web import RequestHandler

from panel_app.api.probes import Health, Probe, Scrape
from panel_app.api.questions import QUESTIONS
from panel_app.api.results import Results
from panel_app.server.dashboard import FindDashboard, FromEnvironment

Route = tuple[str, type[RequestHandler], dict[str, Any]]

_HANDLERS: list[tuple[str, type[RequestHandler]]] = [
    (r"/healthz", Health),
    (r"/livez", Probe),
    (r"/readyz", Probe),
    (r"/metrics", Scrape),
    (r"/api/results", Results),
    *QUESTIONS,
]


def routes(find: FindDashboard) -> list[Route]:
    """Return the routes of the dashboard that `find` returns, as Tornado takes them."""
    return [(address, handler, {"find": find}) for address, handler in _HANDLERS]


from_environment = FromEnvironment()
"""The one dashboard of a process that `panel serve` runs: its scripts and these routes must find the same."""

ROUTES = routes(from_environment)
"""Where Panel looks for the routes of a plug-in."""
