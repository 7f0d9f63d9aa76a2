"""Tables as bytes: every format says the same, no cell acts as a formula, and a long table comes in pieces."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json

import polars as pl
import pytest

from panel_app.formats import FORMATS, safe

NAMES = [
    '=HYPERLINK("http://evil.example","x")',
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    " =1",
    "\ufeff=1",
    "plain",
    'a,"b"\r\nc',
    "\u202egnitekram",
    "a\u0000b",
    "",
    "ö",
]


def frame(rows: int = 14) -> pl.DataFrame:
    """Times, hostile names, whole and broken numbers, and holes."""
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    return pl.DataFrame(
        {
            "at": [start + dt.timedelta(minutes=row) for row in range(rows)],
            "name": [NAMES[row % len(NAMES)] for row in range(rows)],
            "spend": [row / 8 - 1 for row in range(rows)],
            "clicks": list(range(rows)),
            "cpc": [None if row % 3 else row / 4 for row in range(rows)],
        }
    ).with_columns(pl.col("at").cast(pl.Datetime("us", "UTC")))


def whole(form: str, table: pl.DataFrame) -> bytes:
    return b"".join(FORMATS[form].write(table, {}))


def test_csv_holds_every_row_and_no_cell_that_begins_like_a_formula() -> None:
    rows = list(csv.DictReader(io.StringIO(whole("csv", frame()).decode(), newline="")))
    assert [row["name"] for row in rows] == [safe(name) for name in NAMES]
    assert not [row["name"] for row in rows if row["name"].lstrip(" \ufeff").startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert [float(row["spend"]) for row in rows] == frame()["spend"].to_list()
    assert [row["cpc"] for row in rows[:3]] == ["0.0", "", ""]
    assert rows[1]["at"] == "2026-01-01T00:01:00Z"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\ufeff=1", "\uff1d1"])
def test_a_name_that_begins_like_a_formula_is_made_harmless(text: str) -> None:
    assert safe(text) == f"'{text}"


SEMICOLONS = {
    "sale;=1+1": "sale;'=1+1",
    "sale; @SUM(A1)": "sale; '@SUM(A1)",
    "two\r\n+1\t-2": "two\r\n'+1\t'-2",
    "=1;\uff1d2": "'=1;'\uff1d2",
}


@pytest.mark.parametrize("text", SEMICOLONS)
def test_no_formula_begins_where_a_file_of_another_language_parts_its_cells(text: str) -> None:
    assert safe(text) == SEMICOLONS[text]


@pytest.mark.parametrize("text", ["", "sale", "a=1", "1-2", "'x", "Sale, -20%", "a; b", "a;b-c"])
def test_other_names_stay_as_they_are(text: str) -> None:
    assert safe(text) == text


def test_json_holds_names_as_they_are_and_what_is_told_beside_them() -> None:
    text = b"".join(FORMATS["json"].write(frame(), {"currency": "USD"}))
    told = json.loads(text)
    assert told["currency"] == "USD"
    assert [row["name"] for row in told["rows"]] == NAMES
    assert told["rows"][1]["cpc"] is None


def test_arrow_and_parquet_give_the_frame_back() -> None:
    assert pl.read_parquet(whole("parquet", frame())).equals(frame())
    assert pl.read_ipc_stream(whole("arrow", frame())).equals(frame())


@pytest.mark.parametrize("form", list(FORMATS))
@pytest.mark.parametrize("rows", [0, 1, 50_000])
def test_each_format_tells_the_same_of_no_row_one_and_many_pieces(form: str, rows: int) -> None:
    table = frame(rows)
    raw = whole(form, table)
    if form == "json":
        assert [row["clicks"] for row in json.loads(raw)["rows"]] == table["clicks"].to_list()
    elif form == "csv":
        assert [int(row["clicks"]) for row in csv.DictReader(io.StringIO(raw.decode(), newline=""))] == table["clicks"].to_list()
    else:
        read = pl.read_parquet if form == "parquet" else pl.read_ipc_stream
        assert read(raw).equals(table)
    assert rows < 50_000 or len(list(FORMATS[form].write(table, {}))) > 2
