"""A flow as its user runs it: as a process, or as a cluster of them; and what it wrote."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
from bytewax.recovery import init_db_dir
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from dataflows.commands.counters import progress
from dataflows.contract.client_properties import client_variable
from dataflows.contract.settings import Settings, variable
from dataflows.kafka.topics import Topics
from dataflows.process import ports
from deploy.processes.cluster import members
from deploy.processes.watchdog import await_frozen

ANSWER_SECONDS = 30.0
"""Time limit for a broker's answer to a test, on a busy machine."""

FLOW = [sys.executable, "-m", "bytewax.run", "dataflows.marketing"]


def environment(settings: Settings) -> dict[str, str]:
    """The process environment that gives a child these settings."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith("ADTALLY_")}
    for name in Settings.__struct_fields__:
        value = getattr(settings, name)
        if name != "client" and value != getattr(Settings(), name):
            plain[variable(name)] = str(value).lower() if isinstance(value, bool) else str(value)
    plain |= {client_variable(name): value for name, value in settings.client.items()}
    return {**plain, "PYTHONUNBUFFERED": "1"}


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 120.0) -> Any:
    """The first true value of `condition`, asked until then; fails with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds:g} s in vain for {what}")


def free_port() -> int:
    """A port that nothing listens on."""
    return ports.free()


def free_ports(count: int) -> int:
    """The first of `count` ports in a row that nothing listens on."""
    while True:
        first = free_port()
        if first + count <= 65_536 and not any(ports.taken(first + number) for number in range(count)):
            return first


def stumbling(code: int, times: int) -> type[Consumer]:
    """A consumer that gets the error `code` that number of times when it asks for the ends of a partition."""
    left = [times]

    class Stumbling(Consumer):
        def get_watermark_offsets(self, *args: Any, **more: Any) -> Any:
            if left[0]:
                left[0] -= 1
                raise KafkaException(KafkaError(code))
            return super().get_watermark_offsets(*args, **more)

    return Stumbling


def recovery_folder(folder: Path, parts: int = 1) -> Path:
    """A new recovery store in `folder`."""
    folder.mkdir()
    init_db_dir(folder, parts)
    return folder


class Flow:
    """One run of the flow, in one process or several; its output in a file."""

    def __init__(self, settings: Settings, log: Path, *arguments: str, processes: int = 1, command: Sequence[str] = FLOW) -> None:
        """`command`: another one than that of the flow, with the same arguments."""
        self.log = log
        with log.open("ab") as out:
            self.processes = [
                subprocess.Popen([*command, *arguments, *more], env=environment(settings), stdout=out, stderr=out)
                for more in members(processes)
            ]

    def signal(self, number: int) -> None:
        for process in self.processes:
            process.send_signal(number)

    def freeze(self) -> None:
        """Let it stand still (SIGSTOP)."""
        self.signal(signal.SIGSTOP)
        for process in self.processes:
            await_frozen(process.pid)

    def wait(self, seconds: float = 120) -> list[int]:
        """The exit codes, once it has ended; raises `subprocess.TimeoutExpired`."""
        return [process.wait(seconds) for process in self.processes]

    def stop(self) -> list[int]:
        """Ask it to stop; the exit codes."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """End it as a power cut would."""
        self.signal(signal.SIGKILL)
        self.wait()

    def output(self) -> str:
        return self.log.read_text()


@contextmanager
def running(settings: Settings, log: Path, *arguments: str, processes: int = 1) -> Generator[Flow]:
    """A flow that is gone when the block ends, whatever happens in it."""
    flow = Flow(settings, log, *arguments, processes=processes)
    try:
        yield flow
    finally:
        flow.kill()


def send(
    settings: Settings, payloads: Iterable[bytes | None], keys: Iterable[str] | None = None, partition: int | None = None
) -> None:
    """Put payloads on the logs, each acknowledged."""
    Topics(settings).ensure(settings.logs_topic, timeout=ANSWER_SECONDS)
    producer = Producer({"bootstrap.servers": settings.brokers, "linger.ms": 2, "enable.idempotence": True})
    failures: list[KafkaError] = []
    where = -1 if partition is None else partition
    names = keys if keys is not None else (str(number) for number, _ in enumerate(iter(int, 1)))
    for value, key in zip(payloads, names, strict=False):
        while True:
            try:
                producer.produce(
                    settings.logs_topic, value, key, where, on_delivery=lambda error, _: failures.append(error) if error else None
                )
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(ANSWER_SECONDS) == 0
    assert not failures


def read_topic(settings: Settings, topic: str) -> list[tuple[bytes, Any]]:
    """Everything on a topic as (key, decoded value), each partition in its order."""
    partitions = Topics(settings).partitions(topic, ANSWER_SECONDS)
    plain = {"bootstrap.servers": settings.brokers, "group.id": "reading", "enable.auto.commit": False}
    # A broker reports the end of a partition only after this wait for more.
    consumer = Consumer({**plain, "enable.partition.eof": True, "fetch.wait.max.ms": 10})
    consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
    found: list[tuple[bytes, Any]] = []
    ended: set[int] = set()
    while len(ended) < partitions:
        for message in consumer.consume(1000, 0.05):
            error = message.error()
            if error is None:
                found.append((message.key() or b"", msgspec.json.decode(message.value() or b"null")))
            elif error.code() == KafkaError._PARTITION_EOF:
                ended.add(message.partition() or 0)
    consumer.close()
    return found


def last_results(settings: Settings) -> dict[bytes, dict[str, Any]]:
    """The last value of each key of the results."""
    return dict(read_topic(settings, settings.results_topic))


def counters(settings: Settings) -> list[dict[str, int]]:
    """The counters of each partition, committed with its offset; empty for one without."""
    partitions = Topics(settings).partitions(settings.logs_topic, ANSWER_SECONDS)
    if not partitions:
        return []
    places = [TopicPartition(settings.logs_topic, number) for number in range(partitions)]
    consumer = Consumer({"bootstrap.servers": settings.brokers, "group.id": settings.group})

    def asked() -> list[TopicPartition]:
        with suppress(KafkaException):  # a broker that has just started has no coordinator of the group for a moment
            return consumer.committed(places, timeout=ANSWER_SECONDS)
        return []

    committed: list[TopicPartition] = wait_for(asked, "the committed offsets")
    consumer.close()
    return [msgspec.json.decode(place.metadata) if place.metadata else {} for place in committed]


def take_back_progress(settings: Settings) -> None:
    """Show nothing as read, until a flow shows how far it is itself: one that runs does with each snapshot.

    What runs before it have shown says nothing of how far it is: it may still replay what they had read.
    """
    places = [TopicPartition(settings.logs_topic, row.partition, 0) for row in progress(settings, ANSWER_SECONDS)]
    consumer = Consumer({"bootstrap.servers": settings.brokers, "group.id": settings.group})

    def committed() -> bool:
        with suppress(KafkaException):  # a broker that has just started has no coordinator of the group for a moment
            consumer.commit(offsets=places, asynchronous=False)
            return True
        return False

    wait_for(committed, "the offsets to be committed")
    consumer.close()


def await_caught_up(settings: Settings) -> None:
    """Wait until the flow that runs has read the logs to their end, whatever runs before it have read."""
    take_back_progress(settings)
    wait_for(lambda: not any(row.lag for row in progress(settings, ANSWER_SECONDS)), "the flow to read to the end")


def counted(settings: Settings) -> int:
    """Events in the last results."""
    return sum(result["events"] for result in last_results(settings).values())
