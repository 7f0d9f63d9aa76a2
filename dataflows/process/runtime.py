"""What surrounds a running flow: a clean stop on a signal, the recovery folder's lock, one line for what a person can mend."""

from __future__ import annotations

import argparse
import atexit
import errno
import faulthandler
import fcntl
import gc
import logging
import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TextIO

from dataflows.contract.errors import AdtallyError, RecoveryError, SettingsError
from dataflows.contract.settings import Settings
from dataflows.flow.engines import fetches_natively, is_native, sends_natively
from dataflows.flow.telemetry import Observed
from dataflows.process.last_words import AGAIN, Run, die, full, peer_lost, watch
from dataflows.process.peers import LOOK_SECONDS, Attempts, Peers
from dataflows.telemetry import log_lines
from dataflows.telemetry.server import serve

log = logging.getLogger("adtally")

stopping = threading.Event()
"""Set by the first SIGTERM or SIGINT: the sources end their streams, and Bytewax takes a last snapshot."""

begun = threading.Event()
"""Set when the sources are asked for the first time: from then on a stop is theirs to make."""

STOP_SECONDS = 45.0
"""A stop that takes longer is ended without a last snapshot, as a crash would, which recovery covers."""

BEGIN_SECONDS = 5.0
"""So long a process of a cluster that is asked to stop before it has begun may take to begin."""

WAITING_SECONDS = 10.0
"""After so long it is said that a process waits for its peers, which Bytewax does without a word."""

CLOCK_SECONDS = 5.0
"""A clock that is set back by less only delays what the flow does by as much."""

_locks: list[TextIO] = []


def runs_as_command() -> bool:
    """Whether this process is ``python -m bytewax.run``, not a test or a tool that imports the flow."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return spec is not None and spec.name == "bytewax.run"


@contextmanager
def one_line_errors() -> Generator[None]:
    """End the command with one line where it meets an `AdtallyError`; anywhere else let it pass.

    The process ends on the spot, as after a crash, which recovery covers anyway: Bytewax would print a panic of its own first.
    """
    try:
        yield
    except AdtallyError as error:
        if not runs_as_command():
            raise
        die(error)


def prepare(settings: Settings, observed: Observed, arguments: Sequence[str] | None = None) -> None:
    """Set up the process of ``python -m bytewax.run``: last words, log lines, signals, metrics, the recovery folder named by `arguments`.

    Does nothing in any other process. Raises `RecoveryError` and `SettingsError`.
    """
    if not runs_as_command():
        return
    run = command_line(sys.argv[1:] if arguments is None else arguments)
    watch(run)
    atexit.register(_end_at_once)
    log_lines.set_up(settings, "dataflow")
    peers = len(run.addresses) > 1
    _listen(peers)
    spare_the_collector()
    threading.Thread(target=lambda: die(set_back(threading.Event().wait)), name="clock", daemon=True).start()
    if peers:
        threading.Thread(target=_await_peers, args=(run, Attempts()), name="peers", daemon=True).start()
    observed.recovery = run.recovery
    observed.intake = "native" if is_native(settings.native) else "python"
    # What can't be had is said, or refused, before anything is read.
    fetches_natively(settings.native)
    sends_natively(settings.native)
    serve(settings, observed.served(), run.beside())
    if run.recovery:
        lock_recovery(run.recovery, run.process)
    else:
        log.warning("no recovery folder (-r): a restart reads the log from ADTALLY_START again")


def spare_the_collector() -> None:
    """Let Python look for reference cycles rarely: an event is in none, and what was imported stays.

    With its own thresholds the collector takes about 4 % of a drain.
    """
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


def _end_at_once() -> None:
    """Skip the end of the interpreter, where threads of librdkafka may keep a flow that has saved everything for ever."""
    if begun.is_set():  # otherwise a usage error ends it, with an exit code of its own; an exception has been told by now
        logging.shutdown()
        sys.stdout.flush()
        os._exit(0)


def _listen(peers: bool) -> None:
    """Heed SIGTERM and SIGINT on a thread: Python runs handlers on the main one, which Bytewax may hold while it waits for its peers."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _wake)
    threading.Thread(target=_heed, args=(reading, peers), name="signals", daemon=True).start()


def _wake(_number: int, _frame: FrameType | None) -> None:
    """Nothing more: that there is a handler makes Python write the signal's number where `_heed` reads it."""


def _heed(reading: int, peers: bool) -> None:
    while True:
        number = os.read(reading, 1)[0]
        if stopping.is_set():
            os._exit(128 + number)  # asked twice: now, and recovery will cover it
        stopping.set()
        threading.Thread(target=_see_to_the_end, args=(peers,), name="stop", daemon=True).start()


def _see_to_the_end(peers: bool) -> None:
    """The end of a stop that has nothing to save, or waits for a broker, a peer or a disk that does not answer."""
    # In a cluster others may have begun already: this one then joins their stop, if it comes to begin at all.
    if not begun.wait(BEGIN_SECONDS if peers else 0):
        os._exit(0)  # nothing was read yet
    # A second deadline that needs no Python, and shows where it stands: this thread does not run where another keeps Python's lock.
    faulthandler.dump_traceback_later(STOP_SECONDS + 5, exit=True, file=sys.stderr)
    log.info("stopping; what was read will be saved (once more to end at once)")
    time.sleep(STOP_SECONDS)
    die(
        AdtallyError(
            f"the stop was not over after {STOP_SECONDS:g} s: ended without a last snapshot; the next run reads again from the one before."
        )
    )


