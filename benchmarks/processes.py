"""CPU and memory of a process and of its descendants."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Sample:
    """At `time` (monotonic seconds), `cpu` seconds were used since the start, and `rss` bytes were resident."""

    time: float
    cpu: float
    rss: int


class Tree:
    """Samples the process tree below `roots` four times a second, from now until `close`."""

    def __init__(self, roots: list[int], every: float = 0.25) -> None:
        self._roots = roots
        self._every = every
        self._cpu: dict[tuple[int, float], float] = {}
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self.samples: list[Sample] = []
        self.sample()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def sample(self) -> Sample:
        """Look now; CPU of processes that have ended counts as it was last seen."""
        with self._lock:
            resident = 0
            for process in self._processes():
                with contextlib.suppress(psutil.Error):
                    times = process.cpu_times()
                    identity = process.pid, process.create_time()
                    self._cpu[identity] = times.user + times.system
                    resident += process.memory_info().rss
            taken = Sample(time.monotonic(), sum(self._cpu.values()), resident)
            self.samples.append(taken)
            return taken

    def at(self, moment: float) -> Sample:
        """The first sample that is not older than `moment` (monotonic seconds), else the last."""
        with self._lock:
            return next((sample for sample in self.samples if sample.time >= moment), self.samples[-1])

    @property
    def peak(self) -> int:
        """The most bytes that were resident at once, pages that processes share counted for each."""
        return max((sample.rss for sample in self.samples), default=0)

    def close(self) -> None:
        """Stop sampling."""
        self._closed.set()
        self._thread.join()

    def kill(self) -> None:
        """Stop sampling and kill every process of the tree."""
        self.close()
        for process in self._processes():
            with contextlib.suppress(psutil.Error):
                process.kill()

    def _processes(self) -> list[psutil.Process]:
        found: list[psutil.Process] = []
        for root in self._roots:
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(root)
                found += [process, *process.children(recursive=True)]
        return found

    def _watch(self) -> None:
        while not self._closed.wait(self._every):
            self.sample()
