"""One soak: generator, dataflow and dashboard as users run them, the oracle, and measurements of their resources."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import psutil

from benchmarks.session import say
from benchmarks.soak.record import MB, PARTS, PlannedRestart, Restart, SoakRecord, SoakSample, schedule
from dataflows.commands.counters import progress
from dataflows.contract.errors import AdtallyError, BrokerError
from dataflows.contract.settings import Settings
from dataflows.kafka.topics import Topics
from tests.support.flows import Flow, environment, free_port, recovery_folder

SNAPSHOT = 5
"""Seconds between two snapshots, as in the guide."""

LAST_SECONDS = 600.0
"""Seconds in which the flow must read the remaining messages once the generator has ended."""

STOP_SECONDS = 120.0
"""Seconds in which the flow must end after SIGTERM."""

VERDICT_SECONDS = 3600.0
"""Seconds in which the oracle must read the rest."""


class SoakError(AdtallyError):
    """The soak can't continue: a part ended by itself, or does not end."""


class Usage:
    """CPU-seconds and resident bytes of one part, whichever process does its work."""

    def __init__(self) -> None:
        self._process: psutil.Process | None = None
        self._earlier = self._own = 0.0

    def of(self, pid: int) -> None:
        """From now on it is this process; what the one before used counts on."""
        self._earlier, self._own = self._earlier + self._own, 0.0
        self._process = psutil.Process(pid)

    def look(self) -> tuple[float, int]:
        """Both now; of a process that has ended the CPU as it was last seen, and no memory."""
        resident = 0
        with contextlib.suppress(psutil.Error):
            if self._process is not None:
                times = self._process.cpu_times()
                self._own, resident = max(self._own, times.user + times.system), self._process.memory_info().rss
        return self._earlier + self._own, resident


