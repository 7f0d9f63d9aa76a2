"""adtally's own events, one JSON object per line: sent byte for byte after the dataflow's decoder has accepted them."""

from __future__ import annotations

import codecs
import io
import json
import re
from collections.abc import Iterator, Sequence
from functools import partial

import msgspec

from dataflows.contract.schema import Event, to_micros
from dataflows.intake.decode import EventDecoder, NotAnEvent
from dataflows.intake.rules import FIRST, LAST
from generator.formats.base import BadRows, Context, RowError
from generator.formats.columns import Column
from generator.formats.encodings import as_text, encoding_of
from generator.formats.inputs import Input
from generator.formats.tables import unreadable
from generator.ordering import BEFORE_ALL, SortedRow

LONGEST = 1 << 20
"""Longest line in bytes. Only the beginning of a longer one is kept: it exceeds Kafka's default limit, so it is never sent."""

_BLANKS = b" \t\r\n"
_BLANK = re.compile(r"[ \t\r\n]*")

_LEAST, _GREATEST = to_micros(FIRST), to_micros(LAST)


class JsonLinesFormat:
    """The format ``jsonl``."""

    suffixes = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")

    def read(self, file: Input, context: Context) -> _Events:
        """Open the file; raises `InputError` if it can't be opened or decompressed."""
        return _Events(file, context)


class _Events:
    """One file of events."""

    columns: Sequence[Column] = ()

    def __init__(self, file: Input, context: Context) -> None:
        self._file = file
        self._context = context
        self._decode = EventDecoder(context.types, context.columns)
        file.open().close()

    def rows(self, complaints: BadRows) -> Iterator[SortedRow]:
        """A row for each line that is an event; with `keep_bad` also for each that is not an event, right after the preceding line."""
        last, retime = BEFORE_ALL, self._context.retime
        for number, line in self._lines():
            try:
                event = self._decode(line)
            except NotAnEvent as verdict:
                detail = verdict.detail
            else:
                time = to_micros(event.timestamp)
                if _LEAST <= time <= _GREATEST:
                    last = time
                    yield _moved(line, event, time, retime) if retime else SortedRow(time, event.event_id, line, None)
                    continue
                detail = f"no window can be named for the time {event.timestamp.isoformat()}"
            complaints.add(self._file.name, (number, number), RowError(f"not an event ({detail})", line[:80]))
            if self._context.keep_bad and len(line) <= LONGEST:
                yield SortedRow(last, f"{self._file.short}-{number}", line, None)

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield number and bytes of each line that is not blank, without byte order mark and line end."""
        number, cut = 0, False
        with self._file.open() as content:
            try:
                for piece in iter(partial(_as_utf8(content, self._context.encoding).readline, LONGEST + 1), b""):
                    is_long = len(piece) > LONGEST
                    continues_line, cut = cut, (cut or is_long) and not piece.endswith(b"\n")
                    if continues_line:
                        continue
                    number += 1
                    line = piece if is_long else piece.strip(_BLANKS)
                    if number == 1:
                        line = line.removeprefix(codecs.BOM_UTF8).strip(_BLANKS)
                    if line:
                        yield number, line
            except (OSError, UnicodeError) as error:
                raise unreadable(self._file.name, number, error) from None


def _as_utf8(content: io.BufferedReader, encoding: str | None) -> io.BufferedIOBase | _Encoded:
    """Return the bytes of a file: unchanged if they are UTF-8, otherwise converted to UTF-8."""
    chosen = encoding or encoding_of(content.peek(512)[:512])
    return content if codecs.lookup(chosen).name.startswith("utf-8") else _Encoded(as_text(content, chosen))


class _Encoded:
    """Text as UTF-8 bytes, line by line."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text

    def readline(self, size: int) -> bytes:
        """Return up to `size` characters of the next line."""
        return self._text.readline(size).encode("utf-8", "surrogatepass")


def _moved(line: bytes, event: Event, time: int, suffix: str) -> SortedRow:
    """Return the line with all of its fields, ready for another time; a moved event is a new event, so its id gets `suffix`."""
    identity = f"{event.event_id[: 256 - len(suffix)]}{suffix}"
    # Raw values stay unchanged: a huge number in a field that is not read is not an error.
    try:
        fields = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
        del fields["event_id"], fields["timestamp"]
        rest = msgspec.json.encode({"event_id": identity, **fields}).decode()
    except msgspec.DecodeError:
        texts = _raw_members(line.decode()) | {"event_id": json.dumps(identity)}
        del texts["timestamp"]
        rest = f"{{{','.join(f'{json.dumps(name)}:{value}' for name, value in texts.items())}}}"
    return SortedRow(time, identity, f'{rest[:-1]},"timestamp":"'.encode(), '"}')


def _raw_members(line: str) -> dict[str, str]:
    """Return the members of the JSON object `line` by name, the last one of each, with their values as they are written.

    For half a pair of surrogates, which is JSON, and which msgspec refuses also where nothing reads it.
    """
    decoder, members = json.JSONDecoder(parse_int=str, parse_float=str), {}
    at = line.index("{")
    while line[at] != "}":
        name, at = decoder.raw_decode(line, _after(line, at + 1))
        start = _after(line, _after(line, at) + 1)
        _, at = decoder.raw_decode(line, start)
        members[name] = line[start:at]
        at = _after(line, at)
    return members


def _after(line: str, at: int) -> int:
    """Return the first place from `at` on that is not blank."""
    blanks = _BLANK.match(line, at)
    return at if blanks is None else blanks.end()
