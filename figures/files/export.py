"""Results as a file, read from their topic and without a dashboard: ``python -m figures.files.export --out FILE``."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

from tqdm import tqdm

from dataflows.contract.errors import AdtallyError, InputError
from dataflows.contract.schema import WindowResult
from dataflows.contract.settings import Settings
from dataflows.kafka.scan import scan
from dataflows.kafka.tombstones import Tombstones, read_settled
from dataflows.telemetry import log_lines
from dataflows.telemetry.terminal import typed
from figures.feed.decode import UnreadableError, cell_of, read_key, read_result
from figures.files.file_names import format_of
from figures.files.formats import FORMATS, Format, csv_format
from figures.store.deletion import Cell
from figures.store.store import Store
from figures.views.results import INTERVALS, Question, question, table

_FOREVER = 366 * 10_000
"""Days; longer than the range of all possible windows."""
_BATCH = 5_000


def parser() -> argparse.ArgumentParser:
    """The flags of the command."""
    made = argparse.ArgumentParser(
        prog="python -m figures.files.export",
        description="Write results to a file: the last value of each window, campaign and channel, as it stands on the topic.",
        epilog="Settings come from ADTALLY_… variables. Exit codes: 0 written, 1 it can't be done, 2 flags or settings that can't be used.",
    )
    made.add_argument(
        "--from", dest="start", metavar="TIME", help="first window start, RFC 3339 with a zone (default: the oldest)"
    )
    made.add_argument("--to", dest="end", metavar="TIME", help="windows that start before it (default: all)")
    for name in ("--campaign", "--channel"):
        made.add_argument(
            name, action="append", type=typed, default=[], metavar="NAME", help="only this one; may be given several times"
        )
    made.add_argument("--interval", default="minute", metavar="|".join(INTERVALS), help="time that a row covers (default minute)")
    made.add_argument(
        "--by", default="campaign,channel", metavar="LIST", help="what splits a row: campaign,channel, one of them, or none"
    )
    made.add_argument("--format", choices=list(FORMATS), help="default: by the ending of FILE; csv without an ending")
    made.add_argument("--out", required=True, metavar="FILE", help="the file; - writes to the terminal or a pipe")
    made.add_argument("--bom", action="store_true", help="begin CSV with a byte order mark, for spreadsheets")
    made.add_argument("--separator", metavar="CHAR", help="separator of CSV: , ; | or \\t (default ,)")
    made.add_argument("--decimal-comma", action="store_true", help="write CSV with decimal commas; needs another separator")
    made.add_argument("--force", action="store_true", help="replace FILE if it exists")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code."""
    given = parser().parse_args(arguments)
    if not given.out:
        return _say("--out '' names no file; - is for standard output.", 2)
    # A terminated export must not leave half a file behind.
    signal.signal(signal.SIGTERM, _end)
    try:
        settings = Settings.from_environment()
        log_lines.set_up(settings, "export")
        asked = question(
            {"from": _given(given.start), "to": _given(given.end), "campaign": given.campaign, "channel": given.channel}
            | {"interval": [given.interval], "by": [given.by]}
        )
        form = _format(given)
    except AdtallyError as error:
        return _say(str(error).replace("`", ""), 2)
    try:
        with target(given.out, force=given.force) as out:
            said = write(settings, asked, form, out)
    except AdtallyError as error:
        return _say(str(error), 1)
    except BrokenPipeError:
        return 1  # whoever read the pipe has enough
    except OSError as error:  # of what is written to as it comes: standard output, a pipe, a device
        return _say(str(log_lines.unwritten(error, "standard output" if given.out == "-" else given.out)), 1)
    except KeyboardInterrupt:
        return _say("stopped; nothing was written.", 130)
    return _say(said, 0)


