"""Where the rates of a deployment come from: the packaged history of the ECB, or a file and a topic of the operator's."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from dataflows.contract.errors import InputError
from dataflows.contract.settings import Settings
from figures.rates.files import RatesByCurrency, packaged, read_rates
from figures.rates.problem import RatesProblem, bad_file, empty_topic
from figures.rates.table import RateTable
from figures.rates.topic import RateFeed, TopicRates, scanned

log = logging.getLogger("adtally.rates")

_LOOK_SECONDS = 2.0
"""Seconds between two looks at the file."""

_Stamp = tuple[int, int, int]
"""What changes with a file: its inode, size and time of the last change."""


class RateSource:
    """The current rate table of a deployment.

    Without settings it is the packaged history. A file replaces that, and is read again when it changes. A topic replaces it too, or
    takes precedence over the file, day by day.
    """

    def __init__(
        self, settings: Settings, topic_rates: TopicRates | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Read the file. `topic_rates` replaces what the feed of the topic would read. Raises `InputError` if the file can't be used."""
        self._path = Path(settings.rates_file) if settings.rates_file else None
        self._topic = settings.rates_topic
        self._topic_rates = topic_rates or TopicRates()
        self._feed = RateFeed(settings, self._topic_rates) if settings.rates_topic and topic_rates is None else None
        self._clock = clock
        self._lock = threading.Lock()
        self._looked = clock()
        self._stamp = _stamp_of(self._path)
        self._file_rates: RatesByCurrency = read_rates(self._path) if self._path else {}
        self._table: RateTable | None = None
        self._made_of = -1
        self._changes = 0
        self._file_problem: RatesProblem | None = None

    @property
    def version(self) -> int:
        """Number that changes with the table, for the keys of caches; a changed file is read again here."""
        with self._lock:
            self._look()
            return self._changes + self._topic_rates.version

    def table(self) -> RateTable:
        """Return the current table: the same object as long as no rate changes."""
        version = self.version
        if self._path is None and not self._topic:
            return packaged()
        with self._lock:
            if self._table is None or self._made_of != version:
                self._table, self._made_of = self._made(), version
            return self._table

    def problem(self) -> RatesProblem | None:
        """Return what is wrong with the file, else with the topic; None if nothing is known to be wrong."""
        with self._lock:
            self._look()
            file_problem = self._file_problem
        return file_problem or (self._feed.problem() if self._feed is not None else None)

    def start(self) -> None:
        """Begin to follow the topic, if there is one."""
        if self._feed is not None:
            self._feed.start()

    def stop(self) -> None:
        """Stop following the topic."""
        if self._feed is not None:
            self._feed.stop()

    def _made(self) -> RateTable:
        names = [self._path.name] if self._path else []
        names += [f"topic {self._topic}"] if self._topic else []
        rates = {currency: dict(daily) for currency, daily in self._file_rates.items()}
        for currency, daily in self._topic_rates.copy().items():
            rates.setdefault(currency, {}).update(daily)
        return RateTable(" and ".join(names), rates)

    def _look(self) -> None:
        """Read the file again if it has changed; one that can't be used is logged once, and the rates stay as they are."""
        if self._path is None or self._clock() - self._looked < _LOOK_SECONDS:
            return
        self._looked = self._clock()
        stamp = _stamp_of(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._file_rates = read_rates(self._path)
        except InputError as error:
            self._file_problem = bad_file(str(error))
            log.error("%s", self._file_problem)  # noqa: TRY400  # it is one line
            return
        self._file_problem = None
        self._changes += 1
        log.info("exchange rates of %s were read again", self._path)


def table_now(settings: Settings) -> RateTable:
    """Return the rate table of this moment, for a command that ends; raises `InputError` and `BrokerError`.

    Logs it where the topic has no rate.
    """
    topic_rates = scanned(settings) if settings.rates_topic else None
    if topic_rates is not None and topic_rates.is_empty():
        log.warning("%s", empty_topic(settings))
    return RateSource(settings, topic_rates).table()


def _stamp_of(path: Path | None) -> _Stamp | None:
    """Return the stamp of a file; None if there is none at the moment."""
    try:
        stat = path.stat() if path else None
    except OSError:
        return None
    return stat and (stat.st_ino, stat.st_size, stat.st_mtime_ns)
