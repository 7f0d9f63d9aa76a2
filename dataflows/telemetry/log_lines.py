"""The log lines of every process, set up in one place: human or JSON, one line an event, rate-limited, without secrets.

Any message stays one line: every unprintable character - line ends, the control characters that steer a terminal, those that
turn the direction of writing - is written as an escape. So a hostile name can't forge a line.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO, Literal, TextIO

import msgspec
from typing_extensions import override

from dataflows.contract.client_properties import redact
from dataflows.contract.errors import OutputError
from dataflows.contract.settings import Settings, unknown

log = logging.getLogger("adtally")

REPEAT_SECONDS = 10.0
"""Interval in which a message is logged once."""

BURST = 200
"""Number of different messages of one place in the code that are logged in `REPEAT_SECONDS`; further ones are counted."""

_KEPT = 1000
Level = Literal["debug", "info", "warning", "error", "critical"]


def set_up(settings: Settings, part: str, *, secrets: Mapping[str, str] | None = None, stream: TextIO | None = None) -> None:
    """Let every logger of this process write to `stream` (standard error) as `settings` say.

    `part` names the process in JSON lines; `secrets`: more values, by a name such as ``password``, that no line may show.
    Third-party packages log warnings and errors only. Variables of ours that set nothing are logged at once.
    """
    hidden = {**settings.client, **(secrets or {})}
    form = JsonLines(part, hidden) if settings.log_format == "json" else HumanLines(hidden)
    handler = Lines(sys.stderr if stream is None else stream, form)
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("adtally").setLevel(settings.log_level.upper())
    if strangers := unknown(os.environ):
        log.warning("ignoring unknown settings: %s; adtally settings lists the known ones", ", ".join(strangers))


def say(program: str, text: str, *, level: Level = "error", stream: TextIO | None = None) -> None:
    """Write one line of a command itself, not of a logger: ``program: text``, or JSON if log lines are JSON.

    It can be used before `set_up`, for errors that keep a process from starting.
    """
    record = logging.makeLogRecord({"name": "adtally", "levelname": level.upper(), "msg": text})
    line = JsonLines(program, {}).format(record) if _is_json() else f"{program}: {one_line(text)}"
    print(line, file=sys.stderr if stream is None else stream, flush=True)


def _is_json() -> bool:
    """Whether lines of this process are JSON: as `set_up` said, or before it as the environment says."""
    forms = [handler.formatter for handler in logging.getLogger().handlers if isinstance(handler, Lines)]
    return isinstance(forms[0], JsonLines) if forms else os.environ.get("ADTALLY_LOG_FORMAT", "").strip() == "json"


def tell(text: str) -> None:
    """Write the output of a command to standard output; it is flushed before this returns.

    Raises `OutputError` where it can't be written; ends the process with 1 and without a message if the reader (`head`) has closed the
    pipe.
    """
    try:
        print(text, flush=True)  # noqa: T201 - the one place
    except OSError as error:
        raise unwritten(error) from None


def binary() -> BinaryIO:
    """Return standard output for bytes; raises `OutputError` if the process was started without one (``>&-``)."""
    if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison]  # as Python documents it
        raise OutputError("standard output can't be written: it is closed.")
    return sys.stdout.buffer


def unwritten(error: OSError, what: str = "standard output") -> OutputError:
    """Return the error to raise for a failed write to `what`; ends the process instead if the reader has closed the pipe."""
    with contextlib.suppress(OSError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or the interpreter fails again, on its last flush
    if isinstance(error, BrokenPipeError):
        sys.exit(1)
    return OutputError(f"{what} can't be written: {error.strerror}.")


def one_line(text: str) -> str:
    """Return `text` with escapes in place of unprintable characters."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else character.encode("unicode_escape").decode() for character in text)


class Lines(logging.StreamHandler[TextIO]):
    """Handler that writes the records that its limiter lets pass."""

    def __init__(self, stream: TextIO, form: logging.Formatter, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__(stream)
        self.setFormatter(form)
        self.limiter = Limiter(monotonic)

    @override
    def emit(self, record: logging.LogRecord) -> None:
        for passed in self.limiter.passed(record):
            super().emit(passed)

    @override
    def close(self) -> None:
        """Log the counts of suppressed messages that were not logged yet."""
        for left in self.limiter.rest():
            super().emit(left)
        super().close()


class _Interval(msgspec.Struct):
    """A message within its interval: the last record of it, when that ends, how many were written and how many not."""

    record: logging.LogRecord
    until: float
    said: int = 0
    left_out: int = 0


class Limiter:
    """Limiter that lets a message pass once in `REPEAT_SECONDS`, and at most `BURST` different messages of one place in the code.

    The number of suppressed messages is logged in a record of its own, at the latest with the first record after the interval.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._texts: dict[tuple[str, int, str], _Interval] = {}
        self._places: dict[tuple[str, int, str], _Interval] = {}

    def passed(self, record: logging.LogRecord) -> Iterator[logging.LogRecord]:
        """Yield the records to write after `record` came: a summary of suppressed ones, and `record` itself unless it exceeds the limit."""
        now = self._monotonic()
        if len(self._texts) > _KEPT or any(interval.until <= now for interval in self._texts.values()):
            yield from self._forget(now)
        place_interval = self._places.setdefault(
            (record.pathname, record.lineno, record.levelname), _Interval(record, now + REPEAT_SECONDS)
        )
        key = (record.name, record.levelno, record.getMessage())
        interval = self._texts.get(key)
        if interval is not None:
            interval.left_out += 1
        elif place_interval.said >= BURST:
            place_interval.left_out += 1
        else:
            place_interval.said += 1
            self._texts[key] = _Interval(record, now + REPEAT_SECONDS, 1)
            yield record

    def held(self) -> int:
        """Return the number of messages and places in memory."""
        return len(self._texts) + len(self._places)

    def rest(self) -> Iterator[logging.LogRecord]:
        """Yield a record for each count of suppressed messages."""
        yield from self._forget(float("inf"))

    def _forget(self, now: float) -> Iterator[logging.LogRecord]:
        full = len(self._texts) > _KEPT
        for known, what in ((self._texts, "the same"), (self._places, "like it")):
            for key in [key for key, interval in known.items() if full or interval.until <= now]:
                interval = known.pop(key)
                if interval.left_out:
                    yield _more(interval, what)


def _more(interval: _Interval, what: str) -> logging.LogRecord:
    old = interval.record
    words = f"{old.getMessage()} ({interval.left_out:,} more {what} within {REPEAT_SECONDS:g} s)"
    return logging.LogRecord(old.name, old.levelno, old.pathname, old.lineno, words, None, None)


class HumanLines(logging.Formatter):
    """``12:34:56 WARNING what happened``."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S")
        self._secrets = secrets

    @override
    def format(self, record: logging.LogRecord) -> str:
        return one_line(redact(super().format(record), self._secrets))


class JsonLines(logging.Formatter):
    """An object: `time` (RFC 3339, UTC), `level`, `part`, `logger`, `message`, and `trace` where there is a traceback."""

    def __init__(self, part: str, secrets: Mapping[str, str]) -> None:
        super().__init__()
        self._part = part
        self._secrets = secrets

    @override
    def format(self, record: logging.LogRecord) -> str:
        moment = dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds")
        fields = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "part": self._part,
            "logger": record.name,
            "message": redact(record.getMessage(), self._secrets),
        }
        if record.exc_info:
            fields["trace"] = redact(self.formatException(record.exc_info), self._secrets)
        # ASCII: unprintable characters could control a terminal, and lone surrogates are not UTF-8.
        return json.dumps(fields)
