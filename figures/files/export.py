"""Results as a file, read from their topic and without a dashboard: ``adtally export --out FILE``."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import BinaryIO

import msgspec
from tqdm import tqdm

from dataflows.contract.breakdowns import Breakdown, columns, topic_of
from dataflows.contract.errors import InputError
from dataflows.contract.schema import WindowResult
from dataflows.contract.settings import Settings
from dataflows.kafka.scan import scan
from dataflows.kafka.tombstones import Tombstones, read_settled
from dataflows.telemetry import log_lines
from dataflows.telemetry.terminal import typed
from figures.catalogue import Catalogue
from figures.feed.decode import Codec, UnreadableError, cell_of
from figures.files.file_names import format_of
from figures.files.formats import FileFormat, csv_format
from figures.rates.conversion import Notes
from figures.rates.source import table_now
from figures.store.content import Cell
from figures.store.rows import Values, parse_start
from figures.store.shape import MAIN, Shape, shape_of
from figures.store.store import Store
from figures.views import breakdown_filter, parameters
from figures.views.result_table import check_currency, table
from figures.views.selection import PARAMETERS, Selection, selection

_FOREVER = 366 * 10_000
"""Days; longer than the range of all possible windows."""
_BATCH = 5_000


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What to export, as the flags of ``adtally export`` have it: which results, in which form, to which file (``-``: standard output)."""

    out: str
    start: str | None = None
    end: str | None = None
    campaigns: Sequence[str] = ()
    channels: Sequence[str] = ()
    range: str | None = None
    interval: str = "minute"
    tz: str = "UTC"
    week: str = "monday"
    currency: str | None = None
    breakdown: str | None = None
    filters: Sequence[str] = ()
    """Filters on the values of a breakdown, in the form that they have in a URL: ``device=mobile``, ``x.device.null=1``."""
    by: str | None = None
    format: str | None = None
    bom: bool = False
    separator: str | None = None
    decimal_comma: bool = False
    force: bool = False


def export(settings: Settings, wish: Wish) -> None:
    """Write the file, and print on standard error what was written.

    Raises `InputError` for what can't be used, `BrokerError`, `OutputError`, and `KeyboardInterrupt` on SIGINT and SIGTERM; the file then
    is as it was before.
    """
    if not wish.out:
        raise InputError("--out '' names no file; - is for standard output.")
    try:
        filters = _filters(wish.filters)
        question = selection({**filters, **_parameters(wish)}, settings.breakdown_list)
        read = breakdown_filter.parse(filters, columns(settings.breakdown_list), PARAMETERS).read
        if why := parameters.unknown((name for name in filters if name not in read), columns(settings.breakdown_list)):
            raise InputError(f"`filter` names no field of a breakdown: {why}")
        form = _format(wish)
    except InputError as error:
        raise InputError(str(error).replace("`", "")) from None
    # A terminated export must not leave half a file behind.
    signal.signal(signal.SIGTERM, _end)
    try:
        with target(wish.out, force=wish.force) as out:
            summary = write(settings, question, form, out)
    except BrokenPipeError:
        raise SystemExit(1) from None  # the reader of the pipe has closed it
    except OSError as error:  # of a target that is written to directly: standard output, a pipe, a device
        raise log_lines.unwritten(error, "standard output" if wish.out == "-" else wish.out) from None
    except KeyboardInterrupt:
        log_lines.say("adtally", "stopped; nothing was written.")
        raise
    log_lines.say("adtally", summary, level="info")


