"""State that all parts of the flow in one process share."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from dataflows.contract.breakdowns import topic_of
from dataflows.contract.settings import Settings
from dataflows.flow.engines import Engine
from dataflows.flow.idle import Workers
from dataflows.flow.lifecycle import Lifecycle
from dataflows.flow.telemetry import Observed
from dataflows.flow.topology import Topology

log = logging.getLogger("adtally")


class FlowContext:
    """Settings, engine, lifecycle and view of the cluster of one process, and the figures that its parts record."""

    def __init__(
        self,
        settings: Settings,
        *,
        lifecycle: Lifecycle | None = None,
        recovery: Path | None = None,
        topology: Topology | None = None,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`recovery`: the recovery folder, for metrics; `now` and `monotonic`: seconds, `now` since 1970.

        Raises `SettingsError` where ``ADTALLY_NATIVE=on`` can't be met."""
        self.settings = settings
        self.now = now
        self.monotonic = monotonic
        self.lifecycle = lifecycle or Lifecycle()
        self.engine = Engine(settings)
        self.result_topics = {
            "results": settings.results_topic,
            **{
                topic_of("results", breakdown): topic_of(settings.results_topic, breakdown)
                for breakdown in settings.breakdown_list
            },
        }
        """The topic of each table, by its label in the metrics."""
        self.workers = Workers()
        self.topology = topology or Topology(settings, self.lifecycle.stopping.is_set)
        self.observed = Observed(
            settings.window_seconds,
            stopping=self.lifecycle.stopping.is_set,
            reachable=self.topology.reachable,
            partitions=self.topology.known,
            recovery=recovery,
            intake="native" if self.engine.is_native else "python",
            tables=tuple(self.result_topics),
            breakdowns=tuple(breakdown.name for breakdown in settings.breakdown_list),
            now=now,
            monotonic=monotonic,
        )
        self._warned_of_create_time = False

    def warn_of_create_time(self) -> None:
        """Log once that the timestamps of the logs are not the broker's own."""
        if not self._warned_of_create_time:
            self._warned_of_create_time = True
            log.warning(
                "topic %s has message.timestamp.type=CreateTime, so the producers' clocks decide which events are too "
                "far ahead; set it to LogAppendTime",
                self.settings.logs_topic,
            )
