"""The last line of a flow that fails: the problem that a user can fix, found in the recovery folder and the state of the peers.

Bytewax prints a panic whatever it met: a full disk, a peer that has ended. Its text is left as it is.
"""

from __future__ import annotations

import errno
import faulthandler
import fcntl
import os
import sqlite3
import sys
import traceback
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType
from typing import NoReturn

import msgspec

from dataflows.contract.errors import AdtallyError, RecoveryError
from dataflows.contract.settings import Settings
from dataflows.flow.state import stored_versions, unknown
from dataflows.telemetry.log_lines import say

PROBE_BYTES = 1 << 20
"""Number of bytes for which a folder must have room; a folder with less is too full for a snapshot."""

AGAIN = "run the same command again: nothing is lost."


class Run(msgspec.Struct, frozen=True):
    """Options of the command line: the recovery folder, the number of this process, the ``host:port`` of all processes of its cluster."""

    recovery: Path | None = None
    process: int = 0
    addresses: tuple[str, ...] = ()

    def beside(self) -> int:
        """Return the number of processes of the cluster that come before this one on the same host."""
        if not self.addresses:
            return self.process
        return sum(self.host(number) == self.host(self.process) for number in range(self.process))

    def host(self, process: int) -> str:
        """Return the host of a process of the cluster, as the others address it."""
        return self.addresses[process].rpartition(":")[0]

    def lock_file(self, process: int) -> Path | None:
        """Return the file that a process of the cluster holds locked while it lives."""
        return self.recovery / f"adtally-{process}.lock" if self.recovery else None


def die(error: AdtallyError) -> NoReturn:
    """Print `error` as one line and end the process with exit code 1, as after a crash, which recovery covers."""
    say("adtally", str(error), level="critical")
    os._exit(error.exit_code)


def watch(run: Run, lost: Callable[[], bool]) -> None:
    """Install a hook that ends this process with one line after an exception whose cause is known here.

    Bytewax prints its panic first; that text is not changed. `lost`: whether a process of the cluster has ended.
    """
    faulthandler.enable()  # of a crash below Python

    def last_words(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if line := explain(error, run, lost):
            die(line)
        sys.__excepthook__(kind, error, trace)
        sys.stdout.flush()
        os._exit(1)  # Rust's threads do not survive the end of the interpreter: it would abort

    sys.excepthook = last_words


def explain(error: BaseException, run: Run, lost: Callable[[], bool]) -> AdtallyError | None:
    """Return the line for an exception of Bytewax, by what can be seen of the folder and the peers; None for what a user can't mend."""
    from bytewax.recovery import InconsistentPartitionsError, MissingPartitionsError  # noqa: PLC0415 - only where a run has failed

    if _is_ours(error):
        return None
    if folder := run.recovery:
        if isinstance(error, MissingPartitionsError):
            return _incomplete(folder, _missing(folder))
        if isinstance(error, InconsistentPartitionsError):
            return _incomplete(folder, "has parts that are older than the others")
        if problem := unwritable(folder):
            return problem
        if isinstance(error, AttributeError | ImportError) and not _is_plain(folder):
            return unknown(Settings.from_environment())  # the state holds a class that this version does not have
    # A panic is an exception of its own where a thread of the flow ends, and a RuntimeError where it ends the run.
    if len(run.addresses) > 1 and (isinstance(error, RuntimeError) or type(error).__name__ == "PanicException") and lost():
        return peer_lost(run)
    return None


def _missing(folder: Path) -> str:
    """Return which parts of the store are not in `folder`."""
    there: set[int] = set()
    count = 0
    for part in folder.glob("part-*.sqlite3"):
        with (
            suppress(sqlite3.Error),
            closing(sqlite3.connect(f"{part.resolve().as_uri()}?mode=ro", uri=True, timeout=5)) as store,
        ):
            for number, parts in store.execute("SELECT part_index, part_count FROM parts"):
                there.add(number)
                count = max(count, parts)
    names = ", ".join(f"part-{number}.sqlite3" for number in range(count) if number not in there)
    return f"has {count} parts, of which {names} can't be found" if names else "does not hold all parts of its store"


def _is_ours(error: BaseException | None) -> bool:
    """Whether code of adtally raised it: then it is a defect, whose traceback is needed."""
    while error is not None:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if str(frame.f_globals.get("__name__", "")).startswith("dataflows."):
                return True
        error = error.__cause__
    return False


def _is_plain(folder: Path) -> bool:
    try:
        for part in folder.glob("part-*.sqlite3"):
            list(stored_versions(part))
    except ValueError:
        return False
    return True


def full(folder: Path) -> RecoveryError:
    """Return the line for a recovery folder on a full disk."""
    return RecoveryError(f"the disk of the recovery folder {folder} is full; free some space there and {AGAIN}")


def _incomplete(folder: Path, words: str) -> RecoveryError:
    return RecoveryError(
        f"the recovery folder {folder} {words}; restore all of it from one backup, or start with "
        "an empty recovery folder and another ADTALLY_RESULTS_TOPIC."
    )


def unwritable(folder: Path) -> RecoveryError | None:
    """Return why nothing can be written to a recovery folder; None if `PROBE_BYTES` can, and each file of its store can be changed."""
    probe = folder / f"adtally-probe-{os.getpid()}"
    try:
        with probe.open("wb") as file:
            file.write(bytes(PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
        for part in folder.glob("part-*.sqlite3"):
            part.open("r+b").close()
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return full(folder)
        return RecoveryError(f"the recovery folder {folder} can't be written ({error.strerror}); mend that and {AGAIN}")
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
    return None


def peer_lost(run: Run) -> AdtallyError:
    """Return the line for a process of the cluster that has ended."""
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
