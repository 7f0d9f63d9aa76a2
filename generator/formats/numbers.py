"""Columns of numbers: decimal points or commas, with or without thousands separators.

A file has one reading; if its lines contradict each other, it is refused and they are named.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import Literal

from dataflows.contract.errors import InputError
from generator.formats.base import RowError
from generator.formats.columns import CACHED, Column, Line, Sight

Mark = Literal["point", "comma"]
MARKS: tuple[Mark, ...] = ("point", "comma")

_SIGN = r"(?P<sign>[+-]?)"
_GROUPED = re.compile(
    _SIGN + r"(?P<whole>[1-9]\d{0,2}(?P<group>[.,'’ \u00a0\u202f])\d{3}(?:(?P=group)\d{3})*)(?:(?P<mark>[.,])(?P<rest>\d+))?",
    re.ASCII,
)
_COMMA = re.compile(_SIGN + r"(?P<whole>\d*),(?P<rest>\d+)", re.ASCII)
_DIGITS = 30
"""Largest number of digits before or after the decimal mark; larger numbers would only exhaust memory."""


# Wide enough that no product of numbers in a file is rounded before it is a whole number of micros.
_EXACT = Context(prec=150, rounding=ROUND_HALF_EVEN)


def micros(what: str, *factors: Decimal) -> int:
    """Return the product of `factors`, an amount in units of a currency, in micros: exact, or rounded half to even.

    Raises `RowError`, which says `what` is too large, beyond 64 bits.
    """
    product = Decimal(1_000_000)
    for factor in factors:
        product = _EXACT.multiply(product, factor)
    amount = int(product.to_integral_value(ROUND_HALF_EVEN, _EXACT))
    if abs(amount) > 2**63 - 1:
        raise RowError(f"{what} is beyond 64 bits of micros", " × ".join(map(str, factors)))
    return amount


class NumberColumns:
    """The number columns of one file, which share a reading: a program that writes 2,55 also writes 1.000 for a thousand."""

    def __init__(self, file: str, choice: Mark | None) -> None:
        self.file = file
        self.sure: dict[Mark, Sight] = {}
        """First number with only one reading, by its decimal mark."""
        self.either: dict[str, Sight] = {}
        """First number that is ambiguous (1,234 or 1.234), by the mark in it."""
        self._choice = choice
        self._mark: Mark | None = choice or "point"
        self._known: dict[str, Decimal] = {}

    def number(self, name: str, text: str, line: Line) -> Decimal:
        """Return the number in `text`, of the column `name`; raises `RowError` if it is not a number."""
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
        # Before the mark is decided any reading will do: the file is read again, or refused.
        return readings[self._mark or "point"]

    def settle(self, _others: Sequence[Column], /) -> bool:
        """Decide on the decimal mark by the numbers with only one reading; without any, 1.234 has a decimal point.

        Returns whether it differs from the one used so far; raises `InputError` if ambiguous numbers such as 1,234 remain.
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
            f"{self.file}: {sight.text[:40]} in line {sight.line[0]} may be a thousand times as much, and the file {why}; choose "
            "one with --decimal comma or --decimal point."
        )

    def note(self) -> str:
        """Return how numbers are read; empty if all have a decimal point."""
        if self._choice == "comma":
            return "numbers are read with decimal commas, as --decimal says"
        if self._choice is None and "comma" in self.sure:
            points = f", and with decimal points in {self.sure['point']}" if "point" in self.sure else ""
            return f"numbers are read with decimal commas, as in {self.sure['comma']}{points}"
        return ""


def _readings(text: str) -> dict[Mark | None, Decimal]:
    """Return the number in `text` by decimal mark; under None if it is the same with a point and with a comma."""
    if "," not in text:
        try:
            number = Decimal(text)
        except InvalidOperation:
            number = None
        # Decimal also accepts 1_000, infinity, and numbers so large that they would exhaust memory.
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
