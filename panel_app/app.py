"""What `panel serve panel_app/app.py --port 8503` serves: the overview, and with ``?page=explore`` the Explore page."""

from __future__ import annotations

from panel_app.pages.choice import Pages
from panel_app.routes import from_environment

Pages(from_environment).serve_here()
