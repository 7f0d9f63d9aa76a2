"""One run under faults: traffic, a flow that is disturbed meanwhile, and the oracle's verdict."""

from __future__ import annotations

import datetime as dt
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from dataflows.contract.settings import Settings
from dataflows.kafka.topics import Topics
from tests.support.flows import Flow, await_caught_up, counters, environment, recovery_folder, wait_for
from tests.support.settings import own_names
from tests.system.faults.proxy import ProxiedKafka
from tests.system.oracle.compare import differences
from tests.system.oracle.hostile import BREAKDOWNS, EVENT_TYPES, varied
from tests.system.oracle.journal import Journal, Traffic
from tests.system.oracle.terms import terms_of

TRAFFIC = ["--disorder", "5%", "--duplicates", "1%", "--malformed", "0.5%", "--late", "0.5%"]


@dataclass
class RunOutcome:
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

    def __init__(self, kafka: ProxiedKafka, folder: Path, seed: int, seconds: float, rate: int) -> None:
        self.kafka = kafka
        self.random = random.Random(seed)
        self.outcome = RunOutcome(seed)
        self.settings: Settings = replace(
            own_names(kafka.bootstrap),
            breakdowns=BREAKDOWNS,
            # Of a minute: hardly any, some, or all of its cells.
            breakdown_cells=self.random.choice([3, 300, 10_000]),
            event_types=EVENT_TYPES,
        )
        self.seconds = seconds
        self.rate = rate
        self._folder = folder
        self._recovery = recovery_folder(folder / "recovery")
        self._flow: Flow | None = None
        self._spoken = 0

    def run(self, names: Sequence[str], faults: Mapping[str, Callable[[Stage], None]], each: bool = False) -> RunOutcome:
        """Let the traffic flow and faults happen meanwhile, then judge.

        While there is traffic, faults are drawn from `names`; with `each`, they happen once each, in their order.
        """
        Topics(self.settings).ensure(self.settings.logs_topic, timeout=30)
        traffic = Traffic(self.settings.brokers, self.settings.logs_topic, self._payloads(), self.rate)
        traffic.start()
        try:
            # A broker that is away before the flow runs would only be a start that fails, as it should.
            wait_for(lambda: len(traffic.journal), "the first event")
            self.start()
            end = time.monotonic() + self.seconds
            for name in names if each else iter(lambda: self.random.choice(names), None):
                if time.monotonic() >= end and not each:
                    break
                time.sleep(self.random.random() * 3)
                self.outcome.faults[name] += 1
                self._note(name)
                faults[name](self)
            traffic.join(self.seconds + 120)
            self._judge(traffic.journal)
        except AssertionError as error:  # of a run that hangs: the next one goes on without it
            self.outcome.wrong.append(f"{error}; the flow said at last: {self.said()[-300:]}")
        finally:
            self.kafka.proxy.clear()
            traffic.stop()
            if self._flow:
                self._flow.kill()
        return self.outcome

    def start(self, processes: int = 1, workers: int = 1) -> None:
        """Start the flow, which must not run."""
        self._note(f"{processes} processes, {workers} workers in each")
        self._spoken = len(self._flow.output()) if self._flow else 0
        arguments = ["-r", str(self._recovery), "-s", "1", "-b", "0", "-w", str(workers)]
        disturbed = replace(self.settings, brokers=self.kafka.by_proxy)
        self._flow = Flow(disturbed, self._folder / "flow.log", *arguments, processes=processes)

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
        self.await_begin()
        self._note(f"asked to stop by signal {number}")
        self.flow.signal(number)
        codes = self.flow.wait()
        if any(codes):
            self.outcome.wrong.append(f"stopped with {codes} instead of 0: {self.said()[-300:]}")

    def await_begin(self) -> None:
        """Wait until all partitions that were there from the first are read."""
        lines = [f"reading partition {number} of" for number in range(self.settings.partitions)]
        wait_for(lambda: all(line in self.said() for line in lines) or self.ended(), "the flow to start")

    def said(self) -> str:
        """What the flow has said since it was last started."""
        return self.flow.output()[self._spoken :]

    def _note(self, what: str) -> None:
        with (self._folder / "flow.log").open("a") as log:
            print(f"--- {dt.datetime.now():%H:%M:%S} {what}", file=log)

    def ended(self) -> bool:
        """Whether a process of the flow has ended by itself."""
        return any(process.poll() is not None for process in self.flow.processes)

    def _payloads(self) -> list[bytes]:
        """What the generator makes up for this seed, from now on, with values for the breakdowns."""
        begin = dt.datetime.now(dt.UTC).isoformat()
        command = [sys.executable, "-m", "generator", "synthetic", "--dry-run", "--start-time", begin, "--rate", str(self.rate)]
        command += ["--duration", f"{self.seconds:g}s", "--seed", str(self.outcome.seed), "--quiet", *TRAFFIC]
        made = subprocess.run(command, env=environment(self.settings), check=True, capture_output=True).stdout.split(b"\n")[:-1]
        return list(varied(made, self.outcome.seed))

    def _judge(self, journal: Journal) -> None:
        wrong = self.outcome.wrong
        self.outcome.sent = len(journal)
        if self.ended():
            wrong.append(f"the flow ended by itself: {self.said()[-500:]}")
            return
        settings = self.settings
        topics = (settings.brokers, settings.logs_topic, settings.results_topic, settings.rejected_topic, terms_of(settings))
        try:
            # Not until the counters say so: they may be those of a run that was killed before it could write what it had read.
            wait_for(lambda: self.ended() or not differences(*topics, journal=journal), "exact results")
            # Nor by the results, which a run that was killed may have written, and this one is about to read again.
            await_caught_up(settings)
        except AssertionError as error:
            wrong.append(f"{error}; counters: {counters(settings)}")
        self.stop(signal.SIGTERM)
        wrong += differences(*topics, journal=journal, group=settings.group)
