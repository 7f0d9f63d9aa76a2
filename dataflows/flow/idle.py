"""Sleep of an idle worker of the flow, until a message arrives or a result is due.

A source can't wake Bytewax: it wakes every millisecond by itself, and polls each part of a source at the time that the part has named.
On an idle flow that costs more than everything else. So an idle worker sleeps while a part is polled, waiting for a bell that librdkafka
rings when a message arrives. This module knows neither Kafka nor Bytewax.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from dataflows.kafka.bell import Bell

PAUSE_SECONDS = 0.01
"""Pause after a poll that reached the end of the log, and while the worker is active, so that each poll takes several messages."""

ALONE_SECONDS = 0.1
"""Longest sleep of a worker in a process that runs the whole flow."""

CLUSTER_SECONDS = 0.02
"""Longest sleep in a cluster: data from another process rings no bell here, and waits for half of this on average."""

_PEER = 2**32 - 1
"""Number that a worker writes to another worker's bell; no partition has it."""


class Rest:
    """The sleep of one worker; all methods are called from the worker's own thread.

    The parts of the source are polled in turn. A part that is polled for the second time begins a new round: the worker sleeps there if
    it may, and polls every part before it sleeps again.
    """

    def __init__(
        self,
        workers: Workers | None = None,
        bell: Bell | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Register with the `workers` of the process. `monotonic` and `now`: seconds; `now` since 1970."""
        self.bell = bell or Bell()
        self._workers = workers or Workers()
        self._workers.bells.append(self.bell)
        self._monotonic = monotonic
        self._now = now
        self._round: set[int] = set()
        self._rung: set[int] = set()
        self._due: dict[int, float] = {}
        self._active_at = monotonic()

    def join(self, part: int, parts: int) -> None:
        """Note that `part` of the source, one of `parts` in all, belongs to this worker."""
        self._workers.add_part(part, parts)

    def note_activity(self) -> None:
        """Note that the worker is active: it does not sleep within the next `PAUSE_SECONDS`."""
        self._active_at = self._monotonic()

    def note_snapshot(self, part: int) -> None:
        """Note that `part` took a snapshot; no worker sleeps until all parts have, for Bytewax polls none of them before."""
        self._workers.note_snapshot(part)
        self.wake_all()

    def wake_all(self) -> None:
        """Note that the worker is active, and wake the other workers of the process: they receive data from it, or wait for it."""
        self.note_activity()
        for bell in self._workers.bells:
            if bell is not self.bell:
                bell.ring(_PEER)

    def expect(self, shard: int, due: float | None) -> None:
        """Note when a result of `shard` is due (seconds since 1970; None for never): the worker wakes by then."""
        if due is None:
            self._due.pop(shard, None)
        else:
            self._due[shard] = due

    def turn(self, part: int) -> bool:
        """Begin the poll of `part`, and sleep if a new round begins and the worker may; return whether it slept."""
        opens = part in self._round
        seconds = self.spare_seconds() if opens else 0.0
        if opens:
            self._round.clear()
            if seconds > 0:
                self.bell.wait(seconds)
            self._rung.update(self.bell.rung())
            if self.take_ring(_PEER):
                self.note_activity()
        self._round.add(part)
        return seconds > 0

    def take_ring(self, partition: int) -> bool:
        """Return whether the bell was rung for `partition`, and reset that."""
        if partition in self._rung:
            self._rung.remove(partition)
            return True
        return False

    def spare_seconds(self) -> float:
        """Return the seconds for which the worker may sleep; 0 or less if there is something to do."""
        moment = self._monotonic()
        if not self._workers.even or moment - self._active_at < PAUSE_SECONDS:
            return 0.0
        longest = ALONE_SECONDS if self._workers.complete else CLUSTER_SECONDS
        # Up to the next multiple, so that all workers of a machine wake together, and begin a snapshot together.
        longest -= moment % longest
        return min(longest, min(self._due.values()) - self._now()) if self._due else longest


class Workers:
    """State shared by the workers of one process; a worker is a thread."""

    def __init__(self) -> None:
        self.bells: list[Bell] = []
        self.complete = False
        """Whether all parts of the source are in this process."""
        self.even = True
        """Whether all parts have taken the same number of snapshots, so none is under way."""
        self._snapshots: dict[int, int] = {}
        self._threads = threading.local()

    def add_part(self, part: int, parts: int) -> None:
        """Note that `part` of the source, one of `parts` in all, is in this process."""
        self._snapshots[part] = 0
        self.complete = len(self._snapshots) == parts

    def note_snapshot(self, part: int) -> None:
        """Note that `part` took a snapshot."""
        self._snapshots[part] += 1
        self.even = min(self._snapshots.values()) == max(self._snapshots.values())

    def rest(self) -> Rest:
        """Return the `Rest` of the calling worker (thread)."""
        rest: Rest | None = getattr(self._threads, "rest", None)
        if rest is None:
            rest = self._threads.rest = Rest(self)
        return rest
