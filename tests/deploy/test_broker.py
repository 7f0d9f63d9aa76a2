"""The embedded broker: a process that serves Kafka clients on the requested port."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from dataflows.process import ports
from tests.support.deploy.processes import runs, start_python
from tests.support.waiting import until


@pytest.fixture
def address_file(tmp_path: Path) -> Path:
    return tmp_path / "address"


@pytest.fixture
def broker(address_file: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    port = ports.free()
    process = start_python("-m", "adtally", "broker", "--port", str(port), "--address-file", str(address_file), "--with-parent")
    until(address_file.exists)
    yield process, port
    process.kill()
    process.communicate()


def test_a_record_produced_over_the_requested_port_is_consumed_over_it(broker: tuple[object, int]) -> None:
    server = f"127.0.0.1:{broker[1]}"
    producer = Producer({"bootstrap.servers": server, "enable.idempotence": True})
    producer.produce("logs", b"an event", b"its key", partition=0)
    assert producer.flush(60) == 0
    consumer = Consumer({"bootstrap.servers": server, "group.id": "g", "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition("logs", 0, 0)])
    message = consumer.poll(60)
    consumer.close()
    assert message is not None
    assert (message.key(), message.value()) == (b"its key", b"an event")


def test_it_writes_its_address_and_says_in_one_line_what_it_is_not_for(
    broker: tuple[subprocess.Popen[str], int], address_file: Path
) -> None:
    process, port = broker
    assert address_file.read_text() == f"127.0.0.1:{port}"
    process.terminate()
    said, complaints = process.communicate(timeout=60)
    assert said.count("\n") == 1
    assert said.startswith(f"embedded broker on 127.0.0.1:{port};")
    for words in ("in memory", "5 MiB", "100,000 records", "not for data that matters"):
        assert words in said
    assert complaints == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly_even_while_clients_are_connected(
    broker: tuple[subprocess.Popen[str], int], number: signal.Signals
) -> None:
    process, port = broker
    with socket.create_connection(("127.0.0.1", port)):
        process.send_signal(number)
        assert process.wait(60) == 0


def test_it_takes_a_free_port_if_the_requested_one_is_in_use(address_file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as occupant:
        wanted = occupant.getsockname()[1]
        process = start_python("-m", "adtally", "broker", "--port", str(wanted), "--address-file", str(address_file))
        until(address_file.exists)
        port = int(address_file.read_text().rpartition(":")[2])
        topics = Producer({"bootstrap.servers": f"127.0.0.1:{port}"}).list_topics(timeout=60)
        process.terminate()
        said, _ = process.communicate(timeout=60)
    assert port != wanted
    assert len(topics.brokers) == 1
    assert f"(port {wanted} is in use)" in said


def test_with_parent_it_ends_when_its_parent_is_killed(address_file: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "adtally",
        "broker",
        "--port",
        str(ports.free()),
        "--address-file",
        str(address_file),
        "--with-parent",
    ]
    parent = start_python("-c", f"import subprocess; p = subprocess.Popen({command!r}); print(p.pid, flush=True); p.wait()")
    assert parent.stdout
    pid = int(parent.stdout.readline())
    until(address_file.exists)
    parent.kill()
    until(lambda: not runs(pid))
    parent.communicate()


def test_a_port_that_does_not_exist_is_refused_in_words() -> None:
    process = start_python("-m", "adtally", "broker", "--port", "99999")
    _, complaints = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "'99999' is not a port" in complaints
