"""What all formats share: their interface, the report of bad rows, and event ids."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, Protocol
from zoneinfo import ZoneInfo

import msgspec

from generator.formats.columns import Column, Line
from generator.ordering import SortedRow

if TYPE_CHECKING:
    from generator.formats.inputs import Input

SHOWN = 10
"""Number of bad rows that are shown one by one; all are counted."""

_REASONS = 1_000
"""Number of different reasons that are counted separately."""

CSV_SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
"""File name suffixes of CSV files in a folder."""


class RowError(Exception):
    """A row that is not an event: the `reason`, with the same text for all such rows, and the offending `value`."""

    def __init__(self, reason: str, value: object = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.value = value


class Context(msgspec.Struct, frozen=True):
    """Options of a format.

    `zone` is for times without one; `retime` says that times will be moved, and ids with them; `dates`, `decimal` and `encoding` are
    the user's options for the files, None if the files themselves decide. `currency` is the one that they give for files that name none.
    `fields` are further fields of an event, each with the column that it is read from. `types` are the event types that the deployment
    declares, `columns` the fields that its breakdowns name.
    """

    zone: ZoneInfo | None = None
    currency: str | None = None
    fields: tuple[tuple[str, str], ...] = ()
    types: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    keep_bad: bool = False
    retime: str = ""
    dates: Literal["day-first", "month-first", "iso"] | None = None
    decimal: Literal["point", "comma"] | None = None
    encoding: str | None = None


class Reading(Protocol):
    """One file, as read by a format."""

    @property
    def columns(self) -> Sequence[Column]:
        """Columns whose reading is decided only at the end of all files; the same columns for each file of a format."""
        ...

    def rows(self, complaints: BadRows) -> Iterator[SortedRow]:
        """Yield the events of the file; add all other rows to `complaints`. May be called again after the columns have settled."""
        ...


class EventFormat(Protocol):
    """A file format: its `suffixes` (for folders), and how a file is read."""

    @property
    def suffixes(self) -> tuple[str, ...]:
        """File name suffixes, in lower case."""
        ...

    def read(self, file: Input, context: Context) -> Reading:
        """Read the head of `file`; raises `InputError` if it is not a file of this format."""
        ...


class BadRows:
    """Counts bad rows by reason, and keeps the first few for the report."""

    def __init__(self) -> None:
        self.reasons: Counter[str] = Counter()
        self._shown: list[str] = []

    @property
    def count(self) -> int:
        """Bad rows so far."""
        return self.reasons.total()

    def add(self, file: str, lines: Line, error: RowError) -> None:
        """Count a bad row of `file`, and keep it if it is one of the first."""
        known = error.reason in self.reasons or len(self.reasons) < _REASONS
        self.reasons[error.reason if known else "other reasons"] += 1
        if len(self._shown) < SHOWN:
            where = f"{lines[0]}" if lines[0] == lines[1] else f"{lines[0]}-{lines[1]}"
            value = "" if error.value is None else f": {_short(error.value)}"
            self._shown.append(f"bad row, {file}:{where}: {error.reason}{value}")

    def lines(self) -> list[str]:
        """Return the first bad rows, and the total by reason if there are more."""
        if self.count <= SHOWN:
            return self._shown
        kinds = "; ".join(f"{number:,} × {reason}" for reason, number in self.reasons.most_common(8))
        return [*self._shown, f"{self.count:,} bad rows in all: {kinds}"]


def _short(value: object) -> str:
    text = repr(value[:80] if isinstance(value, str | bytes) else value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def identity(prefix: str, *parts: str) -> str:
    """Return a short id of `parts`: equal parts give equal ids, independent of the file, its folder and its other columns."""
    joined = "\x1f".join(parts)
    try:
        content = joined.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # one half of a surrogate pair in UTF-16
        content = joined.encode("utf-8", "surrogatepass")
    return f"{prefix}-{hashlib.blake2b(content, digest_size=10).hexdigest()}"


def members(fields: dict[str, str]) -> str:
    """Return the end of an event after its time: the closing quote, and `fields` as JSON by name."""
    return f'"{"".join([f",{_quoted(field)}:{value}" for field, value in fields.items()])}}}'


@lru_cache(1_000)
def _quoted(field: str) -> str:
    return msgspec.json.encode(field).decode()


@lru_cache(20_000)
def name(text: str, what: str) -> str:
    """Return `text` as a JSON string; raises `RowError` if it is not a name (1 to 256 characters, UTF-8)."""
    if not text or len(text) > 256:
        raise RowError(f"{what} must have 1 to 256 characters", text)
    try:
        return msgspec.json.encode(text).decode()
    except UnicodeEncodeError:
        raise RowError(f"{what} is not UTF-8", text) from None
