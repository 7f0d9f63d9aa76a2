"""A file of any format read back with libraries other than the one that wrote it, where there are such."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import polars as pl
import pyarrow.feather
import pyarrow.parquet


def columns_of(form: str, raw: bytes) -> list[str]:
    """The names of the columns of `raw`, a file in `form` (a key of `FORMATS`); none for JSON."""
    if form == "csv":
        return next(csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline="")))
    return [] if form in ("json", "jsonl") else _frame(form, raw).columns


def rows_of(form: str, raw: bytes, separator: str = ",") -> list[dict[str, Any]]:
    """The rows of `raw`, a file in `form`; those of CSV hold texts."""
    if form == "json":
        return json.loads(raw)["rows"]
    if form == "jsonl":
        return [json.loads(line) for line in raw.splitlines()]
    if form == "csv":
        return list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig"), newline=""), delimiter=separator))
    return _frame(form, raw).rows(named=True)


def schema_of(form: str, raw: bytes) -> pl.Schema:
    """The types of the columns of `raw`, a file in `form`; none for texts."""
    return pl.Schema() if form in ("json", "jsonl", "csv") else _frame(form, raw).schema


def _frame(form: str, raw: bytes) -> pl.DataFrame:
    if form == "arrow":
        return pl.read_ipc_stream(raw)
    read = {"parquet": pyarrow.parquet.read_table, "feather": pyarrow.feather.read_table}[form]
    found = pl.from_arrow(read(io.BytesIO(raw)))
    assert isinstance(found, pl.DataFrame)
    return found
