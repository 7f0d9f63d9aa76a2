"""CSV as its publishers write it: byte-order marks, CRLF, quotes, columns in any order, columns too many."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from dataflows.errors import InputError
from generator.formats.base import Complaints, Line, RowError, opened


def header(path: Path, required: Sequence[str]) -> list[str]:
    """The names of the columns; raises `InputError` naming the file and those of `required` that it lacks."""
    names, rows = _open(path, required)
    rows.close()
    return names


def records(path: Path, required: Sequence[str], complaints: Complaints) -> Iterator[tuple[Line, list[str]]]:
    """Lines and values (in the order of `required`, without outer blanks) of each row of the file; blank lines are no rows.

    A row with more or fewer fields than the header is bad. A byte that is not UTF-8 stays as a surrogate. Raises `InputError`.
    """
    names, rows = _open(path, required)
    places = [names.index(column) for column in required]
    width = len(names)
    for line, values in rows:
        if isinstance(values, csv.Error):
            complaints.add(path, line, RowError(f"no CSV ({values})"))
        elif len(values) == width:
            yield line, [values[place].strip() for place in places]
        elif values:
            complaints.add(path, line, RowError("another number of fields than the header", f"{len(values)} for {width}"))


class _Rows:
    """Rows of a CSV file with their lines; one that can't be read comes as the error."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # surrogateescape: text in another encoding (a £ in a description) must not make a row unreadable.
        self._text = io.TextIOWrapper(opened(path), encoding="utf-8-sig", errors="surrogateescape", newline="")
        self._reader = csv.reader(self._text)

    def __iter__(self) -> Iterator[tuple[Line, list[str] | csv.Error]]:
        with self._text:
            while True:
                first = self._reader.line_num + 1
                row: list[str] | csv.Error
                try:
                    row = next(self._reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    row = error
                except (OSError, EOFError, zlib.error, gzip.BadGzipFile) as error:
                    raise InputError(f"{self._path}: can't be read on after line {first - 1}: {error}.") from None
                yield (first, self._reader.line_num), row

    def close(self) -> None:
        self._text.close()


class _Open:
    def __init__(self, path: Path) -> None:
        self._rows = _Rows(path)
        self._iterator = iter(self._rows)

    def __iter__(self) -> Iterator[tuple[Line, list[str] | csv.Error]]:
        return self._iterator

    def close(self) -> None:
        self._rows.close()


def _open(path: Path, required: Sequence[str]) -> tuple[list[str], _Open]:
    rows = _Open(path)
    first = next(iter(rows), None)
    if first is None or isinstance(first[1], csv.Error):
        raise InputError(f"{path}: the file is empty; its first line must name the columns {', '.join(required)}.")
    names = [column.strip() for column in first[1]]
    missing = [column for column in required if column not in names]
    if missing:
        raise InputError(f"{path}: no column {', '.join(missing)} in its first line; this format needs {', '.join(required)}.")
    return names, rows
