"""In whatever order the parts are started: each waits for what is missing, says so once, and goes on by itself."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from dataflows.kafka.topics import Topics
from tests.support.brokers import broker_process
from tests.support.dashboards import serving
from tests.support.feeds import World
from tests.support.flows import ANSWER_SECONDS, counted, free_port, running, send, wait_for
from tests.support.records import payload
from tests.support.results import result
from tests.support.settings import own_names
from tests.support.waiting import until


def test_dashboard_and_flow_before_their_broker_wait_and_go_on_by_themselves(tmp_path: Path) -> None:
    port = free_port()
    settings = own_names(f"127.0.0.1:{port}")
    broker: subprocess.Popen[str] | None = None
    with serving(settings, tmp_path / "dashboard") as dashboard, running(settings, tmp_path / "flow") as flow:
        try:
            wait_for(lambda: dashboard.health() == (503, "down", 0), "the dashboard to say that no broker answers")
            wait_for(lambda: "no Kafka broker answers" in flow.output(), "the flow to say so")
            broker = broker_process(port)
            wait_for(lambda: dashboard.health()[0] == 200, "the dashboard to find the broker")
            wait_for(lambda: "reading partition 0" in flow.output(), "the flow to find the broker")
            assert dashboard.health()[2] == 0
            send(settings, [payload("a"), payload("b", 70)])
            wait_for(lambda: dashboard.health() == (200, "live", 2), "the figures on the dashboard")
            assert counted(settings) == 2
            for line in (f"waiting for Kafka: no Kafka broker answers at 127.0.0.1:{port}", "is available"):
                assert dashboard.says(line) == 1
                assert flow.output().count(line) == 1
            assert "Traceback" not in dashboard.log.read_text() + flow.output()
            assert flow.stop() == [0]
        finally:
            if broker is not None:
                broker.kill()
                broker.wait()


@pytest.mark.kafka
def test_before_any_topic_the_dashboard_waits_and_the_flow_makes_them(real_kafka: str, tmp_path: Path) -> None:
    settings = own_names(real_kafka)
    with serving(settings, tmp_path / "dashboard") as dashboard:
        wait_for(lambda: dashboard.health() == (200, "waiting", 0), "the dashboard to wait for the topic")
        with running(settings, tmp_path / "flow") as flow:
            wait_for(lambda: dashboard.health() == (200, "live", 0), "the dashboard to find the topic")
            send(settings, [payload("a")])
            wait_for(lambda: dashboard.health() == (200, "live", 1), "the figures on the dashboard")
            assert flow.stop() == [0]
        assert dashboard.says(f"waiting for topic {settings.results_topic}") == 1
        assert dashboard.says("is available") == 1


@pytest.mark.kafka
@pytest.mark.parametrize("partitions", [2, 7])
def test_deleted_and_recreated_results_are_read_with_any_number_of_partitions(real_kafka: str, partitions: int) -> None:
    settings = own_names(real_kafka)
    Topics(settings).ensure(settings.results_topic, timeout=ANSWER_SECONDS)
    admin = AdminClient({"bootstrap.servers": real_kafka})
    world = World(settings)
    world.send(*(result(minute=minute) for minute in range(20)))
    world.feed.start()
    try:
        until(lambda: world.rows() == 20 and world.feed.status.state == "live")
        admin.delete_topics([settings.results_topic])[settings.results_topic].result(60)
        until(lambda: world.feed.status.state == "waiting")
        assert world.rows() == 20
        made = time.monotonic() + 60
        while True:
            try:
                admin.create_topics([NewTopic(settings.results_topic, partitions, 1)])[settings.results_topic].result(60)
                break
            except KafkaException:  # the old one is still being deleted
                assert time.monotonic() < made
                time.sleep(0.2)
        again = World(settings)
        again.send(*(result(minute=minute, clicks=5, revision=99, state="corrected") for minute in range(40)))
        until(lambda: world.store.snapshot().between(0, 2**40, 60)["clicks"].to_list() == [5] * 40)
        until(lambda: world.feed.status.state == "live")
    finally:
        world.feed.stop()
