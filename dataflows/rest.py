"""When a worker of the flow sleeps: while nothing happens on it, until a message comes or a result falls due.

A source can't wake Bytewax, which looks around every millisecond and asks each part of a source at the time that the part has named. That
costs more than everything a quiet flow has to do. So a worker on which nothing happens sleeps in the turn of a part, on a bell that
librdkafka rings when a message arrives. This module knows no Kafka and no Bytewax.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
import weakref
from collections.abc import Callable, Iterable

PAUSE_SECONDS = 0.01
"""After a poll that found the end of the log, and as long as something happens on the worker: polls then take several messages each."""

ALONE_SECONDS = 0.1
"""Longest sleep of a worker in a process that has the whole flow."""

CLUSTER_SECONDS = 0.02
"""Longest sleep in a cluster: what another process sends rings no bell here, and waits for half of that on average."""

_PEER = 2**32 - 1
"""What a worker writes into another's bell; no partition has this number."""


class Bell:
    """A pipe into which any thread, also one without Python, writes the number of a partition that has something to read."""

    def __init__(self) -> None:
        self._reading, self.descriptor = os.pipe()
        for end in (self._reading, self.descriptor):
            os.set_blocking(end, False)
        self._poll = select.poll()
        self._poll.register(self._reading, select.POLLIN)
        weakref.finalize(self, _close, self._reading, self.descriptor)

    @staticmethod
    def encode(partition: int) -> bytes:
        """What is written for `partition`: 4 bytes, so that a pipe takes all of it or nothing."""
        return partition.to_bytes(4, "little")

    def wait(self, seconds: float) -> None:
        """Sleep until it rings, but no longer than `seconds`."""
        self._poll.poll(seconds * 1000)

    def ring(self, number: int) -> None:
        """Write the number of a partition from Python; a bell that nobody has listened to for long is full, and rings anyway."""
        with contextlib.suppress(BlockingIOError):
            os.write(self.descriptor, self.encode(number))

    def rung(self) -> Iterable[int]:
        """The partitions that it was rung for since the last call."""
        try:
            read = os.read(self._reading, 65_536)
        except BlockingIOError:
            return ()
        return {int.from_bytes(read[place : place + 4], "little") for place in range(0, len(read), 4)}


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


class Rest:
    """The sleep of one worker; all its methods are called from the worker's own thread.

    The parts of the source take turns. A part that comes again opens a round: there the worker sleeps if it may, and every part has its
    turn before it sleeps again.
    """

    def __init__(
        self,
        workers: Workers | None = None,
        bell: Bell | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`workers`: those of the process. `monotonic` and `now`: seconds, the second since 1970."""
        self.bell = bell or Bell()
        self._workers = workers or Workers()
        self._workers.bells.append(self.bell)
        self._monotonic = monotonic
        self._now = now
        self._round: set[int] = set()
        self._rung: set[int] = set()
        self._due: dict[int, float] = {}
        self._stirred = monotonic()

    def join(self, part: int, parts: int) -> None:
        """A part of the source, one of `parts` in all, falls to this worker."""
        snapshots = self._workers.snapshots
        snapshots[part] = 0
        self._workers.complete = len(snapshots) == parts

    def stir(self) -> None:
        """Note that something happened on the worker: it does not sleep within the next `PAUSE_SECONDS`."""
        self._stirred = self._monotonic()

    def note_snapshot(self, part: int) -> None:
        """Note that `part` took a snapshot. No part is polled again before all have taken theirs, so no worker sleeps meanwhile."""
        snapshots = self._workers.snapshots
        snapshots[part] += 1
        self._workers.even = min(snapshots.values()) == max(snapshots.values())
        self.stir_all()

    def stir_all(self) -> None:
        """Note that something happened on the worker that concerns the others too: they are sent data, or wait for it."""
        self.stir()
        for bell in self._workers.bells:
            if bell is not self.bell:
                bell.ring(_PEER)

    def expect(self, shard: int, due: float | None) -> None:
        """Note when a result of `shard` falls due (seconds since 1970), None for never: the worker does not sleep past it."""
        if due is None:
            self._due.pop(shard, None)
        else:
            self._due[shard] = due

    def turn(self, part: int) -> bool:
        """Begin the turn of `part`, which may be where the worker sleeps; whether it slept."""
        opens = part in self._round
        seconds = self.spare() if opens else 0.0
        if opens:
            self._round.clear()
            if seconds > 0:
                self.bell.wait(seconds)
            self._rung.update(self.bell.rung())
            if self.answer(_PEER):
                self.stir()
        self._round.add(part)
        return seconds > 0

    def answer(self, partition: int) -> bool:
        """Whether the bell was rung for `partition` since the last call."""
        if partition in self._rung:
            self._rung.remove(partition)
            return True
        return False

    def spare(self) -> float:
        """Seconds for which the worker may sleep from now on; 0 or less where there is something to do."""
        moment = self._monotonic()
        if not self._workers.even or moment - self._stirred < PAUSE_SECONDS:
            return 0.0
        longest = ALONE_SECONDS if self._workers.complete else CLUSTER_SECONDS
        # To the next multiple: the workers of a machine wake at the same moments, and so begin a snapshot together.
        longest -= moment % longest
        return min(longest, min(self._due.values()) - self._now()) if self._due else longest


class Workers:
    """What the workers of one process share; a worker is a thread."""

    def __init__(self) -> None:
        self.bells: list[Bell] = []
        self.snapshots: dict[int, int] = {}
        """Of each part of the source in this process, how many it has taken."""
        self.complete = False
        """Whether those are all parts."""
        self.even = True
        """Whether each has taken as many."""
        self._threads = threading.local()

    def rest(self) -> Rest:
        """The rest of the worker that asks."""
        found: Rest | None = getattr(self._threads, "rest", None)
        if found is None:
            found = self._threads.rest = Rest(self)
        return found
