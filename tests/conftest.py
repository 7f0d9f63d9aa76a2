"""Fixtures that every test may use: a broker of its own, topics of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from dataflows.settings import Settings


@pytest.fixture(scope="session")
def embedded_broker() -> Iterator[str]:
    """``host:port`` of the cluster that is built into librdkafka, inside this test process."""
    cluster = Producer({"test.mock.num.brokers": 1, "log_level": 2})
    (broker,) = cluster.list_topics(timeout=10).brokers.values()
    yield f"127.0.0.1:{broker.port}"
    del cluster


@pytest.fixture
def settings(embedded_broker: str) -> Settings:
    """Settings on the embedded broker with topics and a group that no other test has."""
    tag = uuid.uuid4().hex[:8]
    return Settings(
        brokers=embedded_broker,
        logs_topic=f"logs-{tag}",
        results_topic=f"results-{tag}",
        rejected_topic=f"rejected-{tag}",
        group=f"adtally-{tag}",
    )
