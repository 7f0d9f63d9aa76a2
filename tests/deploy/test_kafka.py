"""A real Apache Kafka as a child process: it starts, keeps what was acknowledged through a crash, and can be frozen."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from dataflows.contract.errors import AdtallyError
from dataflows.process import ports
from deploy.kafka import jars, local
from deploy.kafka.local import LocalKafka
from tests.support.deploy.processes import ROOT, runs, start_python
from tests.support.waiting import until


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """A Kafka of this module; conftest.py skips tests marked kafka if Java or Maven is missing or ADTALLY_REQUIRE does not name it."""
    with LocalKafka(tmp_path_factory.mktemp("kafka")) as started:
        yield started


def produce(bootstrap: str, topic: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "log_level": 0})
    producer.produce(topic, value)
    assert producer.flush(60) == 0


def first(bootstrap: str, topic: str) -> bytes | None:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "g", "auto.offset.reset": "earliest", "log_level": 0})
    consumer.assign([TopicPartition(topic, 0, 0)])
    message = consumer.poll(60)
    consumer.close()
    return message.value() if message else None


@pytest.mark.kafka
@pytest.mark.xdist_group("kafka")
def test_what_it_acknowledged_is_there_after_a_kill_and_a_start_on_the_same_port(kafka: LocalKafka) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.create_topics([NewTopic("kept", 1, 1)])["kept"].result(60)
    produce(kafka.bootstrap, "kept", b"an event")
    before = kafka.pid
    kafka.kill()
    assert not runs(before)
    kafka.start()
    assert first(kafka.bootstrap, "kept") == b"an event"


@pytest.mark.kafka
@pytest.mark.xdist_group("kafka")
def test_a_paused_one_answers_nothing_until_it_is_resumed(kafka: LocalKafka) -> None:
    kafka.pause()
    try:
        with socket.create_connection(("127.0.0.1", kafka.port), timeout=5) as connection:
            # ApiVersions, version 0: the shortest question that a broker answers at once.
            connection.sendall(bytes.fromhex("0000000a 0012 0000 00000001 ffff"))
            connection.settimeout(0.2)
            with pytest.raises(TimeoutError):
                connection.recv(1)
            kafka.resume()
            connection.settimeout(60)
            assert connection.recv(1)
    finally:
        kafka.resume()


@pytest.mark.kafka
@pytest.mark.xdist_group("kafka")
def test_an_unknown_topic_is_not_made_by_asking_for_it(kafka: LocalKafka) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.list_topics("mistyped", timeout=60)
    assert "mistyped" not in admin.list_topics(timeout=60).topics


@pytest.mark.kafka
@pytest.mark.xdist_group("kafka")
def test_a_taken_port_gives_one_line(kafka: LocalKafka, tmp_path: Path) -> None:
    second = LocalKafka(tmp_path, kafka.port)
    with pytest.raises(AdtallyError, match=rf"^port {kafka.port} is already in use"):
        second.start()
    second.close()


@pytest.mark.kafka
@pytest.mark.xdist_group("kafka")
def test_it_starts_in_the_background_tells_its_state_and_stops(kafka: LocalKafka, tmp_path: Path) -> None:
    assert kafka.pid  # the jars are there, and so is Java
    port = ports.free()
    flags = ("--port", str(port), "--data", str(tmp_path))

    def command(what: str) -> tuple[int, str]:
        process = start_python("-m", "adtally", "kafka", what, *flags)
        said, complaints = process.communicate(timeout=150)
        return process.returncode, said + complaints

    code, said = command("start")
    assert (code, said) == (0, f"Apache Kafka on 127.0.0.1:{port}; data and log in {tmp_path}\n")
    found = local.running(tmp_path)
    assert found
    assert command("status") == (0, f"Apache Kafka on 127.0.0.1:{port}, process {found[0]}\n")
    code, said = command("start")
    assert (code, said.count("\n")) == (1, 1)
    assert "already runs" in said
    assert command("stop") == (0, "stopped\n")
    assert not runs(found[0])
    assert command("status")[0] == 1


@pytest.mark.kafka
@pytest.mark.xdist_group("kafka")
def test_in_the_foreground_it_dies_with_the_process_that_runs_it(kafka: LocalKafka, tmp_path: Path) -> None:
    assert kafka.pid
    process = start_python("-m", "adtally", "kafka", "run", "--port", str(ports.free()), "--data", str(tmp_path))
    until(lambda: local.running(tmp_path), 120)
    found = local.running(tmp_path)
    assert found
    process.kill()
    until(lambda: not runs(found[0]))
    process.communicate()


def test_without_java_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "needs Java 17" in jars.missing_tool()
    with pytest.raises(AdtallyError, match="apt install openjdk"):
        jars.fetch()


@pytest.mark.parametrize(("version", "fits"), [("11.0.2", False), ("17.0.15", True), ("21", True)])
def test_java_counts_from_version_17_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, fits: bool) -> None:
    java = tmp_path / "java"
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ("needs Java" not in jars.missing_tool()) == fits


def test_without_maven_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "java").write_text("#!/bin/sh\necho 'openjdk version \"17.0.1\"' >&2\n")
    (tmp_path / "java").chmod(0o755)
    (tmp_path / "kafka").mkdir()
    shutil.copy(ROOT / "deploy" / "kafka" / "pom.xml", tmp_path / "kafka")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "come with Maven" in jars.missing_tool(tmp_path / "kafka")


def test_a_stale_note_of_a_run_is_not_taken_for_a_running_kafka(tmp_path: Path) -> None:
    (tmp_path / "running").write_text(f"{os.getpid()} 127.0.0.1:1\n")
    assert local.running(tmp_path) is None


@pytest.mark.kafka
@pytest.mark.xdist_group("kafka")
def test_clients_of_a_proxy_get_its_address_and_direct_clients_do_not(tmp_path: Path) -> None:
    with LocalKafka(tmp_path, proxy=1234) as kafka:
        for port, told in ((kafka.port, kafka.port), (kafka.behind_proxy, 1234)):
            (broker,) = AdminClient({"bootstrap.servers": f"127.0.0.1:{port}"}).list_topics(timeout=60).brokers.values()
            assert broker.port == told
