"""Result of one check: a line of ``adtally doctor``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

Level = Literal["ok", "warn", "fail"]

LEVELS: tuple[Level, ...] = ("ok", "warn", "fail")
"""From good to bad; the index of a level is its exit code: 0 no problem, 1 something should be fixed, 2 adtally does not work."""

_GREEN, _YELLOW, _RED, _PLAIN = "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[0m"
_COLOURS: dict[Level, str] = {"ok": _GREEN, "warn": _YELLOW, "fail": _RED}


class CheckResult(msgspec.Struct, frozen=True):
    """Result of a check: the subject `what`, its level, and in `words` its state, or the problem and the cure."""

    level: Level
    what: str
    words: str

    def line(self, *, coloured: bool) -> str:
        """Return the result as one line."""
        mark = f"{self.level:4}"
        return f"{_COLOURS[self.level] + mark + _PLAIN if coloured else mark}  {self.what:10}  {self.words}"


def ok(what: str, words: str) -> CheckResult:
    """Return the result of a check that found no problem with `what`."""
    return CheckResult("ok", what, words)


def warn(what: str, words: str) -> CheckResult:
    """Return the result of a check for a problem with `what` that does not keep adtally from working."""
    return CheckResult("warn", what, words)


def fail(what: str, words: str) -> CheckResult:
    """Return the result of a check for a problem with `what` that keeps adtally from working."""
    return CheckResult("fail", what, words)


def worst(levels: Iterable[Level]) -> int:
    """Return the exit code of the worst of `levels`."""
    return max(map(LEVELS.index, levels), default=0)
