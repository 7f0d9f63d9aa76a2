"""Shared by the benchmark commands: a Kafka of their own, filled topics, and the folder of results."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.drain import Filled
from benchmarks.fill import fill
from benchmarks.workload import Load
from deploy.kafka.local import LocalKafka


@dataclass(frozen=True)
class Session:
    """A running Kafka, the process id of its JVM, and its data folder."""

    brokers: str
    pid: int
    data: Path

    def fill(self, load: Load) -> Filled:
        """Create a topic with this load."""
        topic = f"bench-{load.events}-{uuid.uuid4().hex[:6]}"
        begun = time.monotonic()
        truth = fill(self.brokers, topic, load)
        say(f"filled {topic}: {load.events:,} messages in {time.monotonic() - begun:.0f} s; {json.dumps(truth.totals())}")
        return Filled(topic, load, truth)


@contextmanager
def session() -> Generator[Session]:
    """Run a Kafka for the time of the block, its data in a temporary folder; raises `AdtallyError` if it can't run.

    SIGTERM ends the process as Ctrl-C does, so that its child processes and files are removed.
    """
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(128 + signal.SIGTERM))
    try:
        with (
            tempfile.TemporaryDirectory(prefix="adtally-kafka-", ignore_cleanup_errors=True) as data,
            LocalKafka(Path(data), heap="1g") as kafka,
        ):
            yield Session(kafka.bootstrap, kafka.pid, kafka.data)
    except KeyboardInterrupt:
        say("ended by Ctrl-C")
        sys.exit(128 + signal.SIGINT)


def say(line: str) -> None:
    """Print progress on standard error; standard output has only the tables."""
    print(line, file=sys.stderr, flush=True)


def machine() -> dict[str, Any]:
    """Return what the figures depend on: processors, memory, load of the machine."""
    load = os.getloadavg()
    return {
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "processors": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "load": [round(one, 1) for one in load],
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def folder() -> Path:
    """Return the folder of results: ``ADTALLY_ARTEFACTS``, else ``benchmarks/results``."""
    given = os.environ.get("ADTALLY_ARTEFACTS")
    found = Path(given) if given else Path(__file__).parent / "results"
    found.mkdir(parents=True, exist_ok=True)
    return found


def write(name: str, text: str) -> Path:
    """Write a result file; return its path."""
    file = folder() / name
    file.write_text(text)
    return file


def words(text: str) -> list[str]:
    """Return the words of a list separated by commas or blanks."""
    return text.replace(",", " ").split()


def numbers(text: str) -> list[int]:
    """Return sizes such as ``1000000,4M``; raises `ValueError` for anything else."""
    units = {"k": 1_000, "m": 1_000_000}
    return [int(float(one[:-1]) * units[one[-1].lower()]) if one[-1].lower() in units else int(one) for one in words(text)]


def parsed_numbers(text: str) -> list[int]:
    """Return the numbers in an argument of a command (`numbers`); raises `ArgumentTypeError`, which argparse shows in one line."""
    try:
        found = numbers(text)
    except ValueError:
        found = []
    if not found or min(found) < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers such as 1M,4M")
    return found
