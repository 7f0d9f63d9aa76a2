"""A command in the foreground that runs several processes: its signals, its lines on the terminal, and the folder that it locks."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from dataflows.contract.errors import AdtallyError


class StopSignal:
    """Receiver of SIGINT, SIGTERM and SIGHUP and, `with_parent`, of the end of the parent process; a second signal calls `at_once`."""

    def __init__(self, with_parent: bool = False) -> None:
        self.at_once: Callable[[], None] = lambda: None
        self._signalled = False
        self._parent = os.getppid() if with_parent else None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    @property
    def asked(self) -> bool:
        """Whether it is time to stop."""
        return self._signalled or (self._parent is not None and os.getppid() != self._parent)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self._signalled:
            self.at_once()
        self._signalled = True


def say(line: str = "") -> None:
    """Print a line for the person at the terminal; a closed terminal must not end the command halfway."""
    with contextlib.suppress(OSError):
        print(line, flush=True)  # noqa: T201 - what the command says


@contextmanager
def one_at_a_time(run: Path, what: str = "demo") -> Generator[None]:
    """Hold the folder `run`, whose logs and recovery store are those of one `what`; raises `AdtallyError` if another has it."""
    run.mkdir(parents=True, exist_ok=True)
    with (run / f"{what}.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AdtallyError(f"a {what} already runs in this folder; stop it with Ctrl-C in its terminal first.") from None
        yield
