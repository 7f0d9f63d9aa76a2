"""The dashboard's own addresses, for its command and for `panel serve … --plugins panel_app.routes`."""

from __future__ import annotations

from panel_app.api import Results
from panel_app.health import Health
from panel_app.questions import QUESTIONS
from panel_app.telemetry import Metrics, Probe

ROUTES = [
    (r"/healthz", Health),
    (r"/livez", Probe),
    (r"/readyz", Probe),
    (r"/metrics", Metrics),
    (r"/api/results", Results),
    *QUESTIONS,
]
"""As tornado takes them."""
