"""One reading for a whole column: the content of a file decides how its times and numbers are read, and the deciding lines are kept.

A column is read by the best guess and examined in the same pass. If the end of the files leads to another reading, they are read again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

CACHED = 20_000
"""Number of different texts of a column that are cached with their values."""


Line = tuple[int, int]
"""First and last line of a row in its file, from 1."""


class Sight(NamedTuple):
    """The first place in a column that shows a certain reading, and its text."""

    file: str
    line: Line
    text: str

    def __str__(self) -> str:
        return f"line {self.line[0]} of {self.file} ({self.text[:40]})"


class Column(Protocol):
    """A column of one file, or several columns of one kind, with a common reading."""

    def settle(self, others: Sequence[Column], /) -> bool:
        """Decide on a reading by the content of this column and of `others`, the same columns of all files.

        Returns whether it differs from the one used so far; raises `InputError` if none fits.
        """
        ...

    def note(self) -> str:
        """Return how the column is read and why; empty if only one reading is possible."""
        ...
