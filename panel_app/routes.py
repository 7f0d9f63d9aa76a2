"""The dashboard's own addresses, for its command and for `panel serve … --plugins panel_app.routes`."""

from __future__ import annotations

from panel_app.api.questions import QUESTIONS
from panel_app.api.results import Results
from panel_app.server.health import Health
from panel_app.server.telemetry import Metrics, Probe

ROUTES = [
    (r"/healthz", Health),
    (r"/livez", Probe),
    (r"/readyz", Probe),
    (r"/metrics", Metrics),
    (r"/api/results", Results),
    *QUESTIONS,
]
"""As tornado takes them."""
