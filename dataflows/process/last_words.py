"""The last words of the flow: one line where a person can mend what ended it, and everything there is to know where not.

Bytewax ends with a panic and a traceback, whatever it met: a full disk, a peer that is gone, a port that is taken.
"""

from __future__ import annotations

import errno
import faulthandler
import fcntl
import os
import re
import select
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NoReturn, TextIO

import msgspec

from dataflows.contract.errors import AdtallyError, RecoveryError, SettingsError
from dataflows.contract.settings import Settings
from dataflows.flow.state import unknown
from dataflows.telemetry.log_lines import say

PANIC_SECONDS = 3.0
"""Time after which a panic that has not ended the process is printed unchanged."""

PROBE_BYTES = 1 << 20
"""A folder that has no room for so much is full for a snapshot."""

AGAIN = "run the same command again: nothing is lost."

_NETWORK = "failed to initialize networking: "

_HUNG_UP = ("failed to fill whole buffer", "Connection reset", "Connection aborted", "Broken pipe")
"""How that ends where another process called, or was called, and was gone before it had said its number."""

_LOST = re.compile(r"PanicException: |panicked at \S*/communication/src/")
"""What Bytewax says where a peer is gone: it notices in a thread of the network or, if that comes first, in what the thread fed."""


class Run(msgspec.Struct, frozen=True):
    """What the command line says: the recovery folder, the number of this process, the ``host:port`` of all of its cluster."""

    recovery: Path | None = None
    process: int = 0
    addresses: tuple[str, ...] = ()

    def beside(self) -> int:
        """How many processes of the cluster come before this one on the same host."""
        if not self.addresses:
            return self.process
        return sum(self.host(number) == self.host(self.process) for number in range(self.process))

    def host(self, process: int) -> str:
        """Where a process of the cluster runs, as the others look for it."""
        return self.addresses[process].rpartition(":")[0]

    def lock_file(self, process: int) -> Path | None:
        """What a process of the cluster holds locked while it lives."""
        return self.recovery / f"adtally-{process}.lock" if self.recovery else None


class StandardError:
    """What others than Python write to standard error (file descriptor 2): passed on at once, save for a panic, which is held back.

    Python itself writes past it. Where the writer must not wait, for it may hold Python's lock, what the pipe can't take is dropped.
    """

    def __init__(self) -> None:
        self.stream: TextIO = os.fdopen(os.dup(2), "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace")
        self._reading, writing = os.pipe()
        os.set_blocking(writing, False)
        os.dup2(writing, 2)
        os.close(writing)
        self._held = b""
        self._thread = threading.Thread(target=self._pass_on, name="standard error", daemon=True)
        self._thread.start()

    def release(self) -> bytes:
        """Put everything back as it was; returns the panic that was held back."""
        os.dup2(self.stream.fileno(), 2)  # and so the pipe ends
        self._thread.join(1.0)
        return self._held

    def _pass_on(self) -> None:
        while True:
            if not select.select([self._reading], [], [], PANIC_SECONDS if self._held else None)[0]:
                self._write(self._held)
                self._held = b""
                continue
            data = os.read(self._reading, 65_536)
            if not data:
                return
            self._held += data
            # A panic is written in pieces that are no lines; the first of them does not tell yet what it is.
            before, panic, _ = self._held.partition(b"panicked at")
            whole = before.rfind(b"\n") + 1 if panic else len(before) if before.endswith(b"\n") else 0
            if before[:whole].strip():  # lines that came at once with a panic are none of it
                self._write(before[:whole])
                self._held = self._held[whole:]

    def _write(self, data: bytes) -> None:
        with suppress(OSError):
            os.write(self.stream.fileno(), data)


def die(error: AdtallyError) -> NoReturn:
    """Print `error` as one line and end the process with exit code 1, as after a crash, which recovery covers."""
    say("adtally", str(error), level="critical")
    os._exit(1)


