"""Where a view lies in time: its range, its buckets, the period before it, and which of its minutes can be compared.

The range ends with the newest window that is held, not with the wall-clock time, so that a page of replayed data is never empty.
Provisional windows are `open`, wherever they are: they count in the figures, and are excluded from every comparison. The oldest
window that is held is also excluded, because the stream may have begun in the middle of it. The same minutes are excluded from both
periods.
"""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from figures.store.snapshot import Snapshot
from figures.views.view import FITTING, RANGES, View


class TimeSpan(msgspec.Struct, frozen=True):
    """Where a view lies in time; seconds since 1970. The previous period is the same span, `length` earlier."""

    start: int
    end: int
    """End of the range's last point."""
    settled: int
    """Start of the trailing open windows; earlier windows can be open too (`apart`)."""
    newest_end: int
    bucket: int
    length: int
    range: str
    """Which of `view.RANGES` it is."""
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

    @property
    def points(self) -> range:
        """The start of each bucket."""
        return range(self.start, self.end, self.bucket)

    @property
    def unheld(self) -> npt.NDArray[np.bool_]:
        """Mask of the points for which no data is held."""
        starts = np.array(self.points)
        return (starts + self.bucket <= self.oldest) | (starts >= self.newest_end)


def span_of(snapshot: Snapshot, view: View, window: int) -> TimeSpan:
    """Return where `view` lies in time, given what is held and the length of a window in seconds."""
    held = snapshot.newest + window - snapshot.oldest
    # Without a range in the URL it is one whose figures can be compared: an hour, or less while less is held.
    name = view.range or next((candidate for candidate in FITTING if 2 * RANGES[candidate][0] <= held), FITTING[-1])
    length, bucket = RANGES[name]
    bucket = max(bucket, window)
    newest_end = snapshot.newest + window
    end = -(-newest_end // bucket) * bucket
    length = -(-length // bucket) * bucket
    start, before = end - length, end - 2 * length
    open_ = snapshot.open_windows(before, newest_end)
    tail = open_[::-1] == newest_end - window * np.arange(1, len(open_) + 1)
    settled = newest_end - window * (len(tail) if tail.all() else int(np.argmin(tail)))
    # The stream may have begun in the middle of the oldest window.
    known = snapshot.oldest + window
    apart = np.union1d(open_, np.append(open_, snapshot.oldest) + length)
    apart = apart[(apart >= start) & (apart < settled)]
    compared = max(settled - start, 0) - window * len(apart) if snapshot.oldest <= before and not snapshot.empty else 0
    return TimeSpan(
        start=start,
        end=end,
        settled=settled,
        newest_end=newest_end,
        bucket=bucket,
        length=length,
        range=name,
        oldest=snapshot.oldest,
        known=known,
        apart=_stretches(apart, window),
        counting=window * int(np.count_nonzero(open_ >= start)),
        compared=compared,
        held=0 if snapshot.empty else max(start - max(snapshot.oldest, before), 0),
    )


def _stretches(windows: npt.NDArray[np.int64], window: int) -> tuple[tuple[int, int], ...]:
    """Return the stretches of time (start, end) that `windows`, in order of time, cover."""
    if not len(windows):
        return ()
    parts = np.split(windows, np.flatnonzero(np.diff(windows) > window) + 1)
    return tuple((int(part[0]), int(part[-1]) + window) for part in parts)
