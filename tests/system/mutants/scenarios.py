"""What a mutant is put through: each scenario is a run in which the flow as it is stays exact, and some mutants do not."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import confluent_kafka.admin
from msgspec.structs import replace

from dataflows.commands.counters import progress
from dataflows.contract.errors import BrokerError
from dataflows.contract.settings import Settings
from dataflows.kafka.topics import Topics
from tests.support.flows import ANSWER_SECONDS, Flow, counted, last_results, recovery_folder, take_back_progress, wait_for
from tests.support.records import payload
from tests.system.mutants.payloads import Payloads, by_device, events, odd
from tests.system.oracle.compare import differences
from tests.system.oracle.journal import Journal, send_all
from tests.system.oracle.terms import terms_of

kafka: Any = confluent_kafka.admin
"""Its types leave out half of what its documentation names."""


class Trial:
    """One mutant in one scenario: topics of its own, a recovery folder, and what it was sent."""

    def __init__(self, settings: Settings, folder: Path, mutant: str) -> None:
        self.settings = settings
        self.journal = Journal()
        self.codes: list[int] = []
        self._command = [sys.executable, "-m", "tests.system.mutants.run", mutant]
        self._log = folder / "log"
        self._recovery = recovery_folder(folder / "recovery")
        self._flow: Flow | None = None
        self._spoken = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.kill()

    def set(self, **changed: object) -> None:
        """Change settings; they hold from the next start on."""
        self.settings = replace(self.settings, **changed)

    def send(self, payloads: Payloads, *partitions: int) -> None:
        """Send all of `payloads` to each of `partitions`, or where their keys lead; wait for the acknowledgements."""
        Topics(self.settings).ensure(self.settings.logs_topic, timeout=ANSWER_SECONDS)
        for partition in partitions or (-1,):
            more = send_all(self.settings.brokers, self.settings.logs_topic, payloads, partition)
            assert len(more) == len(payloads), more.refused
            self.journal.entries |= more.entries

    def start(self) -> None:
        """Start the flow with the mutant in it."""
        self._spoken = len(self.output())
        self._flow = Flow(self.settings, self._log, "-r", str(self._recovery), "-s", "1", "-b", "0", command=self._command)

    def read_all(self) -> None:
        """Wait until a snapshot covers all that was sent, or the flow has ended."""
        # Not by the counters, which a mutant may get wrong.
        take_back_progress(self.settings)
        wait_for(lambda: self.ended() or self._lag() == 0, "the flow to read it all")

    def _lag(self) -> int:
        """Messages that no snapshot covers yet; -1 where a broker that has just begun can't tell."""
        try:
            return sum(row.lag for row in progress(self.settings, ANSWER_SECONDS))
        except BrokerError:
            return -1

    def save(self) -> None:
        """Wait until the snapshot that covers what was read is on disk, or waits for the broker, or the flow has ended."""
        # The flow shows what it has read before that snapshot is on disk; a few snapshots further, it is.
        seen = self._snapshots()
        wait_for(
            lambda: self.ended() or self._snapshots() > seen + 3 or "waiting for the broker to acknowledge" in self.output(),
            "a snapshot",
        )

    def _snapshots(self) -> int:
        """How many snapshots are on disk, as Bytewax counts them."""
        with closing(sqlite3.connect(f"file:{self._recovery}/part-0.sqlite3?mode=ro", uri=True, timeout=30)) as store:
            return store.execute("SELECT coalesce(max(worker_frontier), 0) FROM fronts").fetchone()[0]

    def ended(self) -> bool:
        """Whether the flow has ended by itself; it did not run on."""
        return self._flow is not None and all(process.poll() is not None for process in self._flow.processes)

    def kill(self) -> None:
        """End the flow as a power cut would, if it runs."""
        if self._flow is not None:
            self._flow.kill()
            self.codes += [code for process in self._flow.processes if (code := process.poll()) is not None]
            self._flow = None

    def stop(self) -> None:
        """Ask the flow to stop, and wait until it has."""
        if self._flow is not None:
            # Before that, it has not come to say what it does with a signal.
            wait_for(lambda: self.ended() or "reading partition" in self.output()[self._spoken :], "the flow to start")
            self.codes += self._flow.stop()
            self._flow = None

    def output(self) -> str:
        """What the flow wrote in all its runs."""
        return self._log.read_text() if self._log.exists() else ""

    def judge(self, *, silence: bool = True) -> list[str]:
        """What the oracle says; `silence`: whether a partition may have been silent until windows were closed without it."""
        settings = self.settings
        topics = (settings.logs_topic, settings.results_topic, settings.rejected_topic)
        terms = terms_of(settings, silence=silence)
        return differences(settings.brokers, *topics, terms, journal=self.journal, group=settings.group)


