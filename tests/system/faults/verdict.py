"""The oracle's verdict on a deployment, waited for."""

from __future__ import annotations

from dataflows.contract.settings import Settings
from tests.support.flows import Flow, wait_for
from tests.system.oracle.compare import differences
from tests.system.oracle.terms import terms_of


def wrong(settings: Settings) -> list[str]:
    """Every difference between what the topics hold and what the log demands."""
    topics = settings.logs_topic, settings.results_topic, settings.rejected_topic
    return differences(settings.brokers, *topics, terms_of(settings))


def await_exact(settings: Settings, flow: Flow, seconds: float = 120) -> None:
    """Wait until the topics are exact; fails where they do not get so within `seconds`, or where the flow ends before."""

    def exact() -> bool:
        assert all(process.poll() is None for process in flow.processes), flow.output()[-1000:]
        return not wrong(settings)

    wait_for(exact, "exact results", seconds)