def watch(run: Run) -> None:
    """Report an exception that ends this process in one line, if there is one for it."""
    stderr = StandardError()
    sys.stderr = stderr.stream
    faulthandler.enable(stderr.stream)  # of a crash below Python

    def last_words(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        panic = stderr.release()
        told = explain(f"{kind.__name__}: {error}\n{panic.decode(errors='replace')}", run)
        if told:
            die(told)
        stderr.stream.write(panic.decode(errors="replace"))
        sys.__excepthook__(kind, error, trace)
        sys.stdout.flush()
        os._exit(1)  # Rust's threads do not survive the end of the interpreter: it would abort

    sys.excepthook = last_words


def explain(words: str, run: Run) -> AdtallyError | None:
    """The line for what Bytewax said as it ended; None if it is nothing that a person can mend."""
    folder = run.recovery
    if folder and (found := re.search(r"SqliteFailure\(.*?code: (\w+).*?Some\(\"(.*?)\"\)", words)):
        # Where SQLite fails to grow what it maps into memory, a full disk is an "I/O error" to it.
        return full(folder) if found[1] == "DiskFull" or not has_room(folder) else _unwritable(folder, found[2])
    if folder and (found := re.search(r"Missing recovery partitions \{(.*?)\} of (\d+)", words)):
        return _incomplete(folder, f"has {found[2]} parts, of which {_parts(found[1])} can't be found")
    if folder and (found := re.search(r"Recovery partitions \{(.*?)\} of (\d+) are too old", words)):
        return _incomplete(folder, f"has {found[2]} parts, of which {_parts(found[1])} is older than the others")
    if (
        folder
        and re.search(r"src/recovery\.rs", words)
        and re.search(r"^(AttributeError: Can't get|ModuleNotFoundError)", words, re.M)
    ):
        return unknown(Settings.from_environment())  # a class that this version has not
    if found := re.search(_NETWORK + r"(.*?)(?: \(os error \d+\))?$", words, re.MULTILINE):
        if found[1].startswith(_HUNG_UP):
            return peer_lost(run)
        own = run.addresses[run.process] if run.process < len(run.addresses) else "?"
        reason = found[1][0].lower() + found[1][1:]
        return SettingsError(
            f"this process can't listen on {own} ({reason}); start all processes of the cluster with other addresses (-a)."
        )
    if _LOST.search(words) and len(run.addresses) > 1:
        if folder and not has_room(folder):
            return full(folder)
        return peer_lost(run)
    return None


def full(folder: Path) -> RecoveryError:
    """The line for a recovery folder without room."""
    return RecoveryError(f"the disk of the recovery folder {folder} is full; free some space there and {AGAIN}")


def _unwritable(folder: Path, words: str) -> RecoveryError:
    return RecoveryError(f"the recovery folder {folder} can't be used ({words}); fix that and {AGAIN}")


def _incomplete(folder: Path, words: str) -> RecoveryError:
    return RecoveryError(
        f"the recovery folder {folder} {words}; restore all of it from one backup, or start with "
        "an empty recovery folder and another ADTALLY_RESULTS_TOPIC."
    )


def _parts(words: str) -> str:
    return ", ".join(f"part-{number}.sqlite3" for number in re.findall(r"\d+", words))


def has_room(folder: Path) -> bool:
    """Whether `PROBE_BYTES` can be written to `folder`."""
    probe = folder / f"adtally-probe-{os.getpid()}"
    try:
        with probe.open("wb") as file:
            file.write(bytes(PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.errno not in {errno.ENOSPC, errno.EDQUOT}
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
    return True


def peer_lost(run: Run) -> AdtallyError:
    """The line for a process of the cluster that is gone."""
    gone = gone_peers(run)
    who = " and ".join(f"process {number} ({run.addresses[number]})" for number in gone) or "another process"
    return AdtallyError(
        f"{who} of this cluster has ended, and a cluster runs only with all its processes; restart all of them: nothing is lost."
    )


def gone_peers(run: Run) -> list[int]:
    """Return the processes of the cluster that ended first, as far as this process can know.

    Of two, it is the other one. Of more, the locks in a shared recovery folder tell who of this host has ended; one that ended only
    because it had lost a peer has left a word in its lock file.
    """
    others = [number for number in range(len(run.addresses)) if number != run.process]
    if len(others) == 1:
        return others
    own = run.lock_file(run.process)
    if own is None:
        return []
    with suppress(OSError):  # on a full disk, say
        own.write_text("lost a peer\n")
    # Of processes elsewhere there may be a lock file too: one that is left from a time when they were here.
    return [number for number in others if run.host(number) == run.host(run.process) and _ended(run.lock_file(number))]


def _ended(lock: Path | None) -> bool:
    try:
        with (lock or Path()).open() as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return not handle.read()
    except OSError:  # it is held: the process lives; or it is on another machine
        return False
