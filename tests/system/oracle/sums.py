"""What each window must hold: counted events added up, a batch at a time, so that millions of them need no more room than their cells."""

from __future__ import annotations

from typing import Any

import polars as pl

SUMS = [
    "impressions",
    "clicks",
    "conversions",
    "purchases",
    "refunds",
    "spend_micros",
    "revenue_micros",
    "refund_micros",
    "events",
]

BATCH = 100_000
"""Events that wait until they are added up."""

_CELL = ["start", "campaign_id", "channel"]
_KINDS: dict[str, Any] = {
    "start": pl.Int64,
    "campaign_id": pl.String,
    "channel": pl.String,
    "kind": pl.String,
    "cost": pl.Int128,
    "revenue": pl.Int128,
}


class Cells:
    """The sums of each window, campaign and channel."""

    def __init__(self, batch: int = BATCH) -> None:
        self._batch = batch
        self._waiting: list[tuple[Any, ...]] = []
        self._sums = _added_up([])

    def add(self, start: int, event: dict[str, Any]) -> None:
        """Count `event` in the window that begins at `start`, in seconds since 1970."""
        money = event.get("cost_micros") or 0, event.get("revenue_micros") or 0
        self._waiting.append((start, event["campaign_id"], event["channel"], event["event_type"], *money))
        if len(self._waiting) >= self._batch:
            self._fold()

    def frame(self) -> pl.DataFrame:
        """All sums so far; columns window_start, campaign_id, channel and `SUMS`."""
        self._fold()
        named = pl.from_epoch("start", time_unit="s").dt.strftime("%Y-%m-%dT%H:%M:%SZ").alias("window_start")
        return self._sums.with_columns(named).select("window_start", "campaign_id", "channel", *SUMS)

    def _fold(self) -> None:
        both = pl.concat([self._sums, _added_up(self._waiting)])
        self._sums = both.group_by(_CELL).agg(pl.col(name).sum() for name in SUMS)
        self._waiting = []


def _added_up(rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    kind, cost, revenue = pl.col("kind"), pl.col("cost"), pl.col("revenue")
    return (
        pl.DataFrame(rows, schema=_KINDS, orient="row")
        .group_by(_CELL)
        .agg(
            (kind == "impression").sum().alias("impressions"),
            (kind == "click").sum().alias("clicks"),
            kind.is_in(["conversion", "purchase"]).sum().alias("conversions"),
            (kind == "purchase").sum().alias("purchases"),
            (kind == "refund").sum().alias("refunds"),
            cost.sum().alias("spend_micros"),
            revenue.filter(kind != "refund").sum().alias("revenue_micros"),
            revenue.filter(kind == "refund").sum().alias("refund_micros"),
            pl.len().alias("events"),
        )
        .with_columns(pl.col(name).cast(pl.Int128) for name in SUMS)
    )
