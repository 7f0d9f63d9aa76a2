"""One reading for a whole column: what is seen in a file decides how its times and numbers are read, and the lines that decide are kept.

A column is read by the best guess and looked at in the same pass. Where the end of the files decides otherwise, they are read again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from generator.formats.base import Line

CACHED = 20_000
"""How many different texts of a column are cached with their values."""


class Sight(NamedTuple):
    """Where something was first seen in a column, and the text."""

    file: str
    line: Line
    text: str

    def __str__(self) -> str:
        return f"line {self.line[0]} of {self.file} ({self.text[:40]})"


class Column(Protocol):
    """A column of one file, or several of a kind, that have one reading."""

    def settle(self, others: Sequence[Column], /) -> bool:
        """Decide on a reading by what was seen here and in `others`, the same columns of all files.

        Returns whether it is another one than was used; raises `InputError` where none fits.
        """
        ...

    def note(self) -> str:
        """How the column is read and why, in words; empty where it needs no word."""
        ...
