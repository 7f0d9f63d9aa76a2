"""Stop of a running flow from outside: by a signal, with a last snapshot, or by a wall clock that was set back."""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

from dataflows.contract.errors import AdtallyError
from dataflows.flow.lifecycle import Lifecycle
from dataflows.process.last_words import AGAIN, die

log = logging.getLogger("adtally")

STOP_SECONDS = 45.0
"""Time limit of a stop. After it the process ends without a last snapshot, as in a crash, which recovery covers."""

BEGIN_SECONDS = 5.0
"""Time that a process of a cluster has to begin if it is asked to stop before it has begun."""

CLOCK_SECONDS = 5.0
"""Jump of the clock below which the flow continues, delayed by that time."""


def end_at_once(lifecycle: Lifecycle) -> None:
    """Skip the end of the interpreter, where threads of librdkafka may keep a flow that has saved everything from ending."""
    if lifecycle.begun.is_set():  # otherwise a usage error ends it, with an exit code of its own; an exception was printed by now
        logging.shutdown()
        sys.stdout.flush()
        os._exit(0)


def listen(lifecycle: Lifecycle, *, cluster: bool) -> None:
    """Handle SIGTERM and SIGINT on a thread: Python runs handlers on the main one, which Bytewax may hold while it waits for its peers.

    `cluster`: whether the process is one of several.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _wake)
    threading.Thread(target=_stop_on_signal, args=(lifecycle, reading, cluster), name="signals", daemon=True).start()


def _wake(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: because of this handler, Python writes the signal's number to the descriptor that `_stop_on_signal` reads."""


def _stop_on_signal(lifecycle: Lifecycle, reading: int, cluster: bool) -> None:
    while True:
        number = os.read(reading, 1)[0]
        if lifecycle.stopping.is_set():
            os._exit(128 + number)  # second signal: end now; recovery covers it
        lifecycle.stopping.set()
        threading.Thread(target=_limit_stop, args=(lifecycle, cluster), name="stop", daemon=True).start()


def _limit_stop(lifecycle: Lifecycle, cluster: bool) -> None:
    """End a stop that has nothing to save, or waits for a broker, a peer or a disk that does not answer."""
    # In a cluster others may have begun already: this one then joins their stop, if it comes to begin at all.
    if not lifecycle.begun.wait(BEGIN_SECONDS if cluster else 0):
        os._exit(0)  # nothing was read yet
    # A second deadline that needs no Python, and prints the tracebacks: this thread does not run where another keeps Python's lock.
    faulthandler.dump_traceback_later(STOP_SECONDS + 5, exit=True, file=sys.stderr)
    log.info("stopping after a last snapshot; repeat the signal to end at once")
    time.sleep(STOP_SECONDS)
    die(
        AdtallyError(
            f"the flow did not stop within {STOP_SECONDS:g} s and was ended without a last snapshot; the next run "
            "resumes from the previous one."
        )
    )


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
                f"the clock of this machine was set back by {ahead - now:,.0f} s, which would stall the flow; {AGAIN}"
            )
        ahead = now
