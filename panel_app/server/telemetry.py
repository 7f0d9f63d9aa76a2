"""What the dashboard tells of itself to Prometheus and to probes: on its own port, and on ``ADTALLY_METRICS_PORT`` where that is set."""

from __future__ import annotations

import weakref
from collections.abc import Iterable

from prometheus_client import CollectorRegistry

from dataflows.telemetry.families import READY, Metric, Value, make_registry
from dataflows.telemetry.server import Pulse, Served
from figures.service import Service, service
from panel_app.server.bridge import viewers
from panel_app.server.web import Guarded, Plain

ROWS = Metric("adtally_dashboard_rows", "gauge", "Rows (window, campaign and channel) held, including packed ones.")
PACKED = Metric("adtally_dashboard_packed_rows", "gauge", "Rows that are packed by hour.")
HELD = Metric("adtally_dashboard_held_bytes", "gauge", "Approximate memory of the rows.")
VIEWERS = Metric("adtally_dashboard_viewers", "gauge", "Pages that are open in browsers.")
RECORDS = Metric("adtally_dashboard_records_total", "counter", "Records read from the results topic since the start.")
UNREAD = Metric(
    "adtally_dashboard_unread_records_total",
    "counter",
    "Records of the results topic that are not results of this deployment, since the start.",
)
LAG = Metric(
    "adtally_dashboard_consumer_lag_messages",
    "gauge",
    "Records of the results topic that the dashboard has not read yet, measured every 5 s.",
    ("partition",),
)
AGE = Metric(
    "adtally_dashboard_newest_minute_age_seconds",
    "gauge",
    "Time since the end of the newest window held: negative while the window is open; no value without a window.",
)
QUANTILE = Metric(
    "adtally_dashboard_event_age_recent_seconds",
    "gauge",
    "Median and 99th percentile of adtally_dashboard_event_age_seconds over 5 minutes, as on the Data page; no value without measurements.",
    ("quantile",),
)
CATCHING_UP = Metric(
    "adtally_dashboard_catching_up_results_total",
    "counter",
    "Results of old windows since the start, which are not a measure of latency because adtally catches up.",
)
FEED_UP = Metric(
    "adtally_dashboard_feed_up", "gauge", "Whether the feed reads, or waits for a topic that does not exist yet: 1 or 0."
)

METRICS = (ROWS, PACKED, HELD, VIEWERS, RECORDS, UNREAD, LAG, AGE, QUANTILE, CATCHING_UP, FEED_UP, READY)


class Dashboard:
    """The metrics and the health of one service; `pulse` is beaten by the server's loop where there is one of our own."""

    def __init__(self, one: Service) -> None:
        self._one = one
        self.pulse = Pulse()
        self.served = Served(self.registry(), self.live, self.ready)

    def live(self) -> str:
        """Why it is not alive."""
        return self.pulse.stands() or ("" if self._one.feed.alive else "its feed has ended")

    def ready(self) -> str:
        """Why it is not ready; empty once what was on the topic has been read, and while a broker says that there is no topic yet."""
        state = self._one.feed.status.state
        words = {
            "starting": "it has not reached the broker yet",
            "down": "the broker does not answer",
            "reading": "it reads the topic",
        }
        return words.get(state, "")

    def registry(self) -> CollectorRegistry:
        """All metrics of the dashboard."""
        made = make_registry("dashboard", METRICS, self._gather)
        made.register(self._one.refreshes)
        made.register(self._one.age_histogram)
        return made

    def _gather(self) -> Iterable[Value]:
        one = self._one
        snapshot = one.store.snapshot(max_age=5.0)
        yield ROWS, (), snapshot.rows
        yield PACKED, (), snapshot.packed
        yield HELD, (), snapshot.bytes
        yield VIEWERS, (), viewers(one)
        yield RECORDS, (), one.feed.records
        yield UNREAD, (), one.feed.unread
        for partition, lag in sorted(one.feed.lags().items()):
            yield LAG, (str(partition),), lag
        age = one.age(snapshot)
        if age is not None:
            yield AGE, (), age
        recent = one.ages.recent()
        for name, value in (("0.5", recent.p50), ("0.99", recent.p99)):
            if value is not None:
                yield QUANTILE, (name,), value
        yield CATCHING_UP, (), one.ages.left_out
        yield FEED_UP, (), float(one.healthy())
        yield READY, (), float(not self.ready())


_made: weakref.WeakKeyDictionary[Service, Dashboard] = weakref.WeakKeyDictionary()


def dashboard(one: Service) -> Dashboard:
    """The one of a service."""
    found = _made.get(one)
    if found is None:
        found = _made[one] = Dashboard(one)
    return found


class Probe(Plain):
    """`/livez` and `/readyz`: they need no login, for a probe has none, and tell no figure and no address."""

    def get(self) -> None:
        """200 or 503, and why."""
        _reply(self)

    head = get


class Metrics(Guarded):
    """`/metrics`, behind the same login as the pages: figures of the business can be told from it."""

    def get(self) -> None:
        """As Prometheus reads it."""
        _reply(self)

    head = get


def _reply(handler: Plain) -> None:
    request = handler.request
    status, kind, content = dashboard(service()).served.answer(
        f"/{request.path.rpartition('/')[2]}", request.headers.get("Accept", "")
    )
    handler.set_status(status)
    handler.set_header("Content-Type", kind)
    handler.finish(content)
