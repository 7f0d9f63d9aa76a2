"""Where a view lies in time: its range, its points, the period that it is compared with, and which of its minutes can be compared.

A rolling range ends with the newest window that is held, and a calendar range is seen from that window, not from the wall-clock time, so
that a page of replayed data is never empty. Provisional windows are `open`, wherever they are: they count in the figures, and are excluded
from every comparison. The oldest window that is held is also excluded, because the stream may have begun in the middle of it. The same
minutes are excluded from both periods.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec
import numpy as np
import numpy.typing as npt

from dataflows.contract.errors import InputError
from figures.calendar import ranges
from figures.calendar.calendar import DAY, Calendar, Interval
from figures.store.snapshot import Snapshot
from figures.views.grid import Grid, regular
from figures.views.view import FITTING, RANGES, View

_POINTS: tuple[tuple[Interval, int], ...] = (("hour", 7), ("day", 400), ("week", 1500))
"""What a point of a calendar range covers, and the number of days up to which it does; months for longer ranges."""

_LABELS = {
    "15m": "15 minutes",
    "30m": "30 minutes",
    "1h": "hour",
    "3h": "3 hours",
    "6h": "6 hours",
    "24h": "24 hours",
    "7d": "168 hours",
    "30d": "720 hours",
}
"""Labels of the rolling ranges; days of a calendar are not meant."""

_NOMINAL: dict[str, int] = {"hour": 3600, "day": DAY, "week": 7 * DAY, "month": 30 * DAY}


class ShownRange(msgspec.Struct, frozen=True):
    """The range of a page: its name in the URL, its bounds (seconds since 1970), whether it contains the newest window, and its label."""

    name: str
    start: int
    end: int
    running: bool
    label: str


class ShownComparison(msgspec.Struct, frozen=True):
    """What a range is compared with: one of `ranges.COMPARISONS`, and its bounds (seconds since 1970), None for nothing."""

    how: str
    start: int | None
    end: int | None


class SpanFigures(msgspec.Struct, frozen=True):
    """Where a view lies in time, as a page gets it; seconds since 1970."""

    start: int
    end: int
    """End of the range's last point."""
    settled: int
    """Start of the trailing open windows, at most `end`; earlier windows can be open too (`apart`)."""
    newest_end: int
    bucket: int
    """Seconds of a point; of days, weeks and months as most of them have."""
    length: int
    range: str
    """Name of the range."""
    oldest: int
    """Start of the oldest window that is held; before it nothing is known."""
    known: int
    """End of that window. The stream may have begun in the middle of it, so only windows from here on are complete."""
    apart: tuple[tuple[int, int], ...]
    """Stretches (start, end) before `settled` that are excluded from the comparison in both periods, because one of the two is open or
    incomplete."""
    counting: int
    """Seconds of the range whose windows are open."""
    compared: int
    """Seconds of the range that are compared with the previous period; 0 if that period is not held completely."""
    held: int
    """Seconds of the previous period that are held."""


class TimeSpan(SpanFigures, frozen=True):
    """`SpanFigures` with the points of the range and of the period that it is compared with."""

    points: Grid
    earlier: Grid
    """As many points as the range has; without any if there is no comparison."""
    earlier_closed: int
    """End of what is compared of the previous period."""
    earlier_apart: tuple[tuple[int, int], ...]
    """The stretches `apart` in the previous period."""
    shown_range: ShownRange
    comparison: ShownComparison

    @property
    def figures(self) -> SpanFigures:
        """What a page gets."""
        return SpanFigures(*(getattr(self, name) for name in SpanFigures.__struct_fields__))

    @property
    def closed(self) -> int:
        """End of what is complete in the range, but for the stretches `apart`."""
        return max(self.settled, self.start)

    @property
    def unheld(self) -> npt.NDArray[np.bool_]:
        """Mask of the points for which no data is held."""
        starts, ends = self.points.instants[:-1], self.points.instants[1:]
        return (ends <= self.oldest) | (starts >= self.newest_end)


class _Place(msgspec.Struct, frozen=True):
    """The points of a range and of the period that it is compared with."""

    shown: ShownRange
    comparison: ShownComparison
    bucket: int
    points: Grid
    earlier: Grid
    earlier_end: int
    """End of the previous period, which can be later than its last point: a month can be longer than the next one."""
    whole: bool
    """Whether the previous period counts to its end, however much of the range is over."""


_NO_POINTS = Grid(())


