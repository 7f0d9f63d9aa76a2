"""Settings of a test: topics and a consumer group of its own; and where the shared real input is."""

from __future__ import annotations

import uuid
from pathlib import Path

from msgspec.structs import replace

from dataflows.contract.settings import Settings

SHARED = Path(__file__).parents[3] / "shared" / "data"
"""Real input that is not part of the project."""


def own_names(brokers: str) -> Settings:
    """Settings with topics and a group that no other test has."""
    tag = uuid.uuid4().hex[:8]
    return replace(
        Settings(),
        brokers=brokers,
        logs_topic=f"logs-{tag}",
        results_topic=f"results-{tag}",
        rejected_topic=f"rejected-{tag}",
        group=f"adtally-{tag}",
    )