def undisturbed(trial: Trial) -> list[str]:
    """All kinds of messages, read in one go."""
    late = [payload(f"late-{number}", 1) for number in range(8)]
    trial.send([*odd("x"), *events("twin", 40, 50), *events("x", 400, 1800), *late, *events("last", 40, 50, 1750)])
    trial.start()
    trial.read_all()
    trial.stop()
    return trial.judge()


def killed(trial: Trial) -> list[str]:
    """`kill -9` in the middle of a log, a snapshot being on disk; what comes after repeats events from before."""
    trial.send([*odd("x"), *events("x", 200, 300)])
    trial.start()
    trial.read_all()
    trial.save()
    before = counted(trial.settings)
    trial.send(events("y", 200, 300))
    wait_for(lambda: counted(trial.settings) > before, "part of what is new in the results")
    trial.kill()
    trial.send([*events("z", 40, 300), *events("x", 200, 300)[:40], *events("y", 200, 300)[-40:], b"{bad"])
    trial.start()
    trial.read_all()
    trial.stop()
    return trial.judge()


def stopped(trial: Trial) -> list[str]:
    """SIGTERM while updates wait for their time, and the same command again."""
    trial.set(emit_seconds=3600.0)
    for part in ("x", "y"):
        trial.send(events(part, 200, 300))
        trial.start()
        trial.read_all()
        trial.send(events(part + "2", 200, 300))
        trial.read_all()
        trial.stop()
    return trial.judge()


def _break_down(trial: Trial) -> None:
    trial.set(breakdowns="ad=adgroup_id,device;device", breakdown_cells=4, event_types="lead:conversion,add_to_cart")


def broken_down(trial: Trial) -> list[str]:
    """Two partitions with more values than are admitted, repeats with other values, and types that are not declared."""
    _break_down(trial)
    for partition, devices in enumerate(("abc-defabc-", "-xayza-xyzw")):
        tag = f"p{partition}"
        repeat = payload(f"{tag}-0", 1, device="of a repeat")
        typo = payload(f"{tag}-typo", 2, device="t", event_type="add_to_card")
        trial.send([*by_device(tag, devices[:2]), repeat, typo, *by_device(f"{tag} more", devices)], partition)
        trial.send(by_device(f"{tag} later", devices[::-1], minute=1), partition)
    trial.start()
    trial.read_all()
    trial.stop()
    return trial.judge()


def broken_down_and_killed(trial: Trial) -> list[str]:
    """`kill -9` when all places are taken and a snapshot is on disk; what comes after has values that came before it, and others."""
    _break_down(trial)
    trial.send(by_device("x", "abcdef-"), 0)
    trial.start()
    trial.read_all()
    trial.save()
    trial.kill()
    trial.send([*by_device("y", "gfedcba-"), *by_device("x", "abcdef-")], 0)
    trial.start()
    trial.read_all()
    trial.stop()
    return trial.judge()


