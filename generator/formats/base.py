"""What every format shares: opening files, complaining about rows, identities."""

from __future__ import annotations

import gzip
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol, cast
from zoneinfo import ZoneInfo

import msgspec

from dataflows.errors import InputError
from generator.ordering import Row

SHOWN = 10
"""So many bad rows are shown one by one; all are counted."""

Line = tuple[int, int]
"""First and last line of a row in its file, from 1."""


class RowError(Exception):
    """A row that is no event: `reason`, the same words for all of its kind, and the `value` that shows it."""

    def __init__(self, reason: str, value: object = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.value = value


class Context(msgspec.Struct, frozen=True):
    """What a format has to know. `zone` is for times without one; `retime` says that times will be moved, and ids with them."""

    zone: ZoneInfo | None = None
    currency: str = "USD"
    keep_bad: bool = False
    retime: str = ""


class Format(Protocol):
    """A file format: its `suffixes` (for folders), a check of a file's head, and its rows."""

    @property
    def suffixes(self) -> tuple[str, ...]:
        """How names of such files end."""
        ...

    def check(self, path: Path) -> None:
        """Raise `InputError` where the file can't be one of this format."""
        ...

    def rows(self, path: Path, context: Context, complaints: Complaints) -> Iterator[Row]:
        """The events of a file; what is none goes to `complaints`."""
        ...


class Complaints:
    """Counts bad rows by reason and shows the first few."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self.reasons: Counter[str] = Counter()

    @property
    def count(self) -> int:
        """Bad rows so far."""
        return self.reasons.total()

    def add(self, path: Path, lines: Line, error: RowError) -> None:
        """Count one bad row of `path`, and show it if it is among the first."""
        self.reasons[error.reason] += 1
        if self.count <= SHOWN:
            where = f"{lines[0]}" if lines[0] == lines[1] else f"{lines[0]}-{lines[1]}"
            value = "" if error.value is None else f": {_short(error.value)}"
            self._say(f"bad row, {path}:{where}: {error.reason}{value}")

    def close(self) -> None:
        """Say how many there were in all, if not all were shown."""
        if self.count > SHOWN:
            kinds = "; ".join(f"{number:,} × {reason}" for reason, number in self.reasons.most_common(8))
            self._say(f"{self.count:,} bad rows in all: {kinds}")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def opened(path: Path) -> BinaryIO:
    """The bytes of a file, unpacked if its name ends in ``.gz``; raises `InputError` naming the file."""
    try:
        if path.suffix == ".gz":
            return cast(BinaryIO, gzip.open(path, "rb"))
        return path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}.") from None


def files(names: Iterable[str], suffixes: Sequence[str]) -> list[Path]:
    """The files that `names` stand for, a folder for those in it that have one of `suffixes` (by name).

    Raises `InputError` for what does not exist, an empty folder, or a file that is named twice: its rows would count twice.
    """
    found: list[Path] = []
    for name in names:
        path = Path(name)
        if path.is_dir():
            inside = sorted(entry for entry in path.iterdir() if entry.name.endswith(tuple(suffixes)) and entry.is_file())
            if not inside:
                raise InputError(f"{path}: no file in this folder ends in {' or '.join(suffixes)}.")
            found += inside
        elif not path.exists():
            raise InputError(f"{path}: there is no such file.")
        else:
            found.append(path)
    seen: set[Path] = set()
    for path in found:
        if path.resolve() in seen:
            raise InputError(f"{path}: named twice; each file is replayed once.")
        seen.add(path.resolve())
    return found


def identity(prefix: str, *parts: str) -> str:
    """A short text that stands for `parts`: the same ones give the same, whatever the file, its folder and its other columns."""
    content = "\x1f".join(parts).encode("utf-8", "surrogateescape")
    return f"{prefix}-{hashlib.blake2b(content, digest_size=10).hexdigest()}"


def name(text: str, what: str) -> str:
    """`text` as a JSON string; raises `RowError` where it is no name (1 to 256 characters, UTF-8)."""
    if not text or len(text) > 256:
        raise RowError(f"{what} must have 1 to 256 characters", text)
    try:
        return msgspec.json.encode(text).decode()
    except UnicodeEncodeError:
        raise RowError(f"{what} is not UTF-8", text) from None
