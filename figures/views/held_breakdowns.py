"""What the dashboard holds of each breakdown, and how much of the newest hour is in "(other)"."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import polars as pl

from dataflows.contract.breakdowns import Breakdown
from figures.store.names import OTHER_NUMBER
from figures.store.shape import column_of
from figures.store.snapshot import Snapshot

RECENT_SECONDS = 3600
"""Seconds before the end of the newest window in which "(other)" is looked for."""


class HeldBreakdown(msgspec.Struct, frozen=True):
    """What is held of the breakdown `name`: times in seconds since 1970, memory in bytes."""

    name: str
    fields: tuple[str, ...]
    rows: int
    held_bytes: int
    oldest: int
    """Start of the oldest window, 0 without one."""
    state: str
    """What the reader of its topic does (`feed.reporter.FeedState`)."""
    windows: int
    """Windows of the newest hour with an event."""
    other_windows: int
    """Those of them with a row of "(other)"."""
    other_share: float | None
    """Share of their events in "(other)"; None without events."""


def held(parts: Iterable[tuple[Breakdown, Snapshot, str]], window: int) -> list[HeldBreakdown]:
    """Return what is held of each of `parts`: a breakdown, its snapshot and its reader's state; `window` is in seconds."""
    return [_held(*part, window) for part in parts]


def _held(breakdown: Breakdown, snapshot: Snapshot, state: str, window: int) -> HeldBreakdown:
    windows, other_windows, other = _other(breakdown, snapshot, window)
    return HeldBreakdown(
        name=breakdown.name,
        fields=breakdown.fields,
        rows=snapshot.rows,
        held_bytes=snapshot.bytes,
        oldest=0 if snapshot.empty else snapshot.oldest,
        state=state,
        windows=windows,
        other_windows=other_windows,
        other_share=other,
    )


def _other(breakdown: Breakdown, snapshot: Snapshot, window: int) -> tuple[int, int, float | None]:
    """Return the number of windows of the newest hour, of those with "(other)", and the share of the events in it."""
    if snapshot.empty:
        return 0, 0, None
    field = column_of(breakdown.fields[0])  # in "(other)" all fields are true
    end = snapshot.newest + window
    rows = snapshot.between(end - RECENT_SECONDS, end, window, by=(field,)).with_columns(pl.col("t") // window)
    among = rows.filter(pl.col(field) == OTHER_NUMBER)
    events, others = (int(frame["events"].sum() or 0) for frame in (rows, among))
    return rows["t"].n_unique(), among["t"].n_unique(), others / events if events else None
