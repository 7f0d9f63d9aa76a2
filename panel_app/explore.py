"""The Explore page as a script of its own: `panel serve panel_app/app.py panel_app/explore.py`."""

from __future__ import annotations

from panel_app.pages.choice import explore_page

explore_page("./app").servable(title="adtally: explore")
