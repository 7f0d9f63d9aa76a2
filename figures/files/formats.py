"""Tables as bytes: CSV in which no name can act as a formula, JSON, JSON lines, Arrow and Parquet.

They are written in pieces, so that a long file is never in memory as a whole.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from dataflows.contract.errors import InputError

_ROWS = 20_000
_COUNTS = "counts."
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
METADATA = "adtally."
"""Begins the names of what Arrow and Parquet files say of their rows."""
_SKIPPED = " \ufeff\u200b\u00a0"
SEPARATORS = (",", ";", "|", "\t")
BOM = b"\xef\xbb\xbf"
"""Byte order mark, by which a spreadsheet recognises UTF-8; without it, it uses the code page of its locale."""


def _after(separators: str) -> re.Pattern[str]:
    """Return a pattern for formula characters after `separators` or a line break: a spreadsheet ignores quotes inside a cell."""
    return re.compile(rf"(?<!\A)([{separators}\t\r\n][{_SKIPPED}]*)(?=[{re.escape(''.join(_FORMULA[:4] + _FORMULA[7:]))}])")


_LATER, _LATER_ANYWHERE = _after(";"), _after(",;|")
"""In a file with commas as separators a name with a comma is quoted; in any other file it is not."""


class FileFormat(msgspec.Struct, frozen=True):
    """A file format: the ending, the media type, the function that writes it, and `others`, alternative endings."""

    ending: str
    media: str
    write: Callable[[pl.DataFrame, Mapping[str, object]], Iterator[bytes]]
    """Encodes a frame, and what is said of it (`result_table.ResultTable.about`), as pieces of bytes; CSV and JSON lines are rows only."""
    others: tuple[str, ...] = ()


def safe(text: str, separator: str = ",") -> str:
    """Return `text` as a cell that a spreadsheet shows and does not run: an apostrophe precedes text that begins like a formula.

    This is OWASP's rule against CSV injection; characters before the formula that a spreadsheet skips count too, and so does what comes
    after the separators of other languages' files. `separator` is the one of this file.
    """
    text = (_LATER if separator == "," else _LATER_ANYWHERE).sub(r"\1'", text)
    return f"'{text}" if text.lstrip(_SKIPPED).startswith(_FORMULA) or text.startswith(_FORMULA) else text


def _slices(frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
    yield from (frame.slice(at, _ROWS) for at in range(0, max(len(frame), 1), _ROWS))


def _plain(frame: pl.DataFrame) -> pl.DataFrame:
    times = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime)]
    # JSON and CSV have integers of any size; polars would write a decimal as a string in JSON.
    large = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Decimal)]
    return frame.with_columns(pl.col(times).dt.strftime("%Y-%m-%dT%H:%M:%SZ"), pl.col(large).cast(pl.Int128))


def _harmless(frame: pl.DataFrame, separator: str) -> pl.DataFrame:
    # A name occurs in many rows; each is checked once.
    columns: list[pl.Series] = []
    for column in frame.select(pl.col(pl.String)).iter_columns():
        names = column.drop_nulls().unique().to_list()
        columns.append(column.replace({name: text for name in names if (text := safe(name, separator)) != name}))
    return frame.with_columns(columns)


def csv_format(separator: str = ",", *, bom: bool = False, decimal_comma: bool = False) -> FileFormat:
    """Return CSV with one of `SEPARATORS`, optionally with a byte order mark and decimal commas, for spreadsheets of any locale.

    Raises `InputError` for another separator, and for decimal commas with a comma as the separator.
    """
    separator = "\t" if separator == r"\t" else separator
    if separator not in SEPARATORS:
        raise InputError("`separator` must be one of , ; | or a tab.")
    if decimal_comma and separator == ",":
        raise InputError("decimal commas need another `separator`, such as ;")

    def write(frame: pl.DataFrame, _about: Mapping[str, object]) -> Iterator[bytes]:
        if bom:
            yield BOM
        for at, part in enumerate(_slices(frame)):
            out = io.BytesIO()
            _harmless(_plain(part), separator).write_csv(
                out, include_header=at == 0, line_terminator="\r\n", separator=separator, decimal_comma=decimal_comma
            )
            yield out.getvalue()

    return FileFormat("csv", "text/csv; charset=utf-8", write, ("tsv",))


def texts(about: Mapping[str, object]) -> dict[str, str]:
    """Return what is said of a table, by name, for what has only texts: the metadata of a file, the headers of an answer.

    What is None is left out; a list is written with commas. A part of `rates` is called ``rates.<part>``, and its name ``rates``.
    """
    said: dict[str, str] = {}
    for name, value in about.items():
        parts = (
            {name if key == "name" else f"{name}.{key}": part for key, part in value.items()}
            if isinstance(value, Mapping)
            else {name: value}
        )
        said |= {key: _text(part) for key, part in parts.items() if part is not None}
    return said


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)


def gzipped(form: FileFormat) -> FileFormat:
    """Return `form`, compressed with gzip."""

    def write(frame: pl.DataFrame, about: Mapping[str, object]) -> Iterator[bytes]:
        packer = zlib.compressobj(wbits=31)
        for piece in form.write(frame, about):
            yield packer.compress(piece)
        yield packer.flush()

    return FileFormat(f"{form.ending}.gz", "application/gzip", write)


def _json(frame: pl.DataFrame, about: Mapping[str, object]) -> Iterator[bytes]:
    yield msgspec.json.encode(about)[:-1] + (b',"rows":[' if about else b'"rows":[')
    first = True
    for part in _slices(frame):
        rows = _lines(part, about).strip().replace(b"\n", b",\n")
        if rows:
            yield rows if first else b",\n" + rows
            first = False
    yield b"]}\n"


def _jsonl(frame: pl.DataFrame, about: Mapping[str, object]) -> Iterator[bytes]:
    for part in _slices(frame):
        yield _lines(part, about)


def _lines(part: pl.DataFrame, about: Mapping[str, object]) -> bytes:
    """Return rows as JSON, one a line. Columns ``counts.<type>`` become one object; so JSON has the form of a result.

    The `fields` in `about`, columns of values, are `true` in the rows whose column ``other`` is true.
    """
    frame = _plain(part)
    if counts := [name for name in frame.columns if name.startswith(_COUNTS)]:
        nested = pl.struct(pl.col(name).alias(name.removeprefix(_COUNTS)) for name in counts).alias(_COUNTS[:-1])
        at = frame.columns.index(counts[0])
        frame = frame.insert_column(at, frame.select(nested).to_series()).drop(counts)
    fields = about.get("fields")
    if not (isinstance(fields, Sequence) and fields):
        return frame.write_ndjson().encode()
    others, frame = frame["other"].to_list(), frame.drop("other")
    lines = frame.write_ndjson().encode().split(b"\n")
    if any(others):
        summed = frame.with_columns(pl.lit(True).alias(name) for name in fields).write_ndjson().encode().split(b"\n")
        lines = [other if is_other else line for line, other, is_other in zip(lines, summed, [*others, False], strict=True)]
    return b"\n".join(lines)


def _feather(frame: pl.DataFrame, about: Mapping[str, object]) -> Iterator[bytes]:
    return _by_pyarrow(frame, about, pa.ipc.new_file)


def _arrow(frame: pl.DataFrame, about: Mapping[str, object]) -> Iterator[bytes]:
    return _by_pyarrow(frame, about, pa.ipc.new_stream)


def _parquet(frame: pl.DataFrame, about: Mapping[str, object]) -> Iterator[bytes]:
    return _by_pyarrow(frame, about, lambda out, schema: pq.ParquetWriter(out, schema, compression="zstd"))


def _by_pyarrow(frame: pl.DataFrame, about: Mapping[str, object], begin: Callable[[io.BytesIO, Any], Any]) -> Iterator[bytes]:
    """Yield a file with what `about` says in the metadata of its schema, each name after `METADATA`."""
    out = _Pieces()
    schema = frame.head(0).to_arrow(compat_level=pl.CompatLevel.oldest()).schema
    said = {f"{METADATA}{name}": text for name, text in texts(about).items()}
    with begin(out, schema.with_metadata({**(schema.metadata or {}), **said})) as writer:
        for part in _slices(frame):
            writer.write_table(part.to_arrow(compat_level=pl.CompatLevel.oldest()))
            yield out.taken()
    yield out.taken()


class _Pieces(io.BytesIO):
    """An append-only file that drops what was taken from it; its position continues from there."""

    def __init__(self) -> None:
        super().__init__()
        self._gone = 0

    def tell(self) -> int:
        return self._gone + super().tell()

    def taken(self) -> bytes:
        """Return what was written since the last call."""
        piece = self.getvalue()
        self._gone += len(piece)
        self.seek(0)
        self.truncate()
        return piece

    def close(self) -> None:
        """The last piece is taken after the writer has closed its file."""


FORMATS: dict[str, FileFormat] = {
    "json": FileFormat("json", "application/json", _json),
    "jsonl": FileFormat("jsonl", "application/x-ndjson", _jsonl, ("ndjson",)),
    "csv": csv_format(),
    "arrow": FileFormat("arrows", "application/vnd.apache.arrow.stream", _arrow),
    "feather": FileFormat("feather", "application/vnd.apache.arrow.file", _feather, ("arrow",)),
    "parquet": FileFormat("parquet", "application/vnd.apache.parquet", _parquet),
}

TEXTS = ("json", "jsonl", "csv")
"""Formats without compression of their own, which may be `gzipped`."""