def _await_peers(run: Run, attempts: Attempts) -> None:
    """Until the flow has begun: say once which peers it waits for, and end with one that was there and is gone.

    Started again, that one would not be let in any more.
    """
    peers = Peers(run.addresses, run.process)
    to_tell = time.monotonic() + WAITING_SECONDS
    while not begun.wait(LOOK_SECONDS):
        if peers.look() and not stopping.is_set() and not begun.is_set():
            die(peer_lost(run))
        if time.monotonic() > to_tell and not stopping.is_set():
            to_tell = float("inf")
            others = ", ".join(
                f"{address}: {attempts.reasons[number]}" if number in attempts.reasons else address
                for number, address in enumerate(run.addresses)
                if number != run.process
            )
            log.warning("waiting for the other processes of the cluster (%s); it runs once all do", others)
    attempts.release()
    peers.look()  # from now on Bytewax notices; what came last is looked after too


def set_back(
    wait: Callable[[float], object], wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
) -> AdtallyError:
    """Return once the wall clock was set back, with the line that says so: Bytewax does nothing until it shows again what it has shown.

    `wait` takes seconds.
    """
    ahead = wall() - monotonic()
    while True:
        wait(1.0)
        now = wall() - monotonic()
        if ahead - now > CLOCK_SECONDS:
            return AdtallyError(
                f"the clock of this machine was set back by {ahead - now:,.0f} s, and the flow would stand still; {AGAIN}"
            )
        ahead = now


def command_line(arguments: Sequence[str]) -> Run:
    """What `arguments` and the environment tell bytewax.run; raises `SettingsError` for what it would take and not heed."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("-r", "--recovery-directory", default=os.environ.get("BYTEWAX_RECOVERY_DIRECTORY"))
    parser.add_argument("-w", "--workers-per-process", type=int, default=os.environ.get("BYTEWAX_WORKERS_PER_PROCESS", "1"))
    parser.add_argument("-a", "--addresses", default=os.environ.get("BYTEWAX_ADDRESSES", ""))
    # As bytewax.run has it: the number is a flag, a variable, or the end of the name of a pod.
    pod = os.environ.get("BYTEWAX_POD_NAME", "").rpartition("-")[2]
    number = os.environ.get("BYTEWAX_PROCESS_ID") or (pod if pod.isdecimal() else None)
    parser.add_argument("-i", "--process-id", type=int, default=number)
    given = parser.parse_known_args(list(arguments))[0]
    addresses = tuple(filter(None, given.addresses.split(";")))
    process = given.process_id or 0
    if given.workers_per_process < 1:
        raise SettingsError(f"-w {given.workers_per_process} is no number of workers; give 1 or more.")
    if addresses and not 0 <= process < len(addresses):
        raise SettingsError(f"-i {process}: -a names {len(addresses)} processes, so give 0 to {len(addresses) - 1}.")
    return Run(Path(given.recovery_directory) if given.recovery_directory else None, process, addresses)


def lock_recovery(folder: Path, process: int) -> None:
    """Hold `folder` for this process of the cluster until it ends; raises `RecoveryError` if it can't be used.

    The store may stand with process 0 alone: the folders of the others are then empty.
    """
    make = f"make it with: mkdir -p {folder} && python -m bytewax.recovery {folder} 4"
    if not folder.is_dir():
        raise RecoveryError(f"the recovery folder {folder} does not exist; {make}")
    if not process and not any(folder.glob("part-*.sqlite3")):
        raise RecoveryError(f"the folder {folder} holds no recovery store; {make}")
    try:
        with suppress(OSError):  # it is another user's, and still this one may write
            # Its content is pickle: who can write there can run code here.
            folder.chmod(0o700)
        handle = (folder / f"adtally-{process}.lock").open("w")
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise full(folder) from None
        raise RecoveryError(
            f"the recovery folder {folder} can't be written ({error.strerror}); give this user the right to, or another -r."
        ) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise RecoveryError(
            f"another run uses the recovery folder {folder}; stop it first, or give this one a folder of its own."
        ) from None
    _locks.append(handle)
    for part in sorted(folder.glob("part-*.sqlite3")):
        _check_store(part)


def _check_store(part: Path) -> None:
    """Raise `RecoveryError` where a file of the recovery store is no sound SQLite database."""
    try:
        with closing(sqlite3.connect(f"{part.resolve().as_uri()}?mode=ro", uri=True, timeout=5)) as store:
            (found,) = store.execute("PRAGMA quick_check(1)").fetchone()
            tables = store.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    except sqlite3.OperationalError as error:
        if "locked" in str(error) or "busy" in str(error):
            return  # another process of the cluster is writing: it is alive
        found, tables = str(error), 0
    except sqlite3.DatabaseError as error:
        found, tables = str(error), 0
    if found != "ok" or not tables:
        raise RecoveryError(
            f"{part} of the recovery folder is damaged ({found if found != 'ok' else 'it is empty'}); bring the folder back from a backup, "
            "or give this run a new one and another ADTALLY_RESULTS_TOPIC."
        )
