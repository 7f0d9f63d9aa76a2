"""CSV files from any program: usual encodings and separators, byte order marks, leading blank lines, quotes, columns in any order."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import NamedTuple

from dataflows.contract.errors import InputError
from generator.formats.base import BadRows, RowError
from generator.formats.columns import Line
from generator.formats.encodings import as_text
from generator.formats.inputs import Input, words
from generator.ordering import SortedRow

LONGEST = 1 << 20
"""Longest line in characters; a longer line makes its row bad."""

_HEAD_LINES = 100
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_SEPARATOR_LINE = re.compile(r'"?sep=(?P<rest>.*)', re.IGNORECASE | re.DOTALL)


class _Head(NamedTuple):
    """The header of a file: the number of its last line, the column names, and the separator."""

    lines: int
    names: list[str]
    separator: str


class CsvTable:
    """A CSV file with a known header. Raises `InputError` if a required column is missing, or one that is used given twice.

    An `optional` column that is missing has empty values.
    """

    def __init__(self, file: Input, required: Sequence[str], encoding: str | None = None, optional: Sequence[str] = ()) -> None:
        self._file = file
        self._encoding = encoding
        self._number = 0
        with self._text() as text:
            try:
                self._head = _head(text, tuple(dict.fromkeys(required)), file.name)
            except (OSError, UnicodeError) as error:
                raise self._broken(error) from None
        self._places = _places(self._head, (*required, *optional), file.name)

    def has(self, column: str) -> bool:
        """Return whether the header has `column`."""
        return not _missing(self._head.names, (column,))

    def records(self, complaints: BadRows) -> Iterator[tuple[Line, list[str]]]:
        """Yield line numbers and values of each row, stripped, by the required columns, then the optional ones; blank lines are not rows.

        A row with more or fewer fields than the header is bad. A byte that can't be decoded stays as a surrogate.
        """
        width, pick, name = len(self._head.names), itemgetter(*self._places), self._file.name
        some_missing = width in self._places
        for line, values in self._rows():
            if isinstance(values, csv.Error):
                complaints.add(name, line, RowError(f"not CSV ({values})"))
            elif len(values) == width:
                if some_missing:
                    values.append("")
                yield line, [value.strip() for value in pick(values)]
            elif values:
                complaints.add(name, line, RowError("another number of fields than the header", f"{len(values)} for {width}"))

    def events(self, complaints: BadRows, convert: Callable[[list[str], Line], Iterable[SortedRow]]) -> Iterator[SortedRow]:
        """Yield what `convert` makes of the values and line numbers of each record; one for which it raises `RowError` is bad."""
        for line, values in self.records(complaints):
            try:
                yield from convert(values, line)
            except RowError as error:
                complaints.add(self._file.name, line, error)

    def _rows(self) -> Iterator[tuple[Line, list[str] | csv.Error]]:
        with self._text() as text:
            lines = _Lines(text)
            last = skipped = self._head.lines
            try:
                for _ in itertools.islice(lines, skipped):
                    pass
                reader = csv.reader(lines, delimiter=self._head.separator)
                while True:
                    row: list[str] | csv.Error
                    try:
                        row = next(reader)
                    except StopIteration:
                        return
                    except csv.Error as error:
                        row = error
                    if lines.ended:  # the reader asked for a line beyond the end
                        row = csv.Error("a quote that is never closed")
                    if lines.too_long:
                        lines.too_long = False
                        row = csv.Error(f"a line of more than {LONGEST:,} characters")
                    first, last = last + 1, skipped + reader.line_num
                    yield (first, last), row
            except (OSError, UnicodeError) as error:
                raise self._broken(error, last) from None

    def _text(self) -> io.TextIOWrapper:
        file = self._file.open()
        try:
            return as_text(file, self._encoding)
        except OSError as error:
            raise self._broken(error) from None

    def _broken(self, error: OSError | UnicodeError, line: int = 0) -> InputError:
        return unreadable(self._file.name, line, error)


def unreadable(name: str, line: int, error: OSError | UnicodeError) -> InputError:
    """Return the error for a file that can't be read beyond `line`."""
    where = f" after line {line}" if line else ""
    if isinstance(error, UnicodeDecodeError):
        encoding = error.encoding.upper().removesuffix("-LE").removesuffix("-BE")
        return InputError(f"{name}: can't be read{where}: it is not {encoding} text to its end ({error.reason}).")
    return InputError(f"{name}: can't be read{where}: {words(error)}.")


