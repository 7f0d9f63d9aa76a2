"""`/healthz`: 200 while the feed reads, 503 when it can't. It needs no login, for a probe has none."""

from __future__ import annotations

import msgspec

from figures.service import service
from panel_app.server.bridge import viewers
from panel_app.server.web import Plain


class Health(Plain):
    """Answers with the feed's state as JSON."""

    def get(self) -> None:
        """`{"state", "records", "unread", "rows", "viewers", "newest"}`."""
        one = service()
        snapshot = one.store.snapshot(max_age=5.0)
        status = one.feed.status
        self.set_status(200 if one.healthy() else 503)
        body = {"state": status.state, "records": status.records, "unread": status.unread, "rows": snapshot.rows}
        self.finish(msgspec.json.encode({**body, "viewers": viewers(one), "newest": snapshot.newest or None}))

    head = get
