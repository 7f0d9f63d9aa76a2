"""Supervisor that starts the parts of a deployment as processes, notices when one dies, and ends them all."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dataflows.contract.errors import AdtallyError
from deploy.processes.watchdog import GRACE_SECONDS, Watchdog, alive, end, send

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class PartDiedError(AdtallyError):
    """One of the parts ended by itself."""


@dataclass(frozen=True)
class ChildProcess:
    """One process: its name, its command, and the variables that its environment has in addition to ours."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict[str, str])


def python(*arguments: str) -> list[str]:
    """Return a command for the running interpreter, regardless of `PATH`."""
    return [sys.executable, *arguments]


class Supervisor:
    """Supervisor of the running parts; each writes to ``LOGS/<name>.log``."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self._watchdog = Watchdog()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        logs.mkdir(parents=True, exist_ok=True)
        for old in logs.glob("*.log"):
            old.unlink()

    def log(self, name: str) -> Path:
        """Return the log file of the part `name`."""
        return self.logs / f"{name}.log"

    def start(self, part: ChildProcess) -> None:
        """Start `part` in a process group of its own, so that a Ctrl-C in the terminal reaches it once: through us."""
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", **part.environment}
        with self.log(part.name).open("wb") as output:
            process = self._watchdog.start(part.command, output, environment)
        self._running[part.name] = process

    def check(self) -> None:
        """Raise `PartDiedError`, one line, if a part has ended."""
        for name, process in self._running.items():
            code = process.poll()
            if code is not None:
                raise PartDiedError(self._told(name, code))

    def ended_well(self) -> bool:
        """Whether every part has ended, with exit code 0."""
        return all(process.poll() == 0 for process in self._running.values())

    def first_death(self, victim: str) -> str:
        """Return the line for the part that ended first: the last line of a part that ended because of another one contains `victim`."""
        ended = [(name, code) for name, process in self._running.items() if (code := process.poll()) is not None]
        first = [(name, code) for name, code in ended if victim not in self._last_words(name) and code] or ended
        return self._told(*first[0])

    def _told(self, name: str, code: int) -> str:
        return f"the {name} {_how(code)}{self._last_words(name)} (log: {_shown(self.log(name))})"

    def stop(self, *last: str, grace: float = GRACE_SECONDS) -> None:
        """End every part: SIGTERM, after `grace` seconds SIGKILL; those named in `last` when the others have ended."""
        first = [name for name in self._running if name not in last]
        for names in (first, list(last)):
            self._end([name for name in names if name in self._running], grace)

    def kill(self) -> None:
        """End every part at once."""
        for process in self._running.values():
            send(process.pid, signal.SIGKILL)

    def close(self) -> None:
        """End what is left, and the watchdog."""
        self.stop()
        self._watchdog.close()

    def _end(self, names: list[str], grace: float) -> None:
        for name in names:
            send(self._running[name].pid, signal.SIGTERM)
        deadline = time.monotonic() + grace
        for name in names:
            process = self._running[name]
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                send(process.pid, signal.SIGKILL)
                process.wait()
            # A part's own children may outlive it.
            if alive(process.pid):
                end([process.pid], grace=0.5)
            self._watchdog.forget(process.pid)
            del self._running[name]

    def _last_words(self, name: str) -> str:
        lines = self.log(name).read_text(errors="replace").splitlines()
        words = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f": {_COLOURS.sub('', words)}" if words else ", without any output"


def _how(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _shown(path: Path) -> str:
    """Return `path` relative to the current folder, as a user would type it."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
