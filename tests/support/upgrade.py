"""What an earlier version of adtally left behind, to be taken over by this one: ``python -m tests.support.upgrade FOLDER`` makes it.

It sends the first half of a log to a broker of its own, lets the flow of *this* version count it, stops it, and keeps in FOLDER what a
deployment would still have then: the recovery folder, and what stands on `results` and `rejected`. A test of a later version puts that
back, sends the second half and holds the whole against the oracle. The folders in `tests/data/` are never made anew: each was written by
the version that its name tells.
"""

from __future__ import annotations

import base64
import random
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import msgspec
from confluent_kafka import Producer
from msgspec.structs import replace

from dataflows.contract.settings import Settings
from dataflows.kafka.clients import make_producer
from dataflows.kafka.scan import scan
from dataflows.kafka.topics import Topics
from tests.support.flows import ANSWER_SECONDS, counters, recovery_folder, running, send, wait_for
from tests.support.records import payload

Message = tuple[str, bytes]
"""Key and payload of a message of the logs."""

CAMPAIGNS = (*(f"campaign {number}" for number in range(9)), 'Été & "Größe 40+"')
CHANNELS = ("search", "social")
HALF_SECONDS = 600


def settings_of(brokers: str) -> Settings:
    """The deployment: topics of fixed names, for they stand in the recovery folder, and a lateness that lets ids be forgotten."""
    return replace(
        Settings(),
        brokers=brokers,
        logs_topic="upgraded-logs",
        results_topic="upgraded-results",
        rejected_topic="upgraded-rejected",
        group="upgraded",
        allowed_lateness_seconds=120.0,
        max_ahead_seconds=60.0,
    )


def half(number: int) -> list[Message]:
    """Messages of the first (0) or second (1) ten minutes: in disorder, repeated - also from the half before -, late, malformed."""
    rng = random.Random(number)
    start = number * HALF_SECONDS
    sent = [] if number == 0 else half(0)[-60:]
    for place in range(400):
        seconds = start + place * HALF_SECONDS / 400 - rng.random() * 3
        sent.append(_event(f"e{number}-{place}", seconds, rng))
        if place % 20 == 7:
            sent.append(sent[rng.randrange(max(0, len(sent) - 60), len(sent))])  # a repeat
        if place % 25 == 11:
            sent.append(_event(f"c{number}-{place}", seconds - 90, rng))  # a correction of a minute that is over
        if place > 100 and place % 50 == 3:
            sent.append(_event(f"l{number}-{place}", seconds - 400, rng))  # too late
        if place % 80 == 5:
            sent.append((f"m{number}-{place}", b"{no event"))
    return sent


def _event(name: str, seconds: float, rng: random.Random) -> Message:
    money = 2**63 - 1 if rng.random() < 0.05 else rng.randrange(5_000_000)  # sums beyond 64 bits
    fields = {"campaign_id": rng.choice(CAMPAIGNS), "channel": rng.choice(CHANNELS), "cost_micros": money}
    return name, payload(name, seconds, event_type=rng.choice(("impression", "click", "purchase")), **fields)


def put(settings: Settings, messages: Iterable[Message]) -> None:
    """Send messages to the logs, each acknowledged."""
    given = list(messages)
    send(settings, [value for _, value in given], [key for key, _ in given])


def await_read(settings: Settings, messages: int) -> None:
    """Wait until the counters show so many messages."""
    wait_for(lambda: sum(one.get("read", 0) for one in counters(settings)) >= messages, f"{messages} messages read")


def keep(settings: Settings, topic: str, file: Path) -> None:
    """Write the records of `topic` to `file`, a JSON array of key and value (Base64) in each line."""
    with file.open("wb") as out:
        for message in scan(settings, topic):
            pair = [base64.b64encode(_bytes(part)).decode() for part in (message.key(), message.value())]
            out.write(msgspec.json.encode(pair) + b"\n")


def bring_back(settings: Settings, folder: Path) -> None:
    """Put what `make` kept in `folder` of `results` and `rejected` on these topics, as the first version did: without headers."""
    Topics(settings).ensure(settings.results_topic, settings.rejected_topic, timeout=ANSWER_SECONDS)
    producer = make_producer(settings, "upgrade")
    for topic, name in ((settings.results_topic, "results.jsonl"), (settings.rejected_topic, "rejected.jsonl")):
        for key, value in kept(folder / name):
            producer.produce(topic, value, key)
    assert producer.flush(30) == 0


def kept(file: Path) -> list[tuple[bytes, bytes]]:
    """Key and value of each record that `keep` wrote to `file`."""
    pairs = [msgspec.json.decode(line, type=tuple[str, str]) for line in file.read_bytes().splitlines()]
    return [(base64.b64decode(key), base64.b64decode(value)) for key, value in pairs]


def _bytes(part: str | bytes | None) -> bytes:
    return part.encode() if isinstance(part, str) else part or b""


def make(folder: Path) -> None:
    """Let this version's flow count the first half, and keep what it leaves behind in `folder`."""
    cluster = Producer({"test.mock.num.brokers": 1, "log_level": 2})
    (broker,) = cluster.list_topics(timeout=10).brokers.values()
    settings = settings_of(f"127.0.0.1:{broker.port}")
    messages = half(0)
    put(settings, messages)
    with tempfile.TemporaryDirectory() as name:
        store = recovery_folder(Path(name) / "recovery")
        with running(settings, Path(name) / "log", "-r", str(store), "-s", "1", "-b", "0") as flow:
            await_read(settings, len(messages))
            assert flow.stop() == [0], flow.output()
        folder.mkdir(parents=True)
        (folder / "recovery").mkdir()
        for part in store.glob("part-*.sqlite3"):
            shutil.copy(part, folder / "recovery")
    keep(settings, settings.results_topic, folder / "results.jsonl")
    keep(settings, settings.rejected_topic, folder / "rejected.jsonl")
    del cluster


if __name__ == "__main__":
    make(Path(sys.argv[1]))
