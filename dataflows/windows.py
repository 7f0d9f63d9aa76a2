"""The windows of one shard: watermark over the source partitions, panes, corrections. It knows no Kafka and no Bytewax.

All times are event time in integer microseconds since 1970, but for `now`, which is the machine's clock in seconds.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable

import msgspec

from dataflows.errors import RecoveryError
from dataflows.metrics import Cells, Metrics, ratios
from dataflows.rules import SECOND, Rules
from dataflows.schema import State, WindowResult, rfc3339
from dataflows.settings import Settings

SHARDS = 8
"""Into so many shards the cells are divided, whatever the number of workers (Flink calls them key groups); fixed, for the state of a
recovery folder is kept by shard. Up to so many workers share the work."""


BEHIND = 5
"""While a backlog is read, updates of open cells are so many times rarer."""


class SourceClock(msgspec.Struct, frozen=True, array_like=True):
    """How far a source partition is: the highest event time seen (None before the first), and whether it is read to its end and silent."""

    time: int | None
    idle: bool


class Partial(msgspec.Struct, gc=False):
    """What one poll of one source partition has for one shard. Data and clock travel together, so that neither overtakes the other."""

    partition: int
    partitions: int
    clock: SourceClock
    cells: dict[int, Cells]
    behind: bool = False
    """Whether there was more to read at once: nobody waits for the figures of a minute that will be over in a moment."""


def shard_of(campaign_id: str, channel: str) -> int:
    """The shard of a campaign and channel; the same in every process and every run."""
    return zlib.crc32(f"{campaign_id}\0{channel}".encode()) % SHARDS


def split(
    partition: int, partitions: int, clock: SourceClock, windows: dict[int, Cells], *, behind: bool = False
) -> list[tuple[str, Partial]]:
    """One `Partial` for each shard, also where it holds no cell: the clock must reach all of them. Keyed by the shard's name."""
    partials = [Partial(partition, partitions, clock, {}, behind) for _ in range(SHARDS)]
    for window, cells in windows.items():
        for key, metrics in cells.items():
            partials[shard_of(*key)].cells.setdefault(window, {})[key] = metrics
    return [(str(shard), partial) for shard, partial in enumerate(partials)]


class Cell(msgspec.Struct, gc=False, array_like=True):
    """One campaign and channel in one window.

    `changed`: its figures were not emitted yet; `waits`: it stands in a queue for that; `emitted_at`: seconds, on the machine's clock.
    """

    metrics: Metrics
    state: State = "provisional"
    changed: bool = True
    waits: bool = False
    emitted_at: float = 0.0


CellKey = tuple[str, str]
Place = tuple[int, CellKey]
Pane = dict[CellKey, Cell]


class PanesState(msgspec.Struct):
    """What a snapshot keeps of a shard: the windows' length, clocks, watermark, and each window's cells as encoded bytes."""

    window: int
    partitions: int
    clocks: dict[int, SourceClock]
    watermark: int
    panes: dict[int, bytes]


class Figures(msgspec.Struct, frozen=True):
    """What one shard holds; `watermark` in microseconds since 1970, None before there is one."""

    watermark: int | None
    open_windows: int
    windows: int
    open_cells: int
    cells: int


_NEVER = -(2**63)
_QUEUES_A_SECOND = 40
# JSON, not MessagePack: the sums of valid events may exceed 64 bits.
_encode_pane = msgspec.json.Encoder().encode
_decode_pane = msgspec.json.Decoder(tuple[list[CellKey], list[Cell]]).decode


