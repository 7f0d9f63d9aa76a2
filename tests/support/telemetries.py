"""The metrics and probes of a process, as a test reads them."""

from __future__ import annotations

import http.client
from collections.abc import Iterable
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from dataflows.contract.settings import Settings
from dataflows.flow.metric_table import METRICS as DATAFLOW_METRICS
from dataflows.flow.telemetry import Observed
from dataflows.telemetry.families import BUILD, Metric
from generator import telemetry as generator_telemetry
from panel_app.server import telemetry as dashboard_telemetry
from panel_app.server.access import Access
from panel_app.server.dashboard import Dashboard

Found = dict[tuple[str, frozenset[tuple[str, str]]], float]


def registries() -> dict[str, CollectorRegistry]:
    """The registry of each part, as its process has it."""
    return {
        "dataflow": Observed(60).registry(),
        "generator": generator_telemetry.SendingState().registry(),
        "dashboard": Dashboard(Settings(), Access()).telemetry.registry(),
    }


DECLARED: dict[str, Metric] = {
    metric.name: metric for metric in (BUILD, *DATAFLOW_METRICS, *generator_telemetry.METRICS, *dashboard_telemetry.METRICS)
}


def described(registry: CollectorRegistry) -> dict[str, tuple[str, str, str]]:
    """Name, as it is asked for, to kind, labels and help of each of our own metrics in `registry`."""
    found: dict[str, tuple[str, str, str]] = {}
    for family in registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        if name.startswith("adtally"):
            labels = ", ".join(f"`{label}`" for label in DECLARED[name].labels) if name in DECLARED else ""
            found[name] = family.type, labels, family.documentation
    return found


def samples(text: str) -> Found:
    """The samples in Prometheus' text format by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def ask(port: int, path: str, method: str = "GET") -> tuple[int, str]:
    """Status and content; (0, reason) without an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError as error:
        return 0, str(error)
    finally:
        connection.close()


def scraped(port: int) -> Found:
    """The content of `/metrics` on `port`; empty without an answer."""
    status, text = ask(port, "/metrics")
    return samples(text) if status == 200 else {}


def by(found: Found, name: str, *labels: str) -> dict[Any, float]:
    """The values of `name` by those of `labels`: a text for one label, a tuple for several; summed over the others."""
    sums: dict[Any, float] = {}
    for (one, given), value in found.items():
        if one == name:
            values = tuple(dict(given)[label] for label in labels)
            key = values[0] if len(values) == 1 else values
            sums[key] = sums.get(key, 0) + value
    return sums


def total(found: Found, name: str) -> float | None:
    """The sum of `name` over all labels; None where there is none."""
    values = list(by(found, name).values())
    return sum(values) if values else None


def names(found: Iterable[tuple[str, Any]]) -> set[str]:
    """The names alone."""
    return {name for name, _ in found}
