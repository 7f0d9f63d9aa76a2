"""Create the topics of a deployment: ``adtally topics``; waits for the broker, and leaves existing topics as they are."""

from __future__ import annotations

from dataflows.contract.settings import Settings
from dataflows.kafka.topics import Topics
from dataflows.telemetry import log_lines


def create(settings: Settings) -> None:
    """Wait for the broker and create what is missing; print where a topic differs from the contract. Raises `BrokerError`."""
    names = settings.topics
    topics = Topics(settings)
    topics.wait(*names)
    log_lines.tell(f"topics on {settings.brokers}: {', '.join(names)}")
    for line in topics.strayed(*names):
        log_lines.say("adtally", line, level="warning")