def _end(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _parameters(wish: Wish) -> dict[str, list[str]]:
    """Return the question as the API has it, without filters on values."""
    return {
        "from": _given(wish.start),
        "to": _given(wish.end),
        "campaign": [typed(name) for name in wish.campaigns],
        "channel": [typed(name) for name in wish.channels],
        "range": _given(wish.range),
        "interval": [wish.interval],
        "tz": [wish.tz],
        "week": [wish.week],
        "by": _given(wish.by),
        "currency": _given(wish.currency),
        "breakdown": _given(wish.breakdown),
    }


def _filters(texts: Sequence[str]) -> dict[str, list[str]]:
    """Return the values of filters by name; raises `InputError` for one that is not ``name=value``, or names no filter."""
    filters: dict[str, list[str]] = {}
    for text in texts:
        name, sign, value = typed(text).partition("=")
        if not sign or name in PARAMETERS:
            raise InputError("`filter` must be a field and its value, such as device=mobile or x.device=mobile.")
        filters.setdefault(name, []).append(value)
    return filters


def _given(text: str | None) -> list[str]:
    return [] if text is None else [text]


def _format(wish: Wish) -> FileFormat:
    csv = None
    if wish.bom or wish.decimal_comma or wish.separator is not None:
        csv = csv_format("," if wish.separator is None else wish.separator, bom=wish.bom, decimal_comma=wish.decimal_comma)
    return format_of(wish.out, wish.format, csv)


def held_for_export(shape: Shape = MAIN) -> Store:
    """Return an empty store for rows of any time that are read only once: kept by day, and not packed."""
    return Store(hours=0, days=_FOREVER, packed_from=sys.maxsize, shape=shape)


def write(settings: Settings, asked: Selection, form: FileFormat, out: BinaryIO) -> str:
    """Write the results that `asked` selects to `out` in `form`; return a summary line.

    Raises `BrokerError`, and `SettingsError` if the file of own metrics can't be used.
    """
    catalogue = Catalogue.of(settings)
    rates = cache(partial(table_now, settings))
    check_currency(asked, rates)
    store, unread, reason = read_settled(partial(_read, settings, asked))
    results = table(
        store.snapshot(),
        asked,
        window=settings.window_seconds,
        currency=settings.currency,
        rates=rates,
        catalogue=catalogue,
    )
    about = {**results.about, "count": len(results.frame), "complete": True}
    for piece in form.write(results.frame, about):
        out.write(piece)
    out.flush()
    skipped = (
        f" {unread:,} records of {_topic(settings, asked.breakdown)} are not results and were skipped (the last: {reason})."
        if unread
        else ""
    )
    time = f"by {asked.interval} in the zone {asked.calendar.zone}" if asked.interval != "total" else "for the whole time"
    return f"{len(results.frame):,} rows written, {time}.{_conversion(results.rates)}{skipped}"


def _conversion(rates: Notes | None) -> str:
    """Return what the summary says of the conversion of money."""
    if rates is None:
        return ""
    days = rates.days_from_earlier
    earlier = f", {days:,} day{'s' * (days > 1)} at an earlier rate" if days else ""
    apart = f"; not converted, because there is no rate: {', '.join(rates.without_rate)}" if rates.without_rate else ""
    return f" Money is in {rates.shown}, by {rates.rates}{earlier}{apart}."


def _read(settings: Settings, question: Selection, tombstones: Tombstones[Cell]) -> tuple[Store, int, str]:
    """Return the results that `question` selects and no tombstone deletes, the number of unreadable records, and the last one's reason."""
    breakdown = question.breakdown
    shape = shape_of([declared.name for declared in settings.declared_types], () if breakdown is None else breakdown.fields)
    store = held_for_export(shape)
    unread, reason = 0, ""
    batch: list[tuple[WindowResult, Values]] = []
    for record in _records(settings, breakdown, tombstones):
        if isinstance(record, UnreadableError):
            unread, reason = unread + 1, str(record)
            continue
        result, values = record
        if question.takes(parse_start(result.window_start), result.campaign_id, result.channel, values):
            batch.append(record)
        if len(batch) >= _BATCH:
            _apply(store, batch)
            batch = []
    _apply(store, batch)
    return store, unread, reason


def _apply(store: Store, batch: Sequence[tuple[WindowResult, Values]]) -> None:
    store.apply([result for result, _ in batch], values=[values for _, values in batch])


def _topic(settings: Settings, breakdown: Breakdown | None) -> str:
    return settings.results_topic if breakdown is None else topic_of(settings.results_topic, breakdown)


def _records(
    settings: Settings, breakdown: Breakdown | None, tombstones: Tombstones[Cell]
) -> Iterator[tuple[WindowResult, Values] | UnreadableError]:
    """Yield each record that `tombstones` do not delete, or why it can't be read; add tombstones as they come."""
    codec, topic = Codec(breakdown), _topic(settings, breakdown)
    with tqdm(desc=f"reading {topic}", unit=" records", disable=not sys.stderr.isatty(), leave=False) as seen:
        for message in scan(settings, topic):
            seen.update()
            position, value = tombstones.position(message), message.value()
            try:
                if value is None:
                    tombstones.add(codec.read_key(message.key()), position)
                    continue
                now = max(time.time(), message.timestamp()[1] / 1000)
                result, values = codec.read(value, now, message.headers())
            except UnreadableError as error:
                yield error
                continue
            if not len(tombstones) or not tombstones.has_deleted(cell_of(result, values), position):
                yield result, values


@contextmanager
def target(path: str, *, force: bool) -> Generator[BinaryIO]:
    """Open a file that appears at `path` only when the block ends without an error; ``-`` is standard output.

    Raises `InputError` where it can't be written, or exists and is not to be replaced (`force`).
    """
    if path == "-":
        yield log_lines.binary()
        return
    wanted = Path(path)
    if wanted.is_dir():
        raise InputError(f"{path} is a folder; use the name of a file in it.")
    if wanted.exists() and not wanted.is_file():  # a pipe or a device: written to, and never replaced
        with wanted.open("wb") as out:
            yield out
        return
    if wanted.exists() and not force:
        raise InputError(f"{path} exists; use another --out, or --force to replace it.")
    try:
        handle, name = tempfile.mkstemp(prefix=f".{wanted.name}.", suffix=".part", dir=wanted.parent)
    except OSError as error:
        raise InputError(f"{path} can't be written: {error.strerror}.") from None
    part_file = Path(name)
    try:
        with os.fdopen(handle, "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        _put(part_file, wanted, force=force)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise InputError(f"{path} can't be written: {error.strerror}.") from None
    finally:
        with contextlib.suppress(OSError):
            part_file.unlink()


def _put(part_file: Path, wanted: Path, *, force: bool) -> None:
    umask = os.umask(0)
    os.umask(umask)
    part_file.chmod(0o666 & ~umask)
    if force:
        part_file.replace(wanted)
        return
    try:
        # Unlike a rename, a link fails if the file was created in the meantime.
        os.link(part_file, wanted)
    except FileExistsError:
        raise InputError(f"{wanted} was created in the meantime; use another --out, or --force to replace it.") from None
    except OSError:
        part_file.replace(wanted)  # a file system without links