def _end(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _given(text: str | None) -> list[str]:
    return [] if text is None else [text]


def _format(given: argparse.Namespace) -> Format:
    csv = None
    if given.bom or given.decimal_comma or given.separator is not None:
        csv = csv_format("," if given.separator is None else given.separator, bom=given.bom, decimal_comma=given.decimal_comma)
    return format_of(given.out, given.format, csv)


def held_for_export() -> Store:
    """Return an empty store for rows of any time that are read only once: kept by day, and not packed."""
    return Store(hours=0, days=_FOREVER, packed_from=sys.maxsize)


def write(settings: Settings, asked: Question, form: Format, out: BinaryIO) -> str:
    """Write the results that `asked` selects to `out` in `form`; return a summary line.

    Raises `BrokerError`.
    """
    store, unread, reason = read_settled(partial(_read, settings, asked))
    found = table(store.snapshot(), asked, window=settings.window_seconds, currency=settings.currency)
    span = dict(zip(("from", "to"), found.span, strict=True))
    about = {"currency": found.currency, "interval": found.interval, **span, "count": len(found.frame), "complete": True}
    for piece in form.write(found.frame, about):
        out.write(piece)
    out.flush()
    skipped = (
        f" {unread:,} records of {settings.results_topic} are not results in {settings.currency} and were left out (the last: {reason})."
        if unread
        else ""
    )
    return f"{len(found.frame):,} rows written.{skipped}"


def _read(settings: Settings, asked: Question, tombstones: Tombstones[Cell]) -> tuple[Store, int, str]:
    """Return the results that `asked` selects and no tombstone deletes, the number of unreadable records, and the last one's reason."""
    store = held_for_export()
    unread, reason = 0, ""
    batch: list[WindowResult] = []
    for one in _records(settings, tombstones):
        if isinstance(one, UnreadableError):
            unread, reason = unread + 1, str(one)
        elif asked.takes(*cell_of(one)):
            batch.append(one)
        if len(batch) >= _BATCH:
            store.apply(batch)
            batch = []
    store.apply(batch)
    return store, unread, reason


def _records(settings: Settings, tombstones: Tombstones[Cell]) -> Iterator[WindowResult | UnreadableError]:
    """Yield each record that `tombstones` do not delete, or why it can't be read; add tombstones as they come."""
    with tqdm(desc=f"reading {settings.results_topic}", unit=" records", disable=not sys.stderr.isatty(), leave=False) as seen:
        for message in scan(settings, settings.results_topic):
            seen.update()
            position, value = tombstones.position(message), message.value()
            try:
                if value is None:
                    tombstones.add(read_key(message.key()), position)
                    continue
                now = max(time.time(), message.timestamp()[1] / 1000)
                result = read_result(value, settings.currency, now, message.headers())
            except UnreadableError as error:
                yield error
                continue
            if not len(tombstones) or not tombstones.has_deleted(cell_of(result), position):
                yield result


@contextmanager
def target(path: str, *, force: bool) -> Generator[BinaryIO]:
    """A file that stands at `path` once the block has ended well, and not before; ``-`` is standard output.

    Raises `InputError` where it can't be written, or exists and is not to be replaced (`force`).
    """
    if path == "-":
        yield log_lines.binary()
        return
    wanted = Path(path)
    if wanted.is_dir():
        raise InputError(f"{path} is a folder; give the name of a file in it.")
    if wanted.exists() and not wanted.is_file():  # a pipe or a device: written to, and never replaced
        with wanted.open("wb") as out:
            yield out
        return
    if wanted.exists() and not force:
        raise InputError(f"{path} exists; give another --out, or --force to replace it.")
    try:
        handle, name = tempfile.mkstemp(prefix=f".{wanted.name}.", suffix=".part", dir=wanted.parent)
    except OSError as error:
        raise InputError(f"{path} can't be written: {error.strerror}.") from None
    made = Path(name)
    try:
        with os.fdopen(handle, "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        _put(made, wanted, force=force)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise InputError(f"{path} can't be written: {error.strerror}.") from None
    finally:
        with contextlib.suppress(OSError):
            made.unlink()


def _put(made: Path, wanted: Path, *, force: bool) -> None:
    umask = os.umask(0)
    os.umask(umask)
    made.chmod(0o666 & ~umask)
    if force:
        made.replace(wanted)
        return
    try:
        # Unlike a renaming it fails if somebody else has made the file meanwhile.
        os.link(made, wanted)
    except FileExistsError:
        raise InputError(f"{wanted} has appeared meanwhile; give another --out, or --force to replace it.") from None
    except OSError:
        made.replace(wanted)  # a file system without links


def _say(line: str, code: int) -> int:
    log_lines.say("adtally-export", line)
    return code


if __name__ == "__main__":
    sys.exit(main())
