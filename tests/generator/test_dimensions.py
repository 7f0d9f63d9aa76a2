"""Dimensions of replayed files: items, positions, countries, and whatever column the user maps to a field."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from dataflows.contract.errors import InputError
from tests.support.replays import BANDIT, RETAIL, fields_of, line, replay, retail


def test_items_and_countries_of_invoices_sum_up_as_polars_sums_them() -> None:
    table = pl.read_csv(RETAIL, infer_schema=False).filter(pl.col("Quantity").cast(pl.Int64) > 0)
    revenue = pl.col("Quantity").cast(pl.Int64) * (pl.col("UnitPrice").str.to_decimal(scale=6) * 1_000_000).cast(pl.Int64)
    expected = table.group_by("StockCode", "Country").agg(pl.len(), revenue.sum().alias("micros"))
    sums: dict[tuple[str, str], list[int]] = {}
    for fields in map(fields_of, replay("online-retail", RETAIL).payloads):
        if fields["event_type"] == "purchase":
            cell = sums.setdefault((fields["stock_code"], fields["country"]), [0, 0])
            cell[0] += 1
            cell[1] += fields["revenue_micros"]
    assert sums == {(row[0], row[1]): [row[2], row[3]] for row in expected.iter_rows()}


def test_items_and_positions_of_recommendations_sum_up_as_polars_sums_them() -> None:
    table = pl.read_csv(BANDIT, infer_schema=False)
    expected = table.group_by("item_id", "position").agg(pl.len(), pl.col("click").cast(pl.Int64).sum())
    sums: dict[tuple[str, str], list[int]] = {}
    for fields in map(fields_of, replay("open-bandit", BANDIT).payloads):
        cell = sums.setdefault((fields["ad_id"], fields["placement"]), [0, 0])
        cell[fields["event_type"] == "click"] += 1
    assert sums == {(row[0], row[1]): [row[2], row[3]] for row in expected.iter_rows()}


def test_any_column_becomes_a_field_and_one_of_the_format_can_be_replaced(tmp_path: Path) -> None:
    rows = [line(), line().replace("LANTERN", ""), line("C9", quantity="-1")]
    found = retail(tmp_path, *rows, fields=(("product", "description"), ("campaign_id", "InvoiceNo")), currency="GBP")
    plain = [fields_of(payload) for payload in found.payloads]
    assert [fields.get("product") for fields in plain] == ["LANTERN", None, "LANTERN"]
    assert [fields["campaign_id"] for fields in plain] == ["536365", "536365", "C9"]
    assert [fields["currency"] for fields in plain] == ["GBP"] * 3
    with pytest.raises(InputError, match="no column nope in its first line"):
        retail(tmp_path, line(), fields=(("a", "nope"),))
    with pytest.raises(InputError, match="--field timestamp=InvoiceNo: the format computes timestamp"):
        retail(tmp_path, line(), fields=(("timestamp", "InvoiceNo"),))


def test_a_value_that_is_too_long_makes_its_row_bad_and_an_empty_one_is_not_set(tmp_path: Path) -> None:
    rows = [line().replace("85123A", code) for code in ("x" * 256, "x" * 257, "")]
    found = retail(tmp_path, *rows)
    assert found.bad == {"StockCode must have 1 to 256 characters": 1}
    assert [fields_of(payload).get("stock_code") for payload in found.payloads] == ["x" * 256, None]
