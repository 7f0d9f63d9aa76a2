"""What each window must hold: counted events added up, a batch at a time, so that millions of them need no more room than their cells."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import polars as pl

from tests.system.oracle.terms import MAIN, Terms

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
"""The sums that every result has."""

Value = str | bool | None
"""In a breakdown: a text, null where the event has none, true in the row of what was not admitted."""

KEY = ["window_start", "campaign_id", "channel", "values", "currency"]
"""A cell of any table; `values` are the JSON text of a list, empty in the main table."""

BATCH = 100_000
"""Events that wait until they are added up."""

_CELL = ["start", "campaign_id", "channel", "values", "currency"]


def columns(terms: Terms) -> list[str]:
    """The sums of a deployment: those of every result, and one for each declared type."""
    return [*SUMS, *(f"counts.{name}" for name in terms.declared())]


def written(values: Sequence[Value]) -> str:
    """The values of a cell as one text; two cells have the same one only if their values are the same."""
    return json.dumps(list(values), ensure_ascii=False)


class Cells:
    """The sums of each table's cells."""

    def __init__(self, terms: Terms | None = None, batch: int = BATCH) -> None:
        self._terms = terms or Terms()
        self._tables = list(self._terms.tables())
        self._columns = columns(self._terms)
        self._batch = batch
        self._waiting: list[tuple[Any, ...]] = []
        kinds: dict[str, Any] = {
            "start": pl.Int64,
            **dict.fromkeys(_CELL[1:], pl.String),
            **dict.fromkeys(self._columns, pl.Int128),
        }
        self._sums = dict.fromkeys(self._tables, pl.DataFrame(schema=kinds))

    def add(self, start: int, event: dict[str, Any], values: Sequence[str] = ()) -> None:
        """Count `event` in the window that begins at `start`, in seconds since 1970; `values`: its cell in each breakdown (`written`)."""
        money = event.get("cost_micros") or 0, event.get("revenue_micros") or 0
        cell = start, event["campaign_id"], event["channel"], event["currency"]
        self._waiting.append((*cell, event["event_type"], *money, "[]", *values))
        if len(self._waiting) >= self._batch:
            self._fold()

    def frame(self, table: str = MAIN) -> pl.DataFrame:
        """All sums of a table so far; the columns are `KEY` and those of `columns`."""
        self._fold()
        named = pl.from_epoch("start", time_unit="s").dt.strftime("%Y-%m-%dT%H:%M:%SZ").alias("window_start")
        return self._sums[table].with_columns(named).select(*KEY, *self._columns)

    def _schema(self) -> dict[str, Any]:
        texts = dict.fromkeys(["campaign_id", "channel", "currency", "type"], pl.String)
        tables = dict.fromkeys((f"values of {name}" for name in self._tables), pl.String)
        return {"start": pl.Int64, **texts, "cost": pl.Int128, "revenue": pl.Int128, **tables}

    def _fold(self) -> None:
        if not self._waiting:
            return
        rows = pl.DataFrame(self._waiting, self._schema(), orient="row")
        for name, before in self._sums.items():
            more = self._added_up(rows, name)
            if before.height:
                more = pl.concat([before, more]).group_by(_CELL).agg(pl.col(one).sum() for one in self._columns)
            self._sums[name] = more
        self._waiting = []

    def _added_up(self, rows: pl.DataFrame, table: str) -> pl.DataFrame:
        kind, cost, revenue = pl.col("type").replace_strict(self._terms.types()), pl.col("cost"), pl.col("revenue")
        return (
            rows.rename({f"values of {table}": "values"})
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
                *((pl.col("type") == name).sum().alias(f"counts.{name}") for name in self._terms.declared()),
            )
            .with_columns(pl.col(name).cast(pl.Int128) for name in self._columns)
        )
