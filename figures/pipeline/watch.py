"""Progress of the dataflow by partition; the broker is queried only while a page needs it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import msgspec

from dataflows.commands.counters import COLUMNS, Progress, progress
from dataflows.contract.errors import AdtallyError, TopicMissingError
from dataflows.contract.settings import Settings
from dataflows.kafka.lag import Waiting

log = logging.getLogger("adtally.pipeline")

_EVERY = 3.0
_WATCHED = 75.0


class Partition(msgspec.Struct, frozen=True):
    """One partition of the logs, as of the dataflow's last commit; `clock` is the highest event time that was read (seconds)."""

    partition: int
    offset: int | None
    end: int
    lag: int
    counts: dict[str, int]
    adds_up: bool
    clock: float | None
    at: float | None = None
    """Time of the commit by the dataflow's clock (seconds since 1970)."""
    pause: float | None = None
    """Seconds between this commit and the previous one."""
    still: float | None = None
    """Time from which messages wait and the offset does not move, as observed by this process (seconds since 1970)."""
    behind: int = 0
    """Messages that wait behind an open transaction."""
    lost: int = 0
    is_recreated: bool = False
    notes: list[str] = []
    """Problems of the partition that affect its lag (`dataflows.commands.counters.Progress.notes`)."""


class Pipeline(msgspec.Struct, frozen=True):
    """Progress of the dataflow; `asked` is the service's time of the answer, None before the first one."""

    partitions: list[Partition] = []
    asked: float | None = None
    problem: str = ""
    """Why a newer answer is missing."""
    is_missing: bool = False
    """Whether the topic of the logs does not exist."""


class Watch:
    """Queries the broker for the dataflow's progress on a thread, every few seconds, while pages need it."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self._wanted = threading.Event()
        self._stop = threading.Event()
        self._asked = 0.0
        self._last = Pipeline()
        self._waiting = Waiting(settings, "progress")
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def pipeline(self) -> Pipeline:
        """Return the last answer. The first call starts the thread's requests; they continue while this is called regularly."""
        self._asked = time.monotonic()
        self._wanted.set()
        with self._lock:
            if self._thread is None and not self._stop.is_set():
                self._thread = threading.Thread(target=self._run, name="adtally-progress", daemon=True)
                self._thread.start()
        return self._last

    def stop(self) -> None:
        """Stop asking, and wait for the thread's end."""
        self._stop.set()
        self._wanted.set()
        if self._thread:
            self._thread.join(10)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wanted.wait()
            if time.monotonic() - self._asked > _WATCHED:
                self._wanted.clear()
                continue
            self._last = self._ask()
            self._stop.wait(_EVERY)

    def _ask(self) -> Pipeline:
        try:
            rows = progress(self._settings, timeout=4.0, waiting=self._waiting)
        except TopicMissingError as error:
            return Pipeline(asked=self._clock(), problem=str(error), is_missing=True)
        except AdtallyError as error:
            return msgspec.structs.replace(self._last, problem=str(error))
        except Exception:  # the page must keep working; the log says what is wrong
            log.exception("the progress of the dataflow could not be read")
            return msgspec.structs.replace(self._last, problem="the progress of the dataflow could not be read; see the log.")
        now = self._clock()
        before = {row.partition: row for row in self._last.partitions}
        return Pipeline([_partition(self._settings, row, before.get(row.partition), now) for row in rows], now)


def _partition(settings: Settings, row: Progress, before: Partition | None, now: float) -> Partition:
    """Return `row` as a page shows it; `before` is the same partition in the previous answer."""
    still = None
    if row.lag:
        still = before.still or now if before is not None and before.offset == row.offset else now
    return Partition(
        partition=row.partition,
        offset=row.offset,
        end=row.end,
        lag=row.lag,
        counts={name: getattr(row.shown, name) for name in COLUMNS},
        adds_up=row.shown.adds_up(),
        clock=_seconds(row.shown.clock),
        at=_seconds(row.shown.at),
        pause=_seconds(row.shown.pause),
        still=still,
        behind=row.waits.behind if row.waits else 0,
        lost=row.lost,
        is_recreated=row.is_recreated,
        notes=row.notes(settings),
    )


def _seconds(micros: int | None) -> float | None:
    return None if micros is None else micros / 1e6
