"""The answers to probes and to Prometheus: `/healthz`, `/livez`, `/readyz` and `/metrics`."""

from __future__ import annotations

import msgspec

from panel_app.server.web import Guarded, PlainHandler


class Health(PlainHandler):
    """`/healthz`: 200 while the feed reads, 503 when it can't, with the feed's state as JSON. It needs no login: a probe has none."""

    def get(self) -> None:
        """Send `{"state", "records", "unread", "rows", "viewers", "newest"}`."""
        dashboard = self.dashboard
        service = dashboard.service
        snapshot = service.store.snapshot(max_age=5.0)
        status = service.feed.status
        self.set_status(200 if service.is_healthy() else 503)
        body = {"state": status.state, "records": status.records, "unread": status.unread, "rows": snapshot.rows}
        viewers = dashboard.open_pages.viewers()
        self.finish(msgspec.json.encode({**body, "viewers": viewers, "newest": snapshot.newest or None}))

    head = get


class Probe(PlainHandler):
    """`/livez` and `/readyz`: they need no login, since a probe has none, and contain no figure and no address."""

    def get(self) -> None:
        """Send 200 or 503, and why."""
        _reply(self)

    head = get


class Scrape(Guarded):
    """`/metrics`, behind the same login as the pages, because metrics show how the business does."""

    def get(self) -> None:
        """Send the metrics in the format that Prometheus asks for."""
        _reply(self)

    head = get


def _reply(handler: PlainHandler) -> None:
    request = handler.request
    served = handler.dashboard.telemetry.served
    status, kind, content = served.answer(f"/{request.path.rpartition('/')[2]}", request.headers.get("Accept", ""))
    handler.set_status(status)
    handler.set_header("Content-Type", kind)
    handler.finish(content)
