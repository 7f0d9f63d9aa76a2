"""Several processes of the dataflow on this machine as one cluster: ``adtally run --processes N``.

They share a recovery folder, which is made if it is not there, and stand and fall together: Ctrl-C or SIGTERM ends all with a last
snapshot, and a member that dies takes the others with it, for the flow runs only as a whole. The next start may have another N.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from dataflows.contract.errors import RecoveryError
from dataflows.process import ports
from dataflows.process.stop import STOP_SECONDS
from deploy.processes.foreground import StopSignal, one_at_a_time, say
from deploy.processes.supervisor import ChildProcess, PartDiedError, Supervisor, python

PARTS = 8
"""Minimum number of files of a new recovery store: each is written by one process, and more than 8 gain nothing."""

MOST = 32
"""Maximum number of processes of a cluster: the number of slots of partitions."""

SETTLE_SECONDS = 1.0
"""Seconds in which the other processes notice that one has ended, before the first one is reported."""

VICTIM = "of this cluster has ended"
"""Part of the last line of a process that ended because another one did."""


def members(processes: int) -> list[list[str]]:
    """Return the flags of bytewax.run by which `processes` of this machine connect to each other, on free ports; none for a single one."""
    if processes == 1:
        return [[]]
    free_ports: list[int] = []
    while len(free_ports) < processes:
        free_ports = list(dict.fromkeys([*free_ports, ports.free()]))
    addresses = ";".join(f"{ports.HOST}:{port}" for port in free_ports)
    return [["-i", str(number), "-a", addresses] for number in range(processes)]


def flow_command(*flags: str) -> list[str]:
    """Return the command of one process of the dataflow."""
    return python("-m", "bytewax.run", "dataflows.marketing", *flags)


def recovery_store(folder: Path, parts: int) -> bool:
    """Create a recovery store of `parts` files in `folder` if there is none; return whether it is new. Raises `RecoveryError`.

    A store of which a file is missing can't be resumed, and a process can be killed while it creates one: the files are made in a
    folder inside, which is removed once all have moved. Until then no dataflow has used them, and the next start begins again.
    """
    unfinished = folder / "unfinished"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (folder / "adtally-new.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # another process may be creating it at this moment
            if any(folder.glob("part-*.sqlite3")) and not unfinished.exists():
                return False
            for leftover in folder.glob("part-*.sqlite3"):
                leftover.unlink()
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(mode=0o700)
            _create(unfinished, parts)
            for part in unfinished.iterdir():
                part.rename(folder / part.name)
            unfinished.rmdir()
    except OSError as error:
        raise RecoveryError(
            f"the recovery folder {folder} can't be created ({error.strerror}); use another one with -r."
        ) from None
    return True


def _create(folder: Path, parts: int) -> None:
    """Create the files of a store in `folder`, by Bytewax in a process of its own; raises `RecoveryError`."""
    completed = subprocess.run(  # noqa: S603 - our own arguments
        python("-m", "bytewax.recovery", str(folder), str(parts)),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if completed.returncode:
        words = (completed.stderr.strip().splitlines() or ["without any output"])[-1]
        raise RecoveryError(f"can't create a recovery store in {folder}: {words}")


def run_cluster(processes: int, recovery: Path, more: Sequence[str], stop: StopSignal, run: Path) -> None:
    """Run the flow in `processes` until `stop`; `more` goes to each. Raises `AdtallyError`, with the line of the member that died first."""
    with one_at_a_time(run, "cluster"):
        recovery_store(recovery, max(PARTS, processes))
        parts = Supervisor(run / "logs")
        stop.at_once = parts.kill
        flow = flow_command("-r", str(recovery), *more)
        shown = Follow(parts)
        try:
            for number, own in enumerate(members(processes)):
                parts.start(ChildProcess(f"process {number}", [*flow, *own]))
            say(f"cluster of {processes}: recovery in {recovery}, logs in {parts.logs}/; Ctrl-C ends all of them")
            while not stop.asked:
                parts.check()
                shown.look()
                time.sleep(0.1)
            say("stopping …")
            parts.stop(grace=STOP_SECONDS + 10)
        except PartDiedError:
            if not parts.ended_well():
                time.sleep(SETTLE_SECONDS)
                raise PartDiedError(parts.first_death(VICTIM)) from None
        finally:
            parts.close()
            shown.look()
    say("stopped")


class Follow:
    """Follower of the members' logs that prints each line with the member's number."""

    def __init__(self, parts: Supervisor) -> None:
        self._parts = parts
        self._read: dict[Path, int] = {}

    def look(self) -> None:
        """Print the lines that have been added since the last look."""
        for log in sorted(self._parts.logs.glob("process *.log")):
            with log.open("rb") as file:
                file.seek(self._read.get(log, 0))
                whole, _, _ = file.read().rpartition(b"\n")
            if whole:
                self._read[log] = self._read.get(log, 0) + len(whole) + 1
                number = log.stem.removeprefix("process ")
                for line in whole.decode(errors="replace").splitlines():
                    say(f"{number}| {line}")
