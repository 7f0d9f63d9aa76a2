"""Window results as a test writes them down, and a store's content as it reads it."""

from __future__ import annotations

from typing import Any

import polars as pl

from dataflows.contract.measures import RATIOS
from dataflows.contract.metrics import SUMS
from dataflows.contract.schema import Reason, Rejected, State, WindowResult, rfc3339
from figures.store.store import Store

BEGIN = 1_790_000_100 // 3600 * 3600


def result(minute: int = 0, campaign: str = "sale", channel: str = "search", **given: Any) -> WindowResult:
    """A result of the `minute`-th window after `BEGIN`, one click for one unit of currency unless said otherwise."""
    start = BEGIN + 60 * minute
    state: State = given.pop("state", "final")
    fields: dict[str, Any] = dict.fromkeys(SUMS, 0) | dict.fromkeys(measure.id for measure in RATIOS)
    fields |= {"impressions": 10, "clicks": 1, "spend_micros": 1_000_000, "currency": "USD", "events": 12, "revision": 12}
    fields |= {"counts": {}}
    return WindowResult(
        window_start=rfc3339(start),
        window_end=rfc3339(start + 60),
        campaign_id=campaign,
        channel=channel,
        state=state,
        **{**fields, **given},
    )


class SteppedClock:
    """A clock that stays the same until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def held(store: Store) -> list[tuple[int, int]]:
    rows = store.snapshot().between(0, 2**40, 60).sort("t", "campaign")
    return rows.select((pl.col("t") - BEGIN) // 60, "clicks").rows()


def rejected_event(offset: int, reason: Reason = "malformed", partition: int = 0, payload: str | None = "{") -> Rejected:
    at = f"2026-01-01T00:{offset // 60 % 60:02}:{offset % 60:02}Z"
    return Rejected(reason, "no event", "logs", partition, offset, at, payload)
