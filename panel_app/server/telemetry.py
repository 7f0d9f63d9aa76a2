"""Metrics and health of the dashboard, for Prometheus and probes: on its own port, and on ``ADTALLY_METRICS_PORT`` if that is set."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Histogram

from dataflows.telemetry.families import BUCKETS, READY, Metric, Value, make_registry
from dataflows.telemetry.server import Pulse, Served
from figures.service import Service
from panel_app.server.open_pages import OpenPages

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

BREAKDOWN_ROWS = Metric(
    "adtally_dashboard_breakdown_rows", "gauge", "Rows of a breakdown held, including packed ones.", ("breakdown",)
)
BREAKDOWN_HELD = Metric(
    "adtally_dashboard_breakdown_held_bytes", "gauge", "Approximate memory of the rows of a breakdown.", ("breakdown",)
)
BREAKDOWN_WINDOWS = Metric(
    "adtally_dashboard_breakdown_windows", "gauge", "Windows of the newest hour of a breakdown.", ("breakdown",)
)
OTHER_WINDOWS = Metric(
    "adtally_dashboard_breakdown_other_windows",
    "gauge",
    "Those of these windows with a row for what was not admitted (ADTALLY_BREAKDOWN_CELLS).",
    ("breakdown",),
)
OTHER_RATIO = Metric(
    "adtally_dashboard_breakdown_other_ratio",
    "gauge",
    "Share of the events of these windows that was not admitted; no value without events.",
    ("breakdown",),
)
BREAKDOWN_UNREAD = Metric(
    "adtally_dashboard_breakdown_unread_records_total",
    "counter",
    "Records of a breakdown's topic that are not results of this deployment, since the start.",
    ("breakdown",),
)

METRICS = (
    ROWS,
    PACKED,
    HELD,
    VIEWERS,
    RECORDS,
    UNREAD,
    LAG,
    AGE,
    QUANTILE,
    CATCHING_UP,
    FEED_UP,
    BREAKDOWN_ROWS,
    BREAKDOWN_HELD,
    BREAKDOWN_WINDOWS,
    OTHER_WINDOWS,
    OTHER_RATIO,
    BREAKDOWN_UNREAD,
    READY,
)


REFRESH_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


def age_histogram() -> Histogram:
    """Return the histogram of the ages of events."""
    return Histogram(
        "adtally_dashboard_event_age_seconds",
        "Age of an event when the dashboard holds the result that contains it; for each batch of a shard, the result that has "
        "waited longest. Records that were on the topic before the dashboard had reached its end are excluded.",
        buckets=BUCKETS,
        registry=None,
    )


class Telemetry:
    """Metrics and health of `service`, whose pages are `open_pages`.

    The server's loop beats `pulse`; under `panel serve` nothing does, and the pulse never counts as missing.
    """

    def __init__(self, service: Service, open_pages: OpenPages, ages: Histogram) -> None:
        """`ages`: the histogram into which the service's feed puts the age of each event (`age_histogram`)."""
        self._service = service
        self._open_pages = open_pages
        self._ages = ages
        self.refreshes = Histogram(
            "adtally_dashboard_refresh_seconds",
            "Time to compute an answer for a page.",
            buckets=REFRESH_BUCKETS,
            registry=None,
        )
        self.pulse = Pulse()
        self.served = Served(self.registry(), self.not_live_reason, self.not_ready_reason)

    def not_live_reason(self) -> str:
        """Return why it is not alive; empty if it is."""
        return self.pulse.stall_reason() or ("" if self._service.feed.alive else "its feed has ended")

    def not_ready_reason(self) -> str:
        """Return why it is not ready; empty once the topic has been read, and while a broker says that the topic does not exist yet."""
        state = self._service.feed.status.state
        words = {
            "starting": "it has not reached the broker yet",
            "down": "the broker does not answer",
            "reading": "it reads the topic",
        }
        return words.get(state, "")

    def registry(self) -> CollectorRegistry:
        """Return a registry of all metrics of the dashboard."""
        registry = make_registry("dashboard", METRICS, self._gather)
        registry.register(self.refreshes)
        registry.register(self._ages)
        return registry

    def _gather(self) -> Iterable[Value]:
        service = self._service
        snapshot = service.store.snapshot(max_age=5.0)
        yield ROWS, (), snapshot.rows
        yield PACKED, (), snapshot.packed
        yield HELD, (), snapshot.bytes
        yield VIEWERS, (), self._open_pages.viewers()
        yield RECORDS, (), service.feed.records
        yield UNREAD, (), service.feed.unread
        for partition, lag in sorted(service.feed.lags().items()):
            yield LAG, (str(partition),), lag
        age = service.age(snapshot)
        if age is not None:
            yield AGE, (), age
        recent = service.ages.recent()
        for name, value in (("0.5", recent.p50), ("0.99", recent.p99)):
            if value is not None:
                yield QUANTILE, (name,), value
        yield CATCHING_UP, (), service.ages.left_out
        yield from self._breakdowns()
        yield FEED_UP, (), float(service.is_healthy())
        yield READY, (), float(not self.not_ready_reason())

    def _breakdowns(self) -> Iterable[Value]:
        for breakdown in self._service.held_breakdowns():
            labels = (breakdown.name,)
            yield BREAKDOWN_ROWS, labels, breakdown.rows
            yield BREAKDOWN_HELD, labels, breakdown.held_bytes
            yield BREAKDOWN_WINDOWS, labels, breakdown.windows
            yield OTHER_WINDOWS, labels, breakdown.other_windows
            if breakdown.other_share is not None:
                yield OTHER_RATIO, labels, breakdown.other_share
            yield BREAKDOWN_UNREAD, labels, self._service.breakdown_feeds[breakdown.name].unread
