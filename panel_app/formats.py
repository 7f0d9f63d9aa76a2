"""Tables as bytes: CSV in which no name can act as a formula, JSON, Arrow and Parquet; in pieces, so that a long one is never whole."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

_ROWS = 20_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_SKIPPED = " \ufeff\u200b\u00a0"
_LATER = re.compile(rf"(?<!\A)([;\t\r\n][{_SKIPPED}]*)(?=[{re.escape(''.join(_FORMULA[:4] + _FORMULA[7:]))}])")
"""Where a spreadsheet that parts cells at semicolons or tabs begins one, or a line: it heeds no quote inside of a cell."""


class Format(msgspec.Struct, frozen=True):
    """How a table is written: the ending of its file, its media type, and who writes it."""

    ending: str
    media: str
    write: Callable[[pl.DataFrame, Mapping[str, object]], Iterator[bytes]]
    """Of a frame, and of what JSON says about it beside its rows, to pieces of bytes."""


def safe(text: str) -> str:
    """`text` as a cell that a spreadsheet shows and does not run: one that begins like a formula gets an apostrophe before it.

    This is OWASP's rule against CSV injection; characters before the formula that a spreadsheet skips count too, and so does what comes
    after the separators of other languages' files.
    """
    text = _LATER.sub(r"\1'", text)
    return f"'{text}" if text.lstrip(_SKIPPED).startswith(_FORMULA) or text.startswith(_FORMULA) else text


def _slices(frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
    yield from (frame.slice(at, _ROWS) for at in range(0, max(len(frame), 1), _ROWS))


def _plain(frame: pl.DataFrame) -> pl.DataFrame:
    times = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime)]
    # JSON and CSV know numbers of any size; as a decimal one would be a text in JSON.
    large = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Decimal)]
    return frame.with_columns(pl.col(times).dt.strftime("%Y-%m-%dT%H:%M:%SZ"), pl.col(large).cast(pl.Int128))


def _harmless(frame: pl.DataFrame) -> pl.DataFrame:
    # A name stands in many rows; each is looked at once.
    columns: list[pl.Series] = []
    for column in frame.select(pl.col(pl.String)).iter_columns():
        names = column.drop_nulls().unique().to_list()
        columns.append(column.replace({name: safe(name) for name in names if safe(name) != name}))
    return frame.with_columns(columns)


def _csv(frame: pl.DataFrame, _about: Mapping[str, object]) -> Iterator[bytes]:
    for at, part in enumerate(_slices(frame)):
        out = io.BytesIO()
        _harmless(_plain(part)).write_csv(out, include_header=at == 0, line_terminator="\r\n")
        yield out.getvalue()


def _json(frame: pl.DataFrame, about: Mapping[str, object]) -> Iterator[bytes]:
    yield msgspec.json.encode(about)[:-1] + (b',"rows":[' if about else b'"rows":[')
    first = True
    for part in _slices(frame):
        rows = _plain(part).write_ndjson().encode().strip().replace(b"\n", b",\n")
        if rows:
            yield rows if first else b",\n" + rows
            first = False
    yield b"]}\n"


def _arrow(frame: pl.DataFrame, _about: Mapping[str, object]) -> Iterator[bytes]:
    return _by_pyarrow(frame, pa.ipc.new_stream)


def _parquet(frame: pl.DataFrame, _about: Mapping[str, object]) -> Iterator[bytes]:
    return _by_pyarrow(frame, lambda out, schema: pq.ParquetWriter(out, schema, compression="zstd"))


def _by_pyarrow(frame: pl.DataFrame, begin: Callable[[io.BytesIO, Any], Any]) -> Iterator[bytes]:
    out = _Pieces()
    with begin(out, frame.head(0).to_arrow(compat_level=pl.CompatLevel.oldest()).schema) as writer:
        for part in _slices(frame):
            writer.write_table(part.to_arrow(compat_level=pl.CompatLevel.oldest()))
            yield out.taken()
    yield out.taken()


class _Pieces(io.BytesIO):
    """A file that is only ever appended to, and forgets what was taken from it; it goes on counting from there."""

    def __init__(self) -> None:
        super().__init__()
        self._gone = 0

    def tell(self) -> int:
        return self._gone + super().tell()

    def taken(self) -> bytes:
        """What was written since the last time."""
        found = self.getvalue()
        self._gone += len(found)
        self.seek(0)
        self.truncate()
        return found

    def close(self) -> None:
        """The last piece is taken after the writer has closed its file."""


FORMATS: dict[str, Format] = {
    "json": Format("json", "application/json", _json),
    "csv": Format("csv", "text/csv; charset=utf-8", _csv),
    "arrow": Format("arrows", "application/vnd.apache.arrow.stream", _arrow),
    "parquet": Format("parquet", "application/vnd.apache.parquet", _parquet),
}
