"""End process groups whose owner has died: ``python -m deploy.processes.watchdog``, started by `Watchdog`.

It reads ``+PID`` and ``-PID`` lines from its standard input, and at the end of it (the owner ended, even by ``kill -9``) stops whatever
is still on its list. A pipe's end is noticed on Linux and macOS alike, which a parent-death signal is not.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO

GRACE_SECONDS = 5.0

_GATE = ("/bin/sh", "-c", 'read -r go && exec "$@" </dev/null', "gate")
"""Before a command: it becomes the command, under the same number, once a line comes."""


def alive(group: int) -> bool:
    """Whether the process group still has a process that runs."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return sys.platform != "darwin"  # macOS returns this for a group that has only zombies left
    return True


def send(group: int, number: int) -> None:
    """Send a signal to a process group; one that is gone is fine."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def await_frozen(pid: int, seconds: float = 5.0) -> None:
    """Wait until all threads of a process have stopped after SIGSTOP, at most a few seconds; where /proc is missing, don't wait."""
    deadline = time.monotonic() + seconds
    while _runs(pid) and time.monotonic() < deadline:
        time.sleep(0.001)


def _runs(pid: int) -> bool:
    """Whether a thread of the process can still run; False without /proc."""
    states: list[str] = []
    with contextlib.suppress(OSError):  # a process that ends in the meantime
        states = [stat.read_text().rpartition(") ")[2][0] for stat in Path(f"/proc/{pid}/task").glob("*/stat")]
    return any(state not in "TtZX" for state in states)


def end(groups: Iterable[int], grace: float = GRACE_SECONDS) -> None:
    """Send SIGTERM to each process group, and SIGKILL to those that are left after `grace` seconds."""
    left = list(groups)
    for group in left:
        # A stopped process (SIGSTOP) does not handle SIGTERM until it continues.
        send(group, signal.SIGTERM)
        send(group, signal.SIGCONT)
    deadline = time.monotonic() + grace
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = [group for group in left if alive(group)]
    for group in left:
        send(group, signal.SIGKILL)


class Watchdog:
    """Watchdog that ends the process groups on its list when this process dies, for any reason."""

    def __init__(self) -> None:
        # A session of its own: a Ctrl-C in the terminal, or its closing, must not end the watchdog.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "deploy.processes.watchdog"], stdin=subprocess.PIPE, start_new_session=True, text=True
        )

    def start(
        self, command: Sequence[str], output: IO[bytes], environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a command that leads a process group and is looked after from its first moment; `output` gets all it says.

        It waits at a gate until it is on the list: if this process dies before that, the gate closes, and the command never runs.
        """
        process = subprocess.Popen(  # noqa: S603 - the commands are ours
            [*_GATE, *command], stdin=subprocess.PIPE, stdout=output, stderr=output, env=environment, start_new_session=True
        )
        self._tell(f"+{process.pid}")
        gate = process.stdin
        assert gate  # noqa: S101 - for the type checker: it was opened as a pipe
        with contextlib.suppress(BrokenPipeError), gate:  # it may have been ended at the gate
            gate.write(b"go\n")
        return process

    def forget(self, pid: int) -> None:
        """Remove an ended process group from the list: its number may be reused by now."""
        self._tell(f"-{pid}")

    def close(self) -> None:
        """End what is still watched, and the watchdog."""
        assert self._process.stdin  # noqa: S101 - for the type checker: it was opened as a pipe
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        assert self._process.stdin  # noqa: S101 - as above
        with contextlib.suppress(BrokenPipeError):
            print(line, file=self._process.stdin, flush=True)


def main() -> int:
    """Read the list from standard input until it ends; then end what is on it."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        pid = int(line[1:])
        (groups.add if line[0] == "+" else groups.discard)(pid)
    end(groups)
    return 0


if __name__ == "__main__":
    sys.exit(main())
