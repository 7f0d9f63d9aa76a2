"""Columns of numbers: decimal points or decimal commas, with or without thousands. One reading for a file, or a refusal with the lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Literal

from dataflows.errors import InputError
from generator.formats.base import Line, RowError
from generator.formats.columns import CACHED, Column, Sight

Mark = Literal["point", "comma"]
MARKS: tuple[Mark, ...] = ("point", "comma")

_SIGN = r"(?P<sign>[+-]?)"
_GROUPED = re.compile(
    _SIGN + r"(?P<whole>[1-9]\d{0,2}(?P<group>[.,'’ \u00a0\u202f])\d{3}(?:(?P=group)\d{3})*)(?:(?P<mark>[.,])(?P<rest>\d+))?",
    re.ASCII,
)
_COMMA = re.compile(_SIGN + r"(?P<whole>\d*),(?P<rest>\d+)", re.ASCII)
_DIGITS = 30
"""A number has no more digits before or after its point: one of another size would only exhaust memory."""


class NumberColumns:
    """The columns of numbers of one file, which share a reading: a program that writes 2,55 writes 1.000 for a thousand."""

    def __init__(self, file: str, choice: Mark | None) -> None:
        self.file = file
        self.sure: dict[Mark, Sight] = {}
        """Numbers that have one reading alone, and a mark that shows which."""
        self.either: dict[str, Sight] = {}
        """Numbers that are thousands by one reading and thousandths by the other, by the mark in them."""
        self._choice = choice
        self._mark: Mark | None = choice or "point"
        self._known: dict[str, Decimal] = {}

    def number(self, name: str, text: str, line: Line) -> Decimal:
        """The number in `text`, of the column `name`; raises `RowError` where it is not a number."""
        known = self._known.get(text)
        if known is None:
            known = self._read(name, text, line)
            if len(self._known) >= CACHED:
                self._known.clear()
            self._known[text] = known
        return known

    def _read(self, name: str, text: str, line: Line) -> Decimal:
        readings = _readings(text)
        if not readings:
            raise RowError(f"{name} is not a number", text)
        if len(readings) == 1:
            if None not in readings:
                self.sure.setdefault(next(iter(readings)) or "point", Sight(self.file, line, text))
            number = next(iter(readings.values()))
            if self._choice is not None and None not in readings and self._choice not in readings:
                raise RowError(f"{name} is not a number with a decimal {self._choice}", text)
            return number
        self.either.setdefault("," if "," in text else ".", Sight(self.file, line, text))
        # Where nothing is decided yet, any will do: the file is read again, or refused.
        return readings[self._mark or "point"]

    def settle(self, _others: Sequence[Column], /) -> bool:
        """Decide on the decimal mark by the numbers that have one reading alone; without any, 1.234 has a decimal point.

        Returns whether it is another one than was used; raises `InputError` for numbers that may be thousands or thousandths.
        """
        if self._choice is not None:
            return False
        mark = next(iter(self.sure)) if len(self.sure) == 1 else "point"
        doubtful = self.either if len(self.sure) > 1 else self.either.keys() & {","} if not self.sure else ()
        if doubtful:
            raise self._undecided()
        changed = mark != self._mark
        if changed:
            self._known.clear()
        self._mark = mark
        return changed

    def _undecided(self) -> InputError:
        sight = self.either.get(",") or self.either["."]
        both = "".join(
            f", {'commas' if mark == 'comma' else 'points'} in line {other.line[0]} ({other.text[:40]})"
            for mark, other in self.sure.items()
        )
        why = f"has decimal {both.removeprefix(', ')}" if both else "has no other number that decides"
        return InputError(
            f"{self.file}: {sight.text[:40]} in line {sight.line[0]} may be a thousand times as much, and the file {why}; "
            "say which it is with --decimal comma or --decimal point."
        )

    def note(self) -> str:
        """How numbers are read, where that is not with a decimal point alone."""
        if self._choice == "comma":
            return "numbers are read with decimal commas, as --decimal says"
        if self._choice is None and "comma" in self.sure:
            points = f", and with decimal points in {self.sure['point']}" if "point" in self.sure else ""
            return f"numbers are read with decimal commas, as in {self.sure['comma']}{points}"
        return ""


def _readings(text: str) -> dict[Mark | None, Decimal]:
    """What `text` is with a decimal point, and with a decimal comma; under None where it has no mark that tells them apart."""
    if "," not in text:
        try:
            number = Decimal(text)
        except InvalidOperation:
            number = None
        # Decimal also takes 1_000, infinity and numbers of a size that would only exhaust memory.
        if number is not None and ("_" in text or not number.is_finite() or abs(number.adjusted()) > _DIGITS):
            return {}
        if number is not None and not _GROUPED.fullmatch(text):
            return {"point" if "." in text else None: number}
    match = _GROUPED.fullmatch(text)
    if match:
        return _grouped(match)
    match = _COMMA.fullmatch(text)
    return {"comma": _made(match["sign"], match["whole"], match["rest"])} if match and len(text) <= _DIGITS else {}


def _grouped(match: re.Match[str]) -> dict[Mark | None, Decimal]:
    sign, whole, group, mark, rest = (match[part] for part in ("sign", "whole", "group", "mark", "rest"))
    if len(match[0]) > _DIGITS or mark == group:
        return {}
    thousands = _made(sign, whole.replace(group, ""), rest or "")
    if mark:
        return {"comma" if mark == "," else "point": thousands}
    if group not in ",.":
        return {None: thousands}
    ours, theirs = ("point", "comma") if group == "," else ("comma", "point")
    if whole.count(group) > 1:
        return {ours: thousands}
    return {ours: thousands, theirs: _made(sign, *whole.split(group))}


def _made(sign: str, whole: str, rest: str) -> Decimal:
    return Decimal(f"{sign}{whole or '0'}.{rest or '0'}")
