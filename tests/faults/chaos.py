"""Random faults while events flow: ``python -m tests.faults.chaos --seed 7 --runs 50``.

A run sends synthetic events (disorder, duplicates, late and malformed ones) at a steady rate to a real Kafka, and meanwhile does to
the flow and the broker what its seed says. When all is sent and read, the oracle compares the topics with the log. Each run has topics
and a recovery folder of its own.
"""

from __future__ import annotations

import argparse
import datetime as dt
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka.admin import AdminClient, NewPartitions  # pyright: ignore[reportPrivateImportUsage]  # the documented place

from dataflows.kafka import Topics
from dataflows.settings import Settings
from deploy.local_kafka import LocalKafka
from tests.conftest import own_names
from tests.flows import Flow, counters, environment, recovery_folder, wait_for
from tests.oracle.compare import differences
from tests.oracle.journal import Journal, Traffic

TRAFFIC = ["--disorder", "5%", "--duplicates", "1%", "--malformed", "0.5%", "--late", "0.5%"]


@dataclass
class Outcome:
    """What a run showed: the faults it met, the messages sent, and every way in which the topics are not exact."""

    seed: int
    sent: int = 0
    faults: Counter[str] = field(default_factory=Counter[str])
    wrong: list[str] = field(default_factory=list[str])

    def __str__(self) -> str:
        met = ", ".join(f"{count} × {name}" for name, count in sorted(self.faults.items())) or "no fault"
        verdict = "exact" if not self.wrong else f"NOT EXACT: {len(self.wrong)} differences, first: {self.wrong[0]}"
        return f"seed {self.seed}: {self.sent:,} messages, {met}: {verdict}"


class Stage:
    """One run: traffic, a flow that is killed and started again, and the broker both depend on."""

    def __init__(self, kafka: LocalKafka, folder: Path, seed: int, seconds: float, rate: int) -> None:
        self.kafka = kafka
        self.random = random.Random(seed)
        self.outcome = Outcome(seed)
        self.settings: Settings = own_names(kafka.bootstrap)
        self.seconds = seconds
        self.rate = rate
        self._folder = folder
        self._recovery = recovery_folder(folder / "recovery")
        self._flow: Flow | None = None
        self._spoken = 0

    def run(self, faults: Sequence[str]) -> Outcome:
        """Let the traffic flow and the faults happen; then judge."""
        Topics(self.settings).ensure(self.settings.logs_topic, timeout=30)
        traffic = Traffic(self.settings.brokers, self.settings.logs_topic, self._payloads(), self.rate)
        traffic.start()
        try:
            # A broker that is away before the flow runs would only be a start that fails, as it should.
            wait_for(lambda: len(traffic.journal), "the first event")
            self.start()
            end = time.monotonic() + self.seconds
            while time.monotonic() < end:
                time.sleep(self.random.random() * 3)
                fault = self.random.choice(list(faults))
                self.outcome.faults[fault] += 1
                FAULTS[fault](self)
            traffic.join(self.seconds + 120)
            self._judge(traffic.journal)
        finally:
            traffic.stop()
            if self._flow:
                self._flow.kill()
        return self.outcome

    def start(self, processes: int = 1, workers: int = 1) -> None:
        """Start the flow, which must not run."""
        self._spoken = len(self._flow.output()) if self._flow else 0
        arguments = ["-r", str(self._recovery), "-s", "1", "-b", "0", "-w", str(workers)]
        self._flow = Flow(self.settings, self._folder / "flow.log", *arguments, processes=processes)

    def again(self) -> None:
        """Start it with some number of processes and workers."""
        self.start(self.random.choice([1, 1, 2]), self.random.choice([1, 2, 4]))

    @property
    def flow(self) -> Flow:
        """The flow that runs."""
        assert self._flow is not None
        return self._flow

    def stop(self, number: int) -> None:
        """Ask the flow to stop, once it has started; anything but exit code 0 is a difference."""
        # Before that it may not have come to say what it does with a signal, and Python ends it in its own way.
        wait_for(
            lambda: self.flow.output().count("reading partition", self._spoken) >= 4 or self.ended(), "the flow to start", 60
        )
        self.flow.signal(number)
        codes = self.flow.wait(60)
        if any(codes):
            self.outcome.wrong.append(f"stopped with {codes} instead of 0: {self.flow.output()[-300:]}")

    def ended(self) -> bool:
        """Whether a process of the flow has ended by itself."""
        return any(process.poll() is not None for process in self.flow.processes)

    def _payloads(self) -> list[bytes]:
        """What the generator makes up for this seed, from now on."""
        begin = dt.datetime.now(dt.UTC).isoformat()
        command = [sys.executable, "-m", "generator", "synthetic", "--dry-run", "--start-time", begin, "--rate", str(self.rate)]
        command += ["--duration", f"{self.seconds:g}s", "--seed", str(self.outcome.seed), "--quiet", *TRAFFIC]
        return subprocess.run(command, env=environment(self.settings), check=True, capture_output=True).stdout.split(b"\n")[:-1]

    def _judge(self, journal: Journal) -> None:
        wrong = self.outcome.wrong
        self.outcome.sent = len(journal)
        if self.ended():
            wrong.append(f"the flow ended by itself: {self.flow.output()[-500:]}")
            return
        settings = self.settings
        topics = (settings.brokers, settings.logs_topic, settings.results_topic, settings.rejected_topic)
        try:
            # Not until the counters say so: they may be those of a run that was killed before it could write what it had read.
            wait_for(lambda: self.ended() or not differences(*topics, journal=journal), "exact results", 90)
        except AssertionError as error:
            wrong.append(f"{error}; counters: {counters(settings)}")
        self.stop(signal.SIGTERM)
        wrong += differences(*topics, journal=journal, group=settings.group)


