"""The start of a process of the flow: command line, log lines, signals, metrics, recovery folder, and the wait for its peers."""

from __future__ import annotations

import argparse
import atexit
import gc
import logging
import os
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from dataflows.contract.errors import SettingsError
from dataflows.contract.settings import Settings
from dataflows.flow.context import FlowContext
from dataflows.flow.lifecycle import Lifecycle
from dataflows.process.last_words import Run, die, peer_lost, watch
from dataflows.process.ownership import check_packages
from dataflows.process.peers import LOOK_SECONDS, Peers
from dataflows.process.ports import bind_error
from dataflows.process.recovery_folder import lock_recovery
from dataflows.process.stop import end_at_once, listen, set_back
from dataflows.telemetry import log_lines
from dataflows.telemetry.server import serve

log = logging.getLogger("adtally")

WAITING_SECONDS = 10.0
"""Time after which a process logs that it waits for its peers, for Bytewax does so silently."""


def runs_as_command() -> bool:
    """Whether this process is ``python -m bytewax.run``, not a test or a tool that imports the flow."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return spec is not None and spec.name == "bytewax.run"


def make_lifecycle() -> Lifecycle:
    """Return the lifecycle of this process; in ``python -m bytewax.run`` an `AdtallyError` ends the process with one line."""
    return Lifecycle(die if runs_as_command() else None)


def prepare(settings: Settings, lifecycle: Lifecycle, arguments: Sequence[str] | None = None) -> FlowContext:
    """Set up the process of ``python -m bytewax.run``: last words, log lines, signals, metrics, the recovery folder named by `arguments`.

    In any other process only the context is made. Raises `RecoveryError`, and `SettingsError` also where another distribution
    owns a package of adtally.
    """
    if not runs_as_command():
        return FlowContext(settings, lifecycle=lifecycle)
    check_packages()
    run = command_line(sys.argv[1:] if arguments is None else arguments)
    cluster = len(run.addresses) > 1
    peers = Peers(run.addresses, run.process) if cluster else None
    # A process that has not met a peer of its own, or has seen one end, fails for that.
    watch(run, lambda: peers is not None and (peers.look() or not lifecycle.begun.is_set()))
    atexit.register(end_at_once, lifecycle)
    log_lines.set_up(settings, "dataflow")
    listen(lifecycle, cluster=cluster)
    spare_the_collector()
    threading.Thread(target=lambda: die(set_back(threading.Event().wait)), name="clock", daemon=True).start()
    if peers is not None:
        check_own_address(run)
        threading.Thread(target=_await_peers, args=(run, lifecycle, peers), name="peers", daemon=True).start()
    context = FlowContext(settings, lifecycle=lifecycle, recovery=run.recovery)
    context.engine.check()
    serve(settings, context.observed.served(), run.beside())
    if run.recovery:
        lifecycle.hold(lock_recovery(run.recovery, run.process))
    else:
        log.warning("no recovery folder (-r): after a restart, the flow reads the log from ADTALLY_START again")
    return context


def spare_the_collector() -> None:
    """Let Python look for reference cycles rarely: an event is in none, and what was imported stays.

    With its own thresholds the collector takes about 4 % of a drain.
    """
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


def _await_peers(run: Run, lifecycle: Lifecycle, peers: Peers) -> None:
    """Wait for the flow to begin: log once which peers it waits for, and end this process when a connected peer ends.

    After a restart, that peer could not join the cluster any more.
    """
    to_tell = time.monotonic() + WAITING_SECONDS
    while not lifecycle.begun.wait(LOOK_SECONDS):
        if peers.look() and not lifecycle.stopping.is_set() and not lifecycle.begun.is_set():
            die(peer_lost(run))
        if time.monotonic() > to_tell and not lifecycle.stopping.is_set():
            to_tell = float("inf")
            others = ", ".join(address for number, address in enumerate(run.addresses) if number != run.process)
            log.warning("waiting for the other processes of the cluster (%s); the flow starts when all of them run", others)
    peers.look()  # from now on Bytewax notices; what came last is looked after too


def check_own_address(run: Run) -> None:
    """Raise `SettingsError` if this process can't listen on its own address of the cluster: Bytewax would end with a panic."""
    host, _, port = run.addresses[run.process].rpartition(":")
    if error := bind_error(host.strip("[]"), int(port)):
        reason = (error.strerror or str(error)).lower()
        raise SettingsError(
            f"this process can't listen on {run.addresses[run.process]} ({reason}); start all processes of the cluster with other "
            "addresses (-a)."
        )


def command_line(arguments: Sequence[str]) -> Run:
    """Return the options of bytewax.run in `arguments` and the environment; raises `SettingsError` for values that it would ignore."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("-r", "--recovery-directory", default=os.environ.get("BYTEWAX_RECOVERY_DIRECTORY"))
    parser.add_argument("-w", "--workers-per-process", type=int, default=os.environ.get("BYTEWAX_WORKERS_PER_PROCESS", "1"))
    parser.add_argument("-a", "--addresses", default=os.environ.get("BYTEWAX_ADDRESSES", ""))
    # As bytewax.run has it: the number is a flag, a variable, or the end of the name of a pod.
    pod = os.environ.get("BYTEWAX_POD_NAME", "").rpartition("-")[2]
    number = os.environ.get("BYTEWAX_PROCESS_ID") or (pod if pod.isdecimal() else None)
    parser.add_argument("-i", "--process-id", type=int, default=number)
    known_options = parser.parse_known_args(list(arguments))[0]
    addresses = tuple(filter(None, known_options.addresses.split(";")))
    process = known_options.process_id or 0
    if known_options.workers_per_process < 1:
        raise SettingsError(f"-w {known_options.workers_per_process} is not a number of workers; use 1 or more.")
    if addresses and not 0 <= process < len(addresses):
        raise SettingsError(f"-i {process}: -a lists {len(addresses)} processes, so use 0 to {len(addresses) - 1}.")
    return Run(Path(known_options.recovery_directory) if known_options.recovery_directory else None, process, addresses)
