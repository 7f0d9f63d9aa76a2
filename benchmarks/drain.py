"""A drain: one system reads a filled topic to its end. Measures its cost and checks that its results are exact."""

from __future__ import annotations

import subprocess
import tempfile
import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import Consumer, TopicPartition

from benchmarks.fill import drop_topics, make_topic
from benchmarks.processes import Tree
from benchmarks.shares import Shares
from benchmarks.summary import DrainRun, check
from benchmarks.systems import System, Workspace, settings_of
from benchmarks.workload import FLUSH, Key, Load, Truth
from dataflows.contract import breakdowns
from dataflows.contract.breakdowns import topic_of
from dataflows.contract.errors import AdtallyError
from deploy.processes.watchdog import Watchdog
from tests.support.flows import counters
from tests.system.oracle.compare import differences
from tests.system.oracle.terms import terms_of

PARTS = 4
"""Partitions of a topic of results."""


@dataclass(frozen=True)
class Filled:
    """A topic of events and their true sums."""

    topic: str
    load: Load
    truth: Truth


class ResultReader:
    """Reader of a results topic of any system; it keeps the last value of each cell."""

    def __init__(self, brokers: str, topic: str) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": brokers,
                "group.id": topic,
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 10,
                "fetch.queue.backoff.ms": 5,
            }
        )
        self._consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTS)])
        self.cells: dict[Key, tuple[int, ...]] = {}
        self.events = 0

    def poll(self, seconds: float = 0.2) -> list[tuple[Key, tuple[int, ...]]]:
        """Read the records that arrive within `seconds`; return each cell that changed, with its sums."""
        changed: list[tuple[Key, tuple[int, ...]]] = []
        for message in self._consumer.consume(5000, seconds):
            if message.error() or message.value() is None:
                continue
            key, sums = cell(msgspec.json.decode(message.value() or b""))
            if key[1] == FLUSH:
                continue
            self.events += sum(sums[:3]) - sum(self.cells.get(key, ())[:3])
            self.cells[key] = sums
            changed.append((key, sums))
        return changed

    def close(self) -> None:
        """Close the consumer."""
        self._consumer.close()


def cell(value: dict[str, Any]) -> tuple[Key, tuple[int, ...]]:
    """Return the key and the sums of a result of any system; they differ in the names of the money fields and in the form of a window's
    start.
    """
    cost = value["spend_micros"] if "spend_micros" in value else value["cost_micros"]
    key = (window_start(value["window_start"]), value["campaign_id"], value["channel"])
    return key, (value["impressions"], value["clicks"], value["conversions"], cost, value["revenue_micros"])


def window_start(given: object) -> str:
    """Return a window's start as ``2026-01-01T00:00:00Z``, from that, text without seconds or zone, or milliseconds since 1970."""
    if isinstance(given, int | float):
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(given / 1000))
    text = str(given).replace(" ", "T").removesuffix("Z")[:19]
    return f"{text}:00Z" if len(text) == 16 else f"{text}Z"


def started(
    system: System, place: Workspace, stack: ExitStack, share: float | None = None
) -> tuple[list[subprocess.Popen[bytes]], Tree]:
    """Start the processes of a system and a watchdog that ends them with the stack; their output goes to a file.

    `share`: share of a processor for each of them. Raises `AdtallyError` if this machine cannot limit it.
    """
    shares = stack.enter_context(Shares())
    log = stack.enter_context((place.folder / "log").open("wb"))
    commands = system.start(place)
    watchdog = Watchdog()  # no process survives, however this one ends
    stack.callback(watchdog.close)
    processes = [watchdog.start(command.arguments, log, command.environment) for command in commands]
    if share:
        for process in processes:
            shares.limit(process.pid, share)
    tree = Tree([process.pid for process in processes])

    def end() -> None:
        tree.kill()
        for process in processes:
            process.kill()
            process.wait()
            watchdog.forget(process.pid)

    stack.callback(end)
    return processes, tree


def drain(
    system: System,
    filled: Filled,
    brokers: str,
    broker_pid: int,
    number: int,
    *,
    share: float | None = None,
    oracle: bool = False,
    timeout: float = 900.0,
) -> DrainRun:
    """Run `system` on a topic until its results hold all events, or no more arrive; `oracle`: also check adtally's results with the oracle.

    `number`: number of the round; `share`: share of a processor for each process of the system.

    Raises `AdtallyError` with the last line of output of a system that ended without a result.
    """
    tag = uuid.uuid4().hex[:8]
    results, rejected = f"bench-results-{tag}", f"bench-rejected-{tag}"
    own = [topic_of(results, one) for one in breakdowns.parse(str((system.settings or {}).get("breakdowns", "")))]
    for topic in (results, rejected):
        make_topic(brokers, topic, PARTS)
    try:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="adtally-bench-", ignore_cleanup_errors=True)))
            place = Workspace(brokers, filled.topic, results, rejected, folder, filled.load.partitions)
            read = ResultReader(brokers, results)
            stack.callback(read.close)
            broker = Tree([broker_pid])
            stack.callback(broker.close)
            begun = time.monotonic()
            processes, tree = started(system, place, stack, share)
            first, last = _follow(read, filled.truth.counted, processes, begun=begun, quiet=system.quiet, timeout=timeout)
            used = tree.at(last)
            if first is None:
                raise AdtallyError(f"{system.name} produced no result: {_last_words(folder / 'log')}")
            judged = _ask_oracle(system, place, filled) if oracle and system.settings is not None else None
            counted, lost, wrong = check(filled.truth, read.cells)
            return DrainRun(
                system=system.name,
                round=number,
                events=filled.load.events,
                cpu=used.cpu,
                broker_cpu=broker.at(last).cpu - broker.samples[0].cpu,
                wall=last - begun,
                first=first - begun,
                peak=tree.peak,
                counted=counted,
                lost=lost,
                wrong=wrong,
                oracle=judged,
            )
    finally:
        drop_topics(brokers, results, rejected, *own)


def _follow(
    read: ResultReader, wanted: int, processes: list[subprocess.Popen[bytes]], *, begun: float, quiet: float, timeout: float
) -> tuple[float | None, float]:
    """Return when the first and the last result arrived, on the monotonic clock."""
    first: float | None = None
    last = begun
    while read.events < wanted:
        now = time.monotonic()
        if read.poll():
            last = time.monotonic()
            first = first or last
            continue
        over = now - last > quiet if first else any(process.poll() is not None for process in processes)
        if over or now - begun > timeout:
            break
    return first, last


def _ask_oracle(system: System, place: Workspace, filled: Filled) -> list[str]:
    """Return the differences that the oracle finds once the flow is idle and its counters cover the whole log."""
    settings = settings_of(place, **(system.settings or {}))
    total = filled.load.events + filled.load.partitions
    deadline = time.monotonic() + 60
    while sum(one.get("read", 0) for one in counters(settings)) < total and time.monotonic() < deadline:
        time.sleep(0.5)
    return differences(place.brokers, place.logs, place.results, place.rejected, terms_of(settings), group=settings.group)


def _last_words(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it printed nothing"