def _kill(stage: Stage) -> None:
    stage.flow.kill()
    stage.again()


def _stop(number: int) -> Callable[[Stage], None]:
    def stop(stage: Stage) -> None:
        stage.stop(number)
        stage.again()

    return stop


def _broker_killed(stage: Stage) -> None:
    stage.kafka.kill()
    time.sleep(stage.random.random() * 3)
    stage.kafka.start()


def _broker_paused(stage: Stage) -> None:
    stage.kafka.pause()
    time.sleep(stage.random.random() * 10)
    stage.kafka.resume()


def _partition_added(stage: Stage) -> None:
    topic = stage.settings.logs_topic
    admin = AdminClient({"bootstrap.servers": stage.kafka.bootstrap})
    count = Topics(stage.settings).partitions(topic, 30)
    for done in admin.create_partitions([NewPartitions(topic, count + 1)]).values():
        done.result(30)


FAULTS: dict[str, Callable[[Stage], None]] = {
    "kill": _kill,
    "sigterm": _stop(signal.SIGTERM),
    "sigint": _stop(signal.SIGINT),
    "broker killed": _broker_killed,
    "broker paused": _broker_paused,
    "partition added": _partition_added,
}
"""What can be done to a run; the weight of each is that of a draw with equal chances."""

COMMON = ("kill", "kill", "kill", "sigterm", "sigint", "kill", "broker paused", "partition added", "broker killed")


def main() -> int:
    """Run as often as asked; 1 if any run was not exact."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.chaos", description="Random faults, and the oracle as the judge."
    )
    parser.add_argument("--seed", type=int, default=1, help="of the first run; the next ones count up from it")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=15, help="of traffic in a run")
    parser.add_argument("--rate", type=int, default=2000, help="messages a second")
    parser.add_argument("--faults", default=",".join(COMMON), help=f"drawn from, separated by commas: {', '.join(FAULTS)}")
    given = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="adtally-chaos-") as place, LocalKafka(Path(place) / "kafka") as kafka:
        for seed in range(given.seed, given.seed + given.runs):
            folder = Path(place) / f"run-{seed}"
            folder.mkdir()
            outcome = Stage(kafka, folder, seed, given.seconds, given.rate).run(given.faults.split(","))
            failed += bool(outcome.wrong)
            print(outcome, flush=True)
            for line in outcome.wrong[:20]:
                print(f"    {line}", flush=True)
    print(f"{given.runs - failed} of {given.runs} runs exact")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