def paces(trial: Trial) -> list[str]:
    """One partition is half an hour behind the others, which were read before; none is silent for long."""
    trial.set(idle_seconds=3600.0)
    for partition in (1, 2, 3):
        trial.send(events(f"x{partition}", 100, 1800), partition)
    trial.start()
    trial.read_all()
    trial.send(events("y", 100, 1700), 0)
    trial.read_all()
    trial.stop()
    return trial.judge(silence=False)


def backlog(trial: Trial) -> list[str]:
    """A downtime's backlog: every partition is read from its beginning to its end, one after the other."""
    trial.set(idle_seconds=3600.0)
    for partition in range(4):
        trial.send(events(f"x{partition}", 200, 1800), partition)
    trial.start()
    trial.read_all()
    trial.stop()
    return trial.judge(silence=False)


def in_order(trial: Trial) -> list[str]:
    """One partition in its order: in this even a flow without a watermark over partitions finds the sums."""
    trial.send(events("x", 200, 1800), 0)
    trial.start()
    trial.read_all()
    trial.stop()
    return trial.judge()


def returning(trial: Trial) -> list[str]:
    """A partition is silent while another goes on by more than the allowed lateness; then an event of its own old window comes."""
    trial.set(idle_seconds=0.5)
    for partition in range(4):
        trial.send(events(f"x{partition}", 8, 20), partition)
    trial.start()
    states = {"final"}
    wait_for(lambda: {one["state"] for one in last_results(trial.settings).values()} == states, "all to be final by silence")
    trial.send(events("ahead", 8, 20, 800), 1)
    trial.read_all()
    trial.send(events("back", 8, 20), 0)
    trial.read_all()
    trial.stop()
    return trial.judge()


def unsent(trial: Trial) -> list[str]:
    """`kill -9` when a snapshot is on disk, or waits, while the producers gather records for minutes before they send them."""
    right = trial.settings
    trial.set(client={"linger.ms": "200000"})
    trial.send(events("x", 200, 300))
    trial.start()
    trial.read_all()
    trial.save()
    trial.kill()
    trial.set(client=right.client)
    trial.send([payload("last")])
    trial.start()
    trial.read_all()
    trial.stop()
    return trial.judge()


def refused(trial: Trial) -> list[str]:
    """The broker refuses all results for a while, and takes them again after a restart."""
    trial.send(events("x", 200, 300))
    trial.start()
    trial.read_all()
    _limit(trial.settings, 1)
    trial.send(events("y", 200, 300))
    trial.read_all()
    trial.save()  # the flow shows what it has read a moment before it ends
    trial.kill()
    _limit(trial.settings, 1_000_000)
    trial.start()
    trial.read_all()
    trial.stop()
    return trial.judge()


def _limit(settings: Settings, size: int) -> None:
    """Limit batches of the results to `size` bytes; returns when the broker applies it."""
    admin = kafka.AdminClient({"bootstrap.servers": settings.brokers})
    entry = kafka.ConfigEntry("max.message.bytes", str(size), incremental_operation=kafka.AlterConfigOpType.SET)
    resource = kafka.ConfigResource(kafka.ResourceType.TOPIC, settings.results_topic, incremental_configs=[entry])
    for done in admin.incremental_alter_configs([resource]).values():
        done.result(30)
    # The broker learns what the controller has written in its order: when it knows this topic, it knows the limit.
    after = f"{settings.results_topic}-{size}"
    for done in admin.create_topics([kafka.NewTopic(after, 1, 1)]).values():
        done.result(30)
    wait_for(lambda: admin.list_topics(after, timeout=ANSWER_SECONDS).topics[after].partitions, "the broker to know the limit")


SCENARIOS: dict[str, Callable[[Trial], list[str]]] = {
    function.__name__: function
    for function in (
        undisturbed,
        broken_down,
        killed,
        broken_down_and_killed,
        stopped,
        paces,
        backlog,
        returning,
        unsent,
        refused,
    )
}
"""By name."""
