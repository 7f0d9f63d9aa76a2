"""Metrics as a process declares them: a table of names with their help, and a function that returns their values at each scrape.

Nothing is counted here: the values are those that the process keeps anyway, so that a metric can't disagree with them.
"""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import msgspec
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector
from typing_extensions import override

BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 90.0, 150.0)
"""Bounds of the ages of events, in seconds; what is older than the last is not measured at all (`ages.Ages`)."""


class Metric(msgspec.Struct, frozen=True):
    """Name, help text and labels of a metric; each label has few values, and none that comes from an event."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    labels: tuple[str, ...] = ()

    def family(self) -> CounterMetricFamily | GaugeMetricFamily:
        """Return an empty family for one scrape."""
        kind = CounterMetricFamily if self.kind == "counter" else GaugeMetricFamily
        return kind(self.name.removesuffix("_total"), self.help, labels=self.labels)


Value = tuple[Metric, tuple[str, ...], float]
"""A metric, the values of its labels, and its own."""

READY = Metric("adtally_ready", "gauge", "Whether this process is ready, as /readyz reports it: 1 or 0.")
"""Metric of every part."""

BUILD = Metric(
    "adtally_build_info", "gauge", "Always 1; the labels are the version of adtally and the part.", ("version", "part")
)


class MetricTable(Collector):
    """Collector of the values of declared metrics for each scrape; metrics without a value are shown without one."""

    def __init__(self, metrics: Sequence[Metric], gather: Callable[[], Iterable[Value]]) -> None:
        self._metrics = metrics
        self._gather = gather

    @override
    def collect(self) -> Iterable[Family]:
        families = {metric.name: metric.family() for metric in self._metrics}
        for metric, labels, value in self._gather():
            families[metric.name].add_metric(labels, value)
        return families.values()


def version() -> str:
    """Return the installed version of adtally; ``unknown`` if it runs from its source alone."""
    try:
        return importlib.metadata.version("adtally")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def make_registry(part: str, metrics: Sequence[Metric], gather: Callable[[], Iterable[Value]]) -> CollectorRegistry:
    """Return the registry of a process: its own metrics, its build, and the client library's metrics of memory, CPU and Python."""
    registry = CollectorRegistry(auto_describe=False)
    if sys.platform == "linux":  # it reads /proc
        ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    own = version()

    def everything() -> Iterable[Value]:
        yield BUILD, (own, part), 1.0
        yield from gather()

    registry.register(MetricTable([BUILD, *metrics], everything))
    return registry