class _Lines:
    """Lines of a text with their line ends; a line that is too long is replaced by an empty one, and sets `too_long`."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self.too_long = False
        self.ended = False
        self._text = text

    def __iter__(self) -> Iterator[str]:
        readline = self._text.readline
        while line := readline(LONGEST):
            if len(line) == LONGEST and line[-1] not in "\r\n":
                self.too_long = True
                while (rest := readline(LONGEST)) and rest[-1] not in "\r\n":
                    pass
                line = "\n"
            yield line
        self.ended = True


def _head(text: io.TextIOWrapper, required: Sequence[str], name: str) -> _Head:
    """Find the header after blank lines and a line ``sep=;``; choose the separator that gives most of the required columns."""
    lines, separators, separator_line, skipped = _first_lines(text), list(_SEPARATORS), "", 0
    for line in lines:
        match = None if separator_line else _SEPARATOR_LINE.match(line)
        if match:
            separator_line = line.strip("\r\n")
            separators = [_separator(match["rest"], separator_line, name)]
        elif line.strip(' \r\n\t,;|"\0'):
            break
        skipped += 1
    if skipped == len(lines):
        blank = " except for blank lines" * bool(lines)
        raise InputError(f"{name}: the file is empty{blank}; its first line must name the columns {', '.join(required)}.")
    heads = [head for separator in separators if (head := _headed(lines[skipped:], separator, skipped))]
    if not heads:
        raise InputError(f"{name}: line {skipped + 1} is not CSV; it must name the columns {', '.join(required)}.")
    best = min(heads, key=lambda head: len(_missing(head.names, required)))
    if missing := _missing(best.names, required):
        by = f" (read with {_SEPARATORS[best.separator]})" if len(best.names) > 1 and not separator_line else ""
        where = "its first line" if not skipped else f"line {skipped + 1}, below {separator_line or 'its blank first line'}"
        raise InputError(f"{name}: no column {', '.join(missing)} in {where}{by}; this format needs {', '.join(required)}.")
    return best


def _first_lines(text: io.TextIOWrapper) -> list[str]:
    lines: list[str] = []
    size = 0
    while len(lines) < _HEAD_LINES and size < LONGEST and (line := text.readline(LONGEST)):
        lines.append(line)
        size += len(line)
    return lines


def _separator(rest: str, line: str, name: str) -> str:
    """Return the separator that a line ``sep=;`` names; some programs put it in quotes or add separators after it."""
    separator, rest = ("\t", rest[2:]) if rest.startswith("\\t") else (rest[:1], rest[1:])
    if not separator or separator.isalnum() or separator in "\"' \r\n" or rest.strip('";,|\t\r\n '):
        raise InputError(
            f"{name}: its first line, {line[:40]}, must name one character that separates the columns, such as sep=;"
        )
    return separator


def _headed(lines: list[str], separator: str, skipped: int) -> _Head | None:
    reader = csv.reader(lines, delimiter=separator)
    try:
        names = next(reader)
    except (csv.Error, StopIteration):
        return None
    return _Head(skipped + reader.line_num, names, separator)


def _plain(column: str) -> str:
    """Return a column's name for comparison: without case, blanks, underscores and other punctuation."""
    return re.sub(r"[\W_]+", "", column).casefold()


def _missing(names: list[str], required: Sequence[str]) -> list[str]:
    known = {_plain(column) for column in names}
    return [column for column in required if _plain(column) not in known]


def _places(head: _Head, columns: Sequence[str], name: str) -> list[int]:
    """Return the index of each of `columns`; for one that the header does not have, that of an empty value after the row."""
    places: list[int] = []
    for column in columns:
        indices = [index for index, each in enumerate(head.names) if _plain(each) == _plain(column)]
        if len(indices) > 1:
            where = " and ".join(str(index + 1) for index in indices)
            raise InputError(f"{name}: the column {column} appears twice, as columns {where}; remove or rename one of them.")
        places.append(indices[0] if indices else len(head.names))
    return places
