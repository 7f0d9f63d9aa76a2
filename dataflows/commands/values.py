"""Readers of the values of flags. Each reader returns the value of a text, or raises `typer.BadParameter`, which names the text.

Typer gives the default of a flag to its reader too, so a reader also takes a value that has been read.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable

import typer

from dataflows.contract.schema import to_micros

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def checked(what: str, parse: Callable[[str], float], low: float, high: float = math.inf) -> Callable[[object], float]:
    """Return a reader of numbers from `low` to `high`; `what` describes them: ``a rate from 1 to 10``."""

    def read(argument: object) -> float:
        text = str(argument)
        try:
            value = parse(text.strip())
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise typer.BadParameter(f"{text!r} is not {what}")
        return value

    return read


def whole(what: str, low: int, high: int | None = None) -> Callable[[object], int]:
    """Return a reader of whole numbers from `low` to `high`: ``1000``, ``1,000`` or ``1_000``; `what` as in `checked`."""

    def read(argument: object) -> int:
        text = str(argument)
        digits = text.strip().replace(",", "").replace("_", "")
        if not (digits.isascii() and digits.isdecimal()) or int(digits) < low or (high is not None and int(digits) > high):
            raise typer.BadParameter(f"{text!r} is not {what}")
        return int(digits)

    return read


def one_of(*names: str) -> Callable[[str], str]:
    """Return a reader of one of `names`."""

    def read(text: str) -> str:
        if text not in names:
            raise typer.BadParameter(f"{text!r} is not one of {', '.join(names)}")
        return text

    return read


def port(argument: object) -> int:
    """Return a TCP port, 1 to 65535."""
    text = str(argument)
    if text.isascii() and text.isdecimal() and 0 < int(text) < 65536:
        return int(text)
    raise typer.BadParameter(f"{text!r} is not a port; give a number from 1 to 65535")


def partition(text: str) -> int:
    """Return the number of a partition."""
    if text.isascii() and text.isdecimal():
        return int(text)
    raise typer.BadParameter(f"{text!r} is not a partition; use 0 or a higher number")


def seconds(text: str) -> float:
    """Return the seconds of ``30m``, ``90s``, ``1.5h``, ``500ms``, ``2d`` or ``45``; raises `ValueError`."""
    match = re.fullmatch(r"([0-9]*\.?[0-9]+)(ms|s|m|h|d)?", text)
    if match is None:
        raise ValueError(text)
    return float(match[1]) * _UNITS[match[2] or "s"]


def fraction(text: str) -> float:
    """Return 0.05 of ``5%`` or ``0.05``; raises `ValueError`."""
    return float(text[:-1]) / 100 if text.endswith("%") else float(text)


def moment(text: str) -> int:
    """Return a time with a zone (RFC 3339) as microseconds since 1970."""
    try:
        parsed = dt.datetime.fromisoformat(text)
    except ValueError:
        parsed = None
    if parsed is None or parsed.tzinfo is None or not 1970 <= parsed.year <= 2999:
        raise typer.BadParameter(f"{text!r} is not a time with a zone in the years 1970 to 2999, such as 2026-01-01T12:00:00Z")
    return to_micros(parsed)