def span_of(snapshot: Snapshot, view: View, window: int) -> TimeSpan:
    """Return where `view` lies in time, given what is held and the length of a window in seconds."""
    newest_end = snapshot.newest + window
    place = _place(snapshot, view, window)
    points, earlier = place.points, place.earlier
    start, end = points.start, points.end
    before = earlier.start if earlier else start
    open_ = snapshot.open_windows(min(before, start), newest_end)
    tail = open_[::-1] == newest_end - window * np.arange(1, len(open_) + 1)
    settled = min(newest_end - window * (len(tail) if tail.all() else int(np.argmin(tail))), end)
    apart = open_[(open_ >= start) & (open_ < settled)]
    if earlier:
        # The stream may have begun in the middle of the oldest window.
        unsure = np.append(open_, snapshot.oldest)
        unsure = earlier.shifted(unsure[(unsure >= before) & (unsure < earlier.end)], points)
        apart = np.union1d(apart, unsure[(unsure >= start) & (unsure < settled)])
    is_held = bool(earlier) and not snapshot.empty
    stretches = _stretches(apart, window)
    closed = max(settled, start)
    return TimeSpan(
        start=start,
        end=end,
        settled=settled,
        newest_end=newest_end,
        bucket=place.bucket,
        length=end - start,
        range=place.shown.name,
        oldest=snapshot.oldest,
        known=snapshot.oldest + window,
        apart=stretches,
        counting=window * int(np.count_nonzero((open_ >= start) & (open_ < end))),
        compared=max(settled - start, 0) - window * len(apart) if is_held and snapshot.oldest <= before else 0,
        held=max(place.earlier_end - max(snapshot.oldest, before), 0) if is_held else 0,
        points=points,
        earlier=earlier,
        earlier_closed=place.earlier_end if place.whole or closed == end else _one_shifted(closed, points, earlier),
        earlier_apart=tuple((_one_shifted(a, points, earlier), _one_shifted(b, points, earlier)) for a, b in stretches),
        shown_range=place.shown,
        comparison=place.comparison,
    )


def _place(snapshot: Snapshot, view: View, window: int) -> _Place:
    if view.on_calendar:
        try:
            return _calendar_place(view, snapshot.newest, window)
        except InputError:
            pass  # it begins before the year 1
    return _rolling_place(snapshot, view, window)


def _rolling_place(snapshot: Snapshot, view: View, window: int) -> _Place:
    """Return the points of a range that ends with the newest window."""
    newest_end = snapshot.newest + window
    held = newest_end - snapshot.oldest
    # Without a range in the URL it is one whose figures can be compared: an hour, or less while less is held.
    name = view.range if view.range in RANGES else ""
    name = name or next((candidate for candidate in FITTING if 2 * RANGES[candidate][0] <= held), FITTING[-1])
    length, bucket = RANGES[name]
    bucket = max(bucket, window)
    end = -(-newest_end // bucket) * bucket
    start = end - -(-length // bucket) * bucket
    how = view.compare or "before"
    days = ranges.DAYS_BACK.get(how)
    calendar = Calendar(view.zone, view.week)
    shift = end - start if days is None else start - calendar.instant(calendar.local(start) - days * DAY)
    earlier = _NO_POINTS if how == "none" else regular(start - shift, end - shift, bucket)
    return _Place(
        shown=ShownRange(name, start, end, True, f"Last {_LABELS[name]}"),
        comparison=ShownComparison(how, start - shift, end - shift) if earlier else ShownComparison(how, None, None),
        bucket=bucket,
        points=regular(start, end, bucket),
        earlier=earlier,
        earlier_end=end - shift,
        whole=False,
    )


def _calendar_place(view: View, newest: int, window: int) -> _Place:
    """Return the points of a range of whole days; raises `InputError` if it begins before the year 1."""
    calendar = Calendar(view.zone, view.week)
    span = ranges.resolve(view.range, newest, calendar)
    how = view.compare or ("elapsed" if span.running else "before")
    interval, points, earlier, earlier_end = _calendar_points(calendar, msgspec.structs.replace(span, running=False), how, window)
    period = ranges.compare(span, how, newest + window, calendar)
    days = f"{span.first:%d %b %Y}" + (f" – {span.last:%d %b %Y}" if span.last > span.first else "")
    return _Place(
        shown=ShownRange(view.range, span.start, span.end, span.running, ranges.RANGES.get(view.range, days)),
        comparison=ShownComparison(how, *(period or (None, None))),
        bucket=_NOMINAL[interval],
        points=points,
        earlier=earlier,
        earlier_end=earlier_end,
        whole=how == "before" and span.running,
    )


@lru_cache(maxsize=128)
def _calendar_points(calendar: Calendar, span: ranges.Span, how: str, window: int) -> tuple[Interval, Grid, Grid, int]:
    """Return what a point covers, the points of `span` and of the period before it, and the end of that.

    Each point of that period has the same clock times, as many days earlier as its first day.
    """
    days = (span.last - span.first).days + 1
    fitting: list[Interval] = [name for name, most in _POINTS if days <= most and _NOMINAL[name] >= window]
    interval = fitting[0] if fitting else "month"
    edges = calendar.edges(span.start, span.end, interval) if span.end > span.start else [span.start, span.end]
    edges = (span.start, *edges[1:-1], span.end)
    period = ranges.compare(span, how, span.end, calendar)
    if period is None:
        return interval, Grid(edges), _NO_POINTS, span.start
    start, end = period
    first = calendar.date(start)
    moved = [min(max(ranges.shifted(span, first, edge, calendar), start), end) for edge in edges[1:]]
    return interval, Grid(edges), Grid((start, *np.maximum.accumulate(moved).tolist())), end


def _one_shifted(moment: int, points: Grid, earlier: Grid) -> int:
    return int(points.shifted(np.array([moment], np.int64), earlier)[0]) if earlier else moment


def _stretches(windows: npt.NDArray[np.int64], window: int) -> tuple[tuple[int, int], ...]:
    """Return the stretches of time (start, end) that `windows`, in order of time, cover."""
    if not len(windows):
        return ()
    parts = np.split(windows, np.flatnonzero(np.diff(windows) > window) + 1)
    return tuple((int(part[0]), int(part[-1]) + window) for part in parts)