class Soak:
    """Runs as `run` and `judge`, in this order, in a ``with`` block that ends all that it has started.

    `kafka`: process id of the broker, and the folder with its data; `folder`: an empty one, for the recovery store and the logs.
    """

    def __init__(
        self,
        settings: Settings,
        kafka: tuple[int, Path],
        folder: Path,
        *,
        rate: int,
        seconds: float,
        every: float,
        warm: float,
        seed: int = 1,
        sample_every: float = 10.0,
    ) -> None:
        self.settings = settings
        self.record = SoakRecord(rate, seconds, warm, every)
        self._data = kafka[1]
        self._folder = folder
        self._seed = seed
        self._sample_every = sample_every
        self._usage = {part: Usage() for part in PARTS}
        self._usage["kafka"].of(kafka[0])
        self._others: dict[str, subprocess.Popen[str]] = {}
        self._files: list[IO[str]] = []
        self._recovery = recovery_folder(folder / "recovery")
        self._flow: Flow | None = None
        self._workers = 1
        self._begun = self._flow_begun = time.monotonic()
        self._next_sample = self._next_line = 0.0
        self._sent = self._lag = self._committed = 0
        self._committed_before = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        if self._flow is not None:
            self._flow.kill()
        for process in self._others.values():
            process.kill()
            process.communicate()
        for file in self._files:
            file.close()

    def run(self) -> None:
        """Let all run until the generator has sent everything and the flow has counted it, then stop the flow.

        Raises `SoakError` if a part ends by itself or the flow does not catch up.
        """
        settings, record = self.settings, self.record
        Topics(settings).ensure(settings.logs_topic, settings.results_topic, settings.rejected_topic, timeout=30)
        self._start_flow(1)
        self._start_others()
        due = schedule(record.seconds, record.every, self._seed)
        self._begun = time.monotonic()
        while self._others["generator"].poll() is None:
            if due and self._now() >= due[0].at:
                self._restart(due.pop(0))
            self._look()
            time.sleep(0.5)
        self._note_sent()
        self._until(lambda: self._lag == 0 and self._sent >= record.sent, "the flow to read all that was sent")
        self._sample()
        self._stop_flow()

    def judge(self) -> None:
        """Let the oracle read the rest; its verdict is in the record. Raises `SoakError` if it does not come to one."""
        oracle = self._others["oracle"]
        try:
            said, complaint = oracle.communicate("", timeout=VERDICT_SECONDS)[0], self._said("oracle")
        except subprocess.TimeoutExpired:
            raise SoakError(f"the oracle has not reported within {VERDICT_SECONDS:.0f} s") from None
        self.record.judged = oracle.returncode == 0
        self.record.verdict = "; ".join(line.strip() for line in (said or complaint).splitlines()[:6])

    def _start_others(self) -> None:
        settings, record = self.settings, self.record
        topics = ["--logs", settings.logs_topic, "--results", settings.results_topic, "--rejected", settings.rejected_topic]
        self._start(
            "oracle", "tests.system.oracle", "--follow", "--brokers", settings.brokers, "--group", settings.group, *topics
        )
        psutil.Process(self._others["oracle"].pid).nice(19)
        self._start("dashboard", "panel_app", "--port", str(free_port()))
        faults = ["--late", "1%", "--duplicates", "1%", "--disorder", "5%"]
        much = ["--rate", str(record.rate), "--duration", f"{record.seconds:g}s", "--seed", str(self._seed)]
        self._start("generator", "generator", "synthetic", *much, *faults)

    def _start(self, part: str, module: str, *arguments: str) -> None:
        log = (self._folder / f"{part}.log").open("w")
        self._files.append(log)
        self._others[part] = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env=environment(self.settings),
            stdin=subprocess.PIPE if part == "oracle" else subprocess.DEVNULL,
            stdout=subprocess.PIPE if part == "oracle" else log,
            stderr=log,
            text=True,
        )
        self._usage[part].of(self._others[part].pid)

    def _start_flow(self, workers: int) -> None:
        log = self._folder / f"flow-{len(self.record.restarts)}.log"
        arguments = ["-r", str(self._recovery), "-s", str(SNAPSHOT), "-b", "0", *(["-w", str(workers)] if workers > 1 else [])]
        self._flow = Flow(self.settings, log, *arguments)
        self._usage["dataflow"].of(self._flow.processes[0].pid)
        self._workers, self._flow_begun = workers, time.monotonic()

    def _stop_flow(self) -> None:
        flow = self._flow
        assert flow is not None
        # Before that it may not have come to say what it does with a signal, and Python ends it in its own way.
        self._until(lambda: "reading partition" in flow.output(), "the flow to start")
        flow.signal(signal.SIGTERM)
        try:
            codes = flow.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise SoakError(f"the flow has not ended {STOP_SECONDS:.0f} s after SIGTERM: {flow.output()[-300:]}") from None
        if any(codes):
            self.record.faults.append(f"the flow ended with {codes[0]} instead of 0 after SIGTERM: {flow.output()[-300:]}")

    def _restart(self, due: PlannedRestart) -> None:
        assert self._flow is not None
        self._sample()
        at = self._now()
        if due.kill:
            self._flow.kill()
        else:
            self._stop_flow()
        self._measure()
        self._committed_before = self._committed
        self.record.restarts.append(Restart(at, due.kill, due.workers))
        self._start_flow(due.workers)

    def _now(self) -> float:
        return time.monotonic() - self._begun

    def _look(self) -> None:
        """See to it that all parts run, how far the flow is, and take a sample or say a line where it is time to."""
        self._check()
        restart = self.record.restarts[-1] if self.record.restarts else None
        if restart is not None and restart.caught_up is None:
            self._measure()
            seconds = self._now() - restart.at
            # The flow shows its place with each snapshot: a new run has caught up when it is not further behind than between two snapshots.
            if self._committed > self._committed_before and self._lag <= 2 * SNAPSHOT * self.record.rate:
                restart.caught_up = seconds
        if self._now() >= self._next_sample:
            self._sample()
        if self._now() >= self._next_line:
            self._next_line = self._now() + 60
            self._tell()

    def _check(self) -> None:
        assert self._flow is not None
        if self._flow.processes[0].poll() is not None:
            raise SoakError(f"the flow ended by itself: {self._flow.output()[-500:].strip()}")
        for part in ("dashboard", "oracle"):
            if self._others[part].poll() is not None:
                raise SoakError(f"the {part} ended by itself: {self._said(part)[-500:].strip()}")

    def _said(self, part: str) -> str:
        return (self._folder / f"{part}.log").read_text()

    def _measure(self) -> bool:
        """How far the flow is behind, by its last snapshot; False where the broker does not answer in time, to be asked again."""
        try:
            rows = progress(self.settings)
        except BrokerError:
            return False
        self._sent, self._lag = sum(row.end for row in rows), sum(row.lag for row in rows)
        self._committed = self._sent - self._lag
        self.record.lag_max = max(self.record.lag_max, self._lag)
        return True

    def _sample(self) -> None:
        self._next_sample = self._now() + self._sample_every
        self._measure()
        used = {part: usage.look() for part, usage in self._usage.items()}
        recovery = _sizes(self._recovery)
        self.record.samples.append(
            SoakSample(
                round(self._now(), 1),
                round(time.monotonic() - self._flow_begun, 1),
                self._workers,
                self._sent,
                self._lag,
                {part: resident for part, (_, resident) in used.items()},
                {part: cpu for part, (cpu, _) in used.items()},
                sum(recovery),
                len(recovery),
                *(
                    sum(sum(_sizes(one, "*.log")) for one in self._data.glob(f"log/{topic}-[0-9]*"))
                    for topic in (self.settings.logs_topic, self.settings.results_topic, self.settings.rejected_topic)
                ),
            )
        )

    def _tell(self) -> None:
        last = self.record.samples[-1]
        memory = ", ".join(f"{part} {last.rss[part] / MB:.0f}" for part in PARTS)
        say(
            f"soak: {last.second / 60:.0f} min, {last.sent:,} sent, lag {last.lag:,}, {len(self.record.restarts)} restarts, "
            f"MB: {memory}, recovery {last.recovery_bytes / MB:.2f}"
        )

    def _note_sent(self) -> None:
        said = self._said("generator")
        found = re.search(r"sent ([\d,]+), acknowledged ([\d,]+), failed", said)
        if found is None or self._others["generator"].returncode:
            raise SoakError(f"the generator failed: {said[-500:].strip()}")
        self.record.sent, self.record.acknowledged = (int(one.replace(",", "")) for one in found.groups())
        self._until(self._measure, "the broker to report the offsets of the log")
        if not self._sent == self.record.acknowledged == self.record.sent:
            self.record.faults.append(
                f"{self.record.sent:,} sent, {self.record.acknowledged:,} acknowledged, {self._sent:,} on the log"
            )

    def _until(self, condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + LAST_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise SoakError(f"timed out after {LAST_SECONDS:.0f} s, waiting for {what}")
            self._look()
            self._measure()
            time.sleep(0.2)


def _sizes(folder: Path, pattern: str = "*") -> list[int]:
    """The bytes of each file in `folder`; one that goes meanwhile is left out."""
    found: list[int] = []
    for file in folder.rglob(pattern):
        with contextlib.suppress(OSError):
            if file.is_file():
                found.append(file.stat().st_size)
    return found