class Panes:
    """The open and the correctable windows of one shard.

    A window is *provisional* until the watermark has passed its end, then *final*; a cell that changes after that is *corrected*. The
    watermark is the least clock of the source partitions that are not idle, less the out-of-orderness bound. A window leaves only
    when **every** partition's clock, idle ones included, has passed its end and the allowed lateness: up to then an event of it may be
    accepted by its partition, and must find its cell.
    """

    def __init__(self, settings: Settings, state: PanesState | None = None) -> None:
        """`state`: what `state` gave before a restart; raises `RecoveryError` if its windows have another length."""
        self._rules = Rules.of(settings)
        if state and state.window != self._rules.window:
            raise RecoveryError(
                f"the recovery folder holds windows of {state.window / SECOND:g} s, but ADTALLY_WINDOW_SECONDS is "
                f"{settings.window_seconds}; set it back, or start with an empty folder and other topics."
            )
        self._emit_seconds = settings.emit_seconds
        self._partitions = state.partitions if state else 0
        # None is idle before it says so again: while this run was down, a backlog may have come.
        self._clocks = {partition: SourceClock(clock.time, False) for partition, clock in state.clocks.items()} if state else {}
        self._watermark = state.watermark if state else _NEVER
        self._panes: dict[int, Pane] = {}
        self._open: set[int] = set()
        self._encoded: dict[int, bytes] = dict(state.panes) if state else {}
        self._queues: dict[float, list[Place]] = {}
        self._waiting: dict[Place, int] = {}
        self._longest: tuple[int, int] | None = None
        self._emitted = 0
        for window, data in self._encoded.items():
            self._restore(window, data)

    def take(self, partials: Iterable[Partial], now: float) -> list[WindowResult]:
        """Merge `partials` and move the watermark; the results that are due at `now`."""
        touched: dict[Place, Cell] = {}
        behind = False
        self._begin_results()
        for partial in partials:
            behind = behind or partial.behind
            self._partitions = max(self._partitions, partial.partitions)
            self._clocks[partial.partition] = partial.clock
            for window, cells in partial.cells.items():
                self._merge(window, cells, touched, partial.clock.time)
            self._advance(now)
        results = [self._emit(place, cell, now) for place, cell in touched.items() if self._is_due(place, cell, now, behind)]
        results += self._finish(now)
        self._forget()
        return results

    def tick(self, now: float) -> list[WindowResult]:
        """The results that have become due by waiting until `now`."""
        self._advance(now)
        self._begin_results()
        results: list[WindowResult] = []
        for due in [due for due in self._queues if due <= now]:
            for place in self._queues.pop(due):
                cell = self._panes.get(place[0], {}).get(place[1])
                if cell is not None:
                    cell.waits = False
                    if cell.changed and not self._is_closed(place[0]):
                        results.append(self._emit(place, cell, now))
        return results + self._finish(now)

    def flush(self, now: float) -> list[WindowResult]:
        """The results of every cell that waits for its next update, at once."""
        due = [(window, key) for window in self._open for key, cell in self._panes[window].items() if cell.changed]
        self._queues.clear()
        self._begin_results()
        return [self._emit(place, self._panes[place[0]][place[1]], now) for place in due]

    def wake_at(self) -> float | None:
        """When, on the machine's clock, `tick` has something to do; None if only an event can change anything."""
        times = list(self._queues)
        if self._all_idle():
            times += [self._end(window) / SECOND for window in self._open]
        return min(times, default=None)

    def waited_longest(self) -> tuple[int, int] | None:
        """Of the results of the last call, the place of the one whose event is the oldest, and the time of that event (microseconds).

        The event is the first that changed the cell since it was emitted before. Its own time is not known here: the clock of its
        partition stands for it, which is later by as much as the event came out of order, and never past the end of its window. None
        where no result has a new event.
        """
        return self._longest

    def figures(self) -> Figures:
        """How much is held; asked by other threads than the one that changes it, so it may be of two moments."""
        pane_sizes = {window: len(pane) for window, pane in list(self._panes.items())}
        return Figures(
            watermark=None if self._watermark == _NEVER else self._watermark,
            open_windows=len(self._open),
            windows=len(pane_sizes),
            open_cells=sum(pane_sizes.get(window, 0) for window in list(self._open)),
            cells=sum(pane_sizes.values()),
        )

    def state(self) -> PanesState:
        """What must be kept over a restart; only windows that changed since the last call are encoded anew."""
        for window, pane in self._panes.items():
            if window not in self._encoded:
                self._encoded[window] = _encode_pane((list(pane), list(pane.values())))  # in two lists, to make no tuple for each
        return PanesState(self._rules.window, self._partitions, dict(self._clocks), self._watermark, dict(self._encoded))

    def _restore(self, window: int, data: bytes) -> None:
        pane = self._panes[window] = dict(zip(*_decode_pane(data), strict=True))
        if not self._is_closed(window):
            self._open.add(window)
        for key, cell in pane.items():
            cell.emitted_at, cell.waits = 0.0, cell.changed
            if cell.changed:
                self._queues.setdefault(0.0, []).append((window, key))

    def _begin_results(self) -> None:
        self._longest, self._emitted = None, 0

    def _merge(self, window: int, cells: Cells, touched: dict[Place, Cell], clock: int | None) -> None:
        waiting, moment = self._waiting, min(clock or 0, self._end(window))
        closed = self._is_closed(window)
        if not closed:
            self._open.add(window)
        pane = self._panes.setdefault(window, {})
        self._encoded.pop(window, None)
        for key, metrics in cells.items():
            cell = pane.get(key)
            if cell is None:
                cell = pane[key] = Cell(metrics)
            else:
                cell.metrics.merge(metrics)
                cell.changed = True
            if closed:
                cell.state = "corrected"
            place = window, key
            touched[place] = cell
            waiting.setdefault(place, moment)

    def _end(self, window: int) -> int:
        return window + self._rules.window

    def _is_closed(self, window: int) -> bool:
        return self._end(window) <= self._watermark

    def _all_idle(self) -> bool:
        return 0 < self._partitions <= len(self._clocks) and all(clock.idle for clock in self._clocks.values())

    def _advance(self, now: float) -> None:
        """Move the watermark; it never goes back, though a partition that returns from silence may."""
        if len(self._clocks) < self._partitions:
            return  # a partition that has not been heard yet may hold anything
        if self._all_idle():
            # Nothing is left to read: time goes on to the end of the newest window that holds data and whose own time is over.
            over = [self._end(window) for window in self._open if self._end(window) <= now * SECOND]
            self._watermark = max([self._watermark, *over])
            return
        times = [clock.time for clock in self._clocks.values() if not clock.idle]
        if None not in times:
            self._watermark = max(self._watermark, min(time for time in times if time is not None) - self._rules.out_of_order)

    def _is_due(self, place: Place, cell: Cell, now: float, behind: bool) -> bool:
        if self._is_closed(place[0]):
            return cell.state == "corrected"  # the others get their last result from `_finish`
        if behind and not cell.emitted_at:
            cell.emitted_at = now
        due = cell.emitted_at + self._emit_seconds * (BEHIND if behind else 1)
        if not cell.emitted_at <= now < due:
            return True
        if not cell.waits:
            cell.waits = True
            # Rounded up, so that the queues are few however many cells wait.
            queue = math.ceil(due * _QUEUES_A_SECOND) / _QUEUES_A_SECOND
            self._queues.setdefault(queue, []).append(place)
        return False

    def _finish(self, now: float) -> list[WindowResult]:
        """The last result of each cell whose window the watermark has passed."""
        results: list[WindowResult] = []
        for window in sorted(window for window in self._open if self._is_closed(window)):
            self._open.remove(window)
            for key, cell in self._panes[window].items():
                if cell.state == "provisional":
                    cell.state = "final"
                    results.append(self._emit((window, key), cell, now))
        return results

    def _forget(self) -> None:
        times = [clock.time for clock in self._clocks.values()]
        if len(times) < self._partitions or None in times:
            return
        floor = min(time for time in times if time is not None) - self._rules.out_of_order - self._rules.lateness
        for window in [window for window in self._panes if self._end(window) <= floor]:
            del self._panes[window]
            self._encoded.pop(window, None)

    def _emit(self, place: Place, cell: Cell, now: float) -> WindowResult:
        window, key = place
        moment = self._waiting.pop(place, None)
        if moment is not None and (self._longest is None or moment < self._longest[1]):
            self._longest = self._emitted, moment
        self._emitted += 1
        cell.changed = cell.waits = False
        cell.emitted_at = now
        self._encoded.pop(window, None)
        return to_result(window, self._rules, key, cell)


def to_result(window: int, rules: Rules, key: CellKey, cell: Cell) -> WindowResult:
    """The contract's record of a cell: `window` is its start (microseconds), `key` its campaign and channel."""
    sums = cell.metrics
    rates = ratios(sums)
    # By position: with names, this call took most of the time that a cell takes here.
    return WindowResult(
        rfc3339(window // SECOND),
        rfc3339((window + rules.window) // SECOND),
        key[0],
        key[1],
        sums.impressions,
        sums.clicks,
        sums.conversions,
        sums.purchases,
        sums.refunds,
        sums.spend_micros,
        sums.revenue_micros,
        sums.refund_micros,
        rates.ctr,
        rates.cvr,
        rates.cpc,
        rates.cpm,
        rates.cpa,
        rates.roas,
        rules.currency,
        sums.events,
        sums.events,  # the revision
        cell.state,
    )
