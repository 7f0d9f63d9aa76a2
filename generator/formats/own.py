"""Our own events, one JSON object a line: passed on byte for byte, once the contract has accepted them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from dataflows.errors import InputError
from dataflows.schema import event_decoder, to_micros
from generator.formats.base import Complaints, Context, RowError, opened
from generator.ordering import BEFORE_ALL, Row


class JsonLines:
    """The format ``jsonl``."""

    suffixes = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")

    def check(self, path: Path) -> None:
        """Raise `InputError` where the file can't be opened."""
        opened(path).close()

    def rows(self, path: Path, context: Context, complaints: Complaints) -> Iterator[Row]:
        """A row for each line that is an event; with `keep_bad` also for each that is none, right behind the line before it."""
        decode = event_decoder(context.currency).decode
        last = BEFORE_ALL
        for number, line in _lines(path):
            try:
                event = decode(line)
                last = to_micros(event.timestamp)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                complaints.add(path, (number, number), RowError(f"no event ({error})", line[:80]))
                if context.keep_bad:
                    yield Row(last, f"{path.name}-{number}", line, None)
                continue
            yield _moved(line, last, context.retime) if context.retime else Row(last, event.event_id, line, None)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers, without byte-order mark and line end; blank ones are left out."""
    with opened(path) as file:
        number = 0
        try:
            for number, line in enumerate(file, 1):
                content = (line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line).strip()
                if content:
                    yield number, content
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"{path}: can't be read on after line {number}: {error}.") from None


def _moved(line: bytes, time: int, suffix: str) -> Row:
    """The line with all of its fields, ready for another time; a moved event is another event, so its id gets `suffix`."""
    event = msgspec.json.decode(line, type=dict[str, Any])
    identity = f"{event.pop('event_id')[: 256 - len(suffix)]}{suffix}"
    event.pop("timestamp")
    rest = msgspec.json.encode({"event_id": identity, **event}).decode()
    return Row(time, identity, f'{rest[:-1]},"timestamp":"'.encode(), '"}')
