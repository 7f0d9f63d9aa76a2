"""Tables as bytes: every format says the same, no cell acts as a formula, and a long table comes in pieces."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import json
from collections.abc import Callable
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataflows.contract.errors import InputError
from figures.files.file_names import format_of
from figures.files.formats import FORMATS, METADATA, csv_format, gzipped, safe
from tests.support.docs.tables import columns_of, rows_of

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


@pytest.mark.parametrize("separator", [",", ";", "|", "\t", r"\t"])
@pytest.mark.parametrize("bom", [True, False])
def test_csv_is_separated_as_asked_and_holds_no_cell_that_begins_like_a_formula_for_any_reader(separator: str, bom: bool) -> None:
    table = pl.DataFrame({"name": [*NAMES, "a,=1", "b;+1", "c|-1", "d\t@1", 'e"', "plain"], "spend": [0.5] * (len(NAMES) + 6)})
    raw = b"".join(csv_format(separator, bom=bom).write(table, {}))
    assert raw.startswith(b"\xef\xbb\xbf") == bom
    separator = separator.replace(r"\t", "\t")
    read = rows_of("csv", raw, separator)
    assert [row["name"] for row in read] == [safe(name, separator) for name in table["name"]]
    assert {row["spend"] for row in read} == {"0.5"}
    if separator == ",":
        return  # a spreadsheet that parts cells at semicolons is tested above
    raw = b"".join(csv_format(separator).write(table.filter(~pl.col("name").str.contains(r"[\r\n]|^\t")), {}))
    for other in ",;|\t":
        for line in raw.decode().split("\r\n"):
            assert not [cell for cell in line.split(other) if cell.lstrip(" \ufeff").startswith(("=", "+", "-", "@"))]


def test_decimal_commas_stand_in_figures_and_not_in_whole_numbers_times_or_names() -> None:
    raw = b"".join(csv_format(";", decimal_comma=True).write(frame(4).with_columns(pl.lit("1.5").alias("name")), {}))
    row = rows_of("csv", raw, ";")[3]
    assert row == {"at": "2026-01-01T00:03:00Z", "name": "1.5", "spend": "-0,625", "clicks": "3", "cpc": "0,75"}


@pytest.mark.parametrize(
    "separator", ["", ";;", "a", "1", ".", "-", '"', "'", " ", "\n", "\r", "\0", "é", "；", "\\", "tab", "\ud800"]
)
def test_a_separator_that_would_be_read_as_something_else_is_refused(separator: str) -> None:
    with pytest.raises(InputError, match=r"^`separator` must be one of"):
        csv_format(separator)
    with pytest.raises(InputError, match="decimal commas need another"):
        csv_format(",", decimal_comma=True)


NAMED = {
    "results": "csv", "-": "csv", ".csv": "csv", "results.": "csv", "a.b/results": "csv", "/dev/stdout": "csv", "x.csv": "csv",
    "X.CSV": "csv",
    "x.tsv": "csv", "x.json": "json", "x.jsonl": "jsonl", "x.NDJSON": "jsonl", "x.parquet": "parquet", "x.Parquet": "parquet",
    "x.arrows": "arrow", "x.arrow": "feather", "x.feather": "feather", "2026.11.23.csv": "csv",
    "x.csv.gz": "csv.gz", "x.CSV.GZ": "csv.gz", "x.jsonl.gz": "jsonl.gz", "x.ndjson.gz": "jsonl.gz", "x.json.gz": "json.gz",
    "x.tsv.gz": "csv.gz",
}  # fmt: skip


@pytest.mark.parametrize("path", NAMED)
def test_a_file_is_written_as_its_name_says(path: str) -> None:
    name, _, packed = NAMED[path].partition(".")
    found = format_of(path, None, None)
    raw = b"".join(found.write(frame(3), {}))
    assert raw.startswith(b"\x1f\x8b") == bool(packed)
    read = rows_of(name, gzip.decompress(raw) if packed else raw, "\t" if "tsv" in path else ",")
    assert [int(row["clicks"]) for row in read] == [0, 1, 2]


REFUSED = [
    ("x.xlsx", None, ".csv with --bom"), ("x.XLS", None, ".csv with --bom"), ("x.xlsx", "csv", ".csv with --bom"), ("x.txt", None, ".txt"),
    ("x.csv.zip", None, ".zip"), ("x.csv.zst", None, ".zst"), ("x.csv ", None, "use .csv"), ("x.v2", None, ".v2"), ("x.pq", None, ".pq"),
    ("x.gz", None, ".csv.gz"), ("x.txt.gz", None, ".txt"), ("x.parquet.gz", None, "packed twice"), ("x.feather.gz", None, "packed twice"),
    ("x.gz", "parquet", "packed twice"), ("x.csv", "parquet", "contradict"), ("x.json", "jsonl", "contradict"),
    ("x.parquet", "arrow", "contradict"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "form", "words"), REFUSED)
def test_an_ending_that_is_not_known_or_says_something_else_is_refused(path: str, form: str | None, words: str) -> None:
    with pytest.raises(InputError) as caught:
        format_of(path, form, None)
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("path", "form"), [("x.txt", "csv"), ("x.dat", "jsonl"), ("x", "parquet"), ("x.gz", "csv"), ("x.arrow", "arrow")]
)
def test_a_format_that_is_named_may_have_any_ending_that_belongs_to_no_other(path: str, form: str) -> None:
    assert format_of(path, form, None).ending.startswith(FORMATS[form].ending)


@pytest.mark.parametrize(("path", "form"), [("x.parquet", None), ("x.jsonl", None), ("x", "json"), ("x.tsv", None)])
def test_what_is_asked_of_csv_is_refused_of_another_format(path: str, form: str | None) -> None:
    with pytest.raises(InputError, match="for CSV"):
        format_of(path, form, csv_format(";", bom=True))


def test_json_holds_names_as_they_are_and_its_further_fields() -> None:
    text = b"".join(FORMATS["json"].write(frame(), {"currency": "USD"}))
    told = json.loads(text)
    assert told["currency"] == "USD"
    assert [row["name"] for row in told["rows"]] == NAMES
    assert told["rows"][1]["cpc"] is None


def test_arrow_and_parquet_give_the_frame_back() -> None:
    assert pl.read_parquet(whole("parquet", frame())).equals(frame())
    assert pl.read_ipc_stream(whole("arrow", frame())).equals(frame())


@pytest.mark.parametrize(
    ("form", "read"), [("arrow", pa.ipc.open_stream), ("feather", pa.ipc.open_file), ("parquet", pq.ParquetFile)]
)
def test_arrow_and_parquet_say_what_json_says_of_the_rows(form: str, read: Callable[[io.BytesIO], Any]) -> None:
    about = {
        "currency": "EUR",
        "rates": {
            "name": "ECB, “daily”",
            "days_from_earlier": 2,
            "last_used": dt.date(2026, 1, 1),
            "without_rate": ("XXX", "ZWL"),
        },
        "tz": "Asia/Kathmandu",
        "from": None,
        "fields": ("ad_id", "größe"),
        "count": 3,
        "complete": True,
    }
    file = read(io.BytesIO(b"".join(FORMATS[form].write(frame(3), about))))
    schema = file.schema_arrow if form == "parquet" else file.schema
    said = {name.decode(): text.decode() for name, text in schema.metadata.items() if name.startswith(METADATA.encode())}
    assert said == {
        "adtally.currency": "EUR",
        "adtally.rates": "ECB, “daily”",
        "adtally.rates.days_from_earlier": "2",
        "adtally.rates.last_used": "2026-01-01",
        "adtally.rates.without_rate": "XXX,ZWL",
        "adtally.tz": "Asia/Kathmandu",
        "adtally.fields": "ad_id,größe",
        "adtally.count": "3",
        "adtally.complete": "true",
    }


@pytest.mark.parametrize("form", list(FORMATS))
@pytest.mark.parametrize("rows", [0, 1, 50_000])
def test_each_format_tells_the_same_of_no_row_one_and_many_pieces(form: str, rows: int) -> None:
    table = frame(rows)
    raw = whole(form, table)
    assert [int(row["clicks"]) for row in rows_of(form, raw)] == table["clicks"].to_list()
    assert columns_of(form, raw) in (table.columns, [])
    assert rows == 50_000 or gzip.decompress(b"".join(gzipped(FORMATS[form]).write(table, {}))) == raw
    assert rows < 50_000 or len(list(FORMATS[form].write(table, {}))) > 2
