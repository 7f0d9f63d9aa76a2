"""What every format shares: the parts of a format, complaining about rows, identities."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, Protocol
from zoneinfo import ZoneInfo

import msgspec

from generator.ordering import Row

if TYPE_CHECKING:
    from generator.formats.columns import Column
    from generator.formats.inputs import Input

SHOWN = 10
"""How many bad rows are shown one by one; all are counted."""

_REASONS = 1_000
"""How many different reasons are counted each on its own."""

CSV_SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
"""How names of CSV files end, for folders."""

Line = tuple[int, int]
"""First and last line of a row in its file, from 1."""


class RowError(Exception):
    """A row that is not an event: `reason`, the same words for all of its kind, and the `value` that shows it."""

    def __init__(self, reason: str, value: object = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.value = value


class Context(msgspec.Struct, frozen=True):
    """What a format has to know.

    `zone` is for times without one; `retime` says that times will be moved, and ids with them; `dates`, `decimal` and `encoding` are
    what the user says about the files, None where the files themselves decide.
    """

    zone: ZoneInfo | None = None
    currency: str = "USD"
    keep_bad: bool = False
    retime: str = ""
    dates: Literal["day-first", "month-first", "iso"] | None = None
    decimal: Literal["point", "comma"] | None = None
    encoding: str | None = None


class Reading(Protocol):
    """One file as a format reads it."""

    @property
    def columns(self) -> Sequence[Column]:
        """Columns that are read in one way, which is sure only at the end of all files; the same ones for each file of a format."""
        ...

    def rows(self, complaints: Complaints) -> Iterator[Row]:
        """The events of the file; every other row goes to `complaints`. May be called again, after the columns have settled."""
        ...


class Format(Protocol):
    """A file format: its `suffixes` (for folders), and how a file is read."""

    @property
    def suffixes(self) -> tuple[str, ...]:
        """How names of such files end, in small letters."""
        ...

    def read(self, file: Input, context: Context) -> Reading:
        """Look at the head of `file`; raises `InputError` where it can't be one of this format."""
        ...


class Complaints:
    """Counts bad rows by reason and keeps the first few, to be shown."""

    def __init__(self) -> None:
        self.reasons: Counter[str] = Counter()
        self._shown: list[str] = []

    @property
    def count(self) -> int:
        """Bad rows so far."""
        return self.reasons.total()

    def add(self, file: str, lines: Line, error: RowError) -> None:
        """Count one bad row of `file`, and keep it if it is among the first."""
        known = error.reason in self.reasons or len(self.reasons) < _REASONS
        self.reasons[error.reason if known else "other reasons"] += 1
        if len(self._shown) < SHOWN:
            where = f"{lines[0]}" if lines[0] == lines[1] else f"{lines[0]}-{lines[1]}"
            value = "" if error.value is None else f": {_short(error.value)}"
            self._shown.append(f"bad row, {file}:{where}: {error.reason}{value}")

    def lines(self) -> list[str]:
        """The first bad rows, and how many there were in all, if not all are shown."""
        if self.count <= SHOWN:
            return self._shown
        kinds = "; ".join(f"{number:,} × {reason}" for reason, number in self.reasons.most_common(8))
        return [*self._shown, f"{self.count:,} bad rows in all: {kinds}"]


def _short(value: object) -> str:
    text = repr(value[:80] if isinstance(value, str | bytes) else value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def identity(prefix: str, *parts: str) -> str:
    """A short text that identifies `parts`: the same ones give the same, whatever the file, its folder and its other columns."""
    joined = "\x1f".join(parts)
    try:
        content = joined.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # one half of a surrogate pair in UTF-16
        content = joined.encode("utf-8", "surrogatepass")
    return f"{prefix}-{hashlib.blake2b(content, digest_size=10).hexdigest()}"


@lru_cache(20_000)
def name(text: str, what: str) -> str:
    """`text` as a JSON string; raises `RowError` where it is not a name (1 to 256 characters, UTF-8)."""
    if not text or len(text) > 256:
        raise RowError(f"{what} must have 1 to 256 characters", text)
    try:
        return msgspec.json.encode(text).decode()
    except UnicodeEncodeError:
        raise RowError(f"{what} is not UTF-8", text) from None
