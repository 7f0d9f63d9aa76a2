"""The service: one store and its feed, and the answers that all viewers share. It knows neither HTTP nor Panel."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from zlib import crc32

import msgspec

from dataflows.contract.breakdowns import Breakdown
from dataflows.contract.settings import Settings
from dataflows.telemetry.ages import LATE_SECONDS, Ages
from figures.attention.engine import NOTHING, Attention, Report, within
from figures.catalogue import Catalogue
from figures.feed.reporter import Status
from figures.feed.upserts import Feed
from figures.pipeline.rejects import RejectedFeed
from figures.pipeline.status import PipelinePart, Seen, diagnose, trouble
from figures.pipeline.watch import Watch
from figures.rates.source import RateSource
from figures.store.shape import shape_of
from figures.store.snapshot import Snapshot
from figures.store.store import Store
from figures.views import view as views
from figures.views.breakdown_table import BreakdownSource
from figures.views.held_breakdowns import HeldBreakdown, held
from figures.views.money import Money
from figures.views.parameters import NATIVE
from figures.views.query import page
from figures.views.span import span_of

LOOK_SECONDS = 5.0
HISTORICAL_SECONDS = 86_400
"""Data older than this was replayed, so it is not a failure that nothing newer arrives."""

_KEPT_ANSWERS = 256
_ANY = views.View(range="15m")
_encode = msgspec.json.Encoder().encode


class Live(msgspec.Struct, frozen=True):
    """What changes by itself while the figures stay: `age` is seconds since the end of the newest window, None without one."""

    feed: Status
    version: int
    rows: int
    age: float | None
    now: float
    undo_rows: int
    undo_seconds: float
    cleared: bool
    trouble: PipelinePart | None = None
    """The part of the pipeline to look at if no new figures arrive; None if they do, or if the cause is unknown."""


class Answer(msgspec.Struct, frozen=True):
    """The reply to a browser; `page` is empty where it has that page already (`token`)."""

    id: int
    token: str
    live: Live
    view: views.View
    notes: tuple[str, ...]
    """Parameters of the URL that are not applied, and what is wrong with the exchange rates, one line each."""
    page: msgspec.Raw | None
    attention: msgspec.Raw | None
    """What needs attention, in the whole of the data; empty where `page` is."""


class Service:
    """The store of one deployment, its feed, and a memory of the last answers."""

    def __init__(
        self,
        settings: Settings,
        clock: Callable[[], float] = time.time,
        measured: Callable[[float], None] = lambda _age: None,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        """`clock` gives the wall time in seconds; `measured` gets the age of each event whose result is held (`Ages`).

        `look_seconds`: how often the feed looks for new partitions. Raises `InputError` if the file of exchange rates can't
        be used, and `SettingsError` if that of own metrics can't.
        """
        self.settings = settings
        self.catalogue = Catalogue.of(settings)
        shape = shape_of(_declared_names(settings))
        self.store = Store(settings.store_hours, settings.history_days, shape=shape)
        self.ages = Ages(settings.window_seconds, measured)
        self.feed = Feed(settings, self.store, clock, look_seconds, ages=self.ages)
        self.breakdowns: dict[str, Store] = {}
        """The results of each breakdown, by its name."""
        self.breakdown_feeds: dict[str, Feed] = {}
        for breakdown in settings.breakdown_list:
            store = _breakdown_store(settings, breakdown)
            self.breakdowns[breakdown.name] = store
            self.breakdown_feeds[breakdown.name] = Feed(settings, store, clock, look_seconds, breakdown=breakdown)
        self.rates = RateSource(settings)
        self.money = Money(settings.currency, self.rates.table)
        self.rejected = RejectedFeed(settings)
        """Reads nothing until the Data page is opened."""
        self.watch = Watch(settings, clock)
        self._clock = clock
        self._attention = Attention(settings.window_seconds, settings.currency, self.rates.table, self.catalogue.own_measures)
        self._report: tuple[Report, bytes] = (NOTHING, _encode(NOTHING))
        self._pages: OrderedDict[tuple[int, int, int, views.View], bytes] = OrderedDict()
        self._cost = 0.0
        self._cleared = False
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin to read results, those of the breakdowns and, where they have a topic, exchange rates."""
        self.rates.start()
        self.feed.start()
        for feed in self.breakdown_feeds.values():
            feed.start()

    def snapshot(self) -> Snapshot:
        """Return what is held, at most a second old.

        The longer a page takes to compute, the longer one snapshot is shared: 100 viewers then get the same answer instead of one
        computed for each.
        """
        return self.store.snapshot(max_age=self._max_age())

    def breakdown_source(self, name: str) -> BreakdownSource | None:
        """Return what is held of the breakdown called `name`, at most a second old; None if it is not declared."""
        declared = self.settings.breakdown_list
        breakdown = next((each for each in declared if each.name == name), None)
        if breakdown is None:
            return None
        snapshot = self.breakdowns[name].snapshot(max_age=self._max_age())
        return BreakdownSource(breakdown, snapshot, self.breakdown_feeds[name].status.state, declared)

    def held_breakdowns(self) -> list[HeldBreakdown]:
        """Return what is held of each breakdown, at most 5 s old, in the order of the settings."""
        parts = (
            (each, self.breakdowns[each.name].snapshot(max_age=5.0), self.breakdown_feeds[each.name].status.state)
            for each in self.settings.breakdown_list
        )
        return held(parts, self.settings.window_seconds)

    def _max_age(self) -> float:
        return min(1.0, 0.2 + 20 * self._cost)

    def answer(self, query: str, *, number: int = 0, have: str = "", scope: views.Scope = views.EVERYTHING) -> bytes:
        """Return `answered` as JSON."""
        return _encode(self.answered(query, number=number, have=have, scope=scope))

    def answered(self, query: str, *, number: int = 0, have: str = "", scope: views.Scope = views.EVERYTHING) -> Answer:
        """Return the answer for the view in the URL's `query`, within `scope`; `have` is the token of what the browser shows."""
        parsed_query = views.asked(query, self.catalogue, self.settings.breakdown_list, scope)
        view, snapshot = parsed_query.view, self.snapshot()
        source = self.breakdown_source(view.breakdown)
        live, noticed = self.live(snapshot), self._noticed(snapshot, scope)
        notes = (*parsed_query.notes, *self.rates_notes(view.currency))
        versions = (snapshot.version, source.snapshot.version if source else 0, self.rates.version)
        token = f"{'-'.join(map(str, versions))}-{hash(view):x}-{crc32(noticed):x}"
        if have == token:
            return Answer(number, token, live, view, notes, None, None)
        return Answer(number, token, live, view, notes, msgspec.Raw(self._page(snapshot, view, source)), msgspec.Raw(noticed))

    def rates_notes(self, currency: str) -> tuple[str, ...]:
        """Return what is wrong with the exchange rates, as the lines of a page with amounts in `currency` (as in a `views.View`)."""
        problem = None if currency == NATIVE else self.rates.problem()
        return () if problem is None else (f"Exchange rates: {problem}.",)

    def attention(self, snapshot: Snapshot) -> Report:
        """Return what needs attention in the complete minutes of `snapshot`.

        Nothing is reported while the topic is being read: campaigns on a partition that is read later would seem to have fallen silent.
        """
        if self.feed.status.state == "reading":
            return NOTHING
        return self._attention.report(snapshot, span_of(snapshot, _ANY, self.settings.window_seconds).settled)

    def _noticed(self, snapshot: Snapshot, scope: views.Scope) -> bytes:
        report = self.attention(snapshot)
        if scope.filtered:
            return _encode(within(report, scope))
        known, text = self._report
        if report is not known:
            text = _encode(report)
            self._report = report, text
        return text

    def _page(self, snapshot: Snapshot, view: views.View, source: BreakdownSource | None) -> bytes:
        key = (snapshot.version, source.snapshot.version if source else 0, self.rates.version, view)
        encoded = self._pages.get(key)
        if encoded is None:
            begun = time.perf_counter()
            encoded = _encode(
                page(
                    snapshot,
                    view,
                    self.settings.window_seconds,
                    money=self.money,
                    catalogue=self.catalogue,
                    source=source,
                )
            )
            self._cost = 0.8 * self._cost + 0.2 * (time.perf_counter() - begun)
            with self._lock:
                self._pages[key] = encoded
                while len(self._pages) > _KEPT_ANSWERS or next(iter(self._pages))[0] < snapshot.version - 1000:
                    self._pages.popitem(last=False)
        return encoded

    def age(self, snapshot: Snapshot) -> float | None:
        """Return the seconds since the end of the newest window of `snapshot`; None if it is empty."""
        return None if snapshot.empty else self._clock() - snapshot.newest - self.settings.window_seconds

    def live(self, snapshot: Snapshot) -> Live:
        """Return how fresh `snapshot` is, and the state of the feed."""
        rows, left = self.store.undoable()
        now, age = self._clock(), self.age(snapshot)
        status = self.feed.status
        # Only then, because the diagnosis makes the process query the broker.
        lacks = status.state in ("down", "waiting") or age is None or LATE_SECONDS < age < HISTORICAL_SECONDS
        cause = trouble(self.parts(snapshot)) if lacks else None
        return Live(status, snapshot.version, snapshot.rows, age, now, rows, round(left, 1), self._cleared, cause)

    def parts(self, snapshot: Snapshot) -> list[PipelinePart]:
        """Return the state of each part of the pipeline up to `snapshot`; the first call begins to watch the dataflow."""
        newest_end = None if snapshot.empty else float(snapshot.newest + self.settings.window_seconds)
        seen = Seen(
            self._clock(), newest_end, self.feed.status, self.rejected.status, self.watch.pipeline(), self.rates.problem()
        )
        return diagnose(self.settings, seen)

    def clear(self) -> int:
        """Drop what is held, for all viewers; return the number of rows."""
        self._cleared = True
        for store in self.breakdowns.values():
            store.clear()
        return self.store.clear()  # the last one, because it announces that all are cleared

    def undo(self) -> int:
        """Undo the last clear; return the number of rows."""
        self._cleared = False
        for store in self.breakdowns.values():
            store.undo()
        return self.store.undo()

    def stop(self) -> None:
        """End every thread."""
        for feed in self.breakdown_feeds.values():
            feed.stop()
        self.feed.stop()
        self.rates.stop()
        self.rejected.stop()
        self.watch.stop()

    def is_healthy(self) -> bool:
        """Whether the feed reads, or waits for a topic that a broker says is not there yet."""
        return self.feed.alive and self.feed.status.state not in ("down", "starting")


def _declared_names(settings: Settings) -> list[str]:
    return [declared.name for declared in settings.declared_types]


def _breakdown_store(settings: Settings, breakdown: Breakdown) -> Store:
    """Return an empty store for the results of `breakdown`, which holds what the main one does as long as its rows are not too many."""
    shape = shape_of(_declared_names(settings), breakdown.fields)
    return Store(settings.store_hours, settings.history_days, most_rows=settings.breakdown_rows, shape=shape)
