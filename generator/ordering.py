"""Rows of several files in the order of their times, however the files are sorted, in bounded memory."""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Iterator
from typing import IO, NamedTuple

import msgspec

from dataflows.contract.errors import InputError

CHUNK = 200_000
"""Maximum number of rows that are sorted in memory (some 150 MB); beyond it, sorted runs go to temporary files and are merged."""


BEFORE_ALL = -(2**62)
"""Time of a row without a time, which is sorted first."""


class SortedRow(NamedTuple):
    """An event of a file, all but its time.

    `time` in microseconds since 1970. Where `head` is text, the payload is ``{"event_id":"<id>`` + `head` + time + `tail`, and the id
    is `identity` with the number of its occurrence. Where it is bytes, the payload is `head` + time + `tail`, or without a `tail`
    `head` alone, and `identity` is the Kafka key.
    """

    time: int
    identity: str
    head: str | bytes
    tail: str | None


class Ordered:
    """Takes rows in any order, yields them by time; rows of one time stay in the order in which they came."""

    def __init__(self, chunk: int = CHUNK) -> None:
        self._chunk = chunk
        self._rows: list[SortedRow] = []
        self._runs: list[IO[bytes]] = []
        self.count = 0
        self.first: int | None = None
        self.last: int | None = None

    def add(self, row: SortedRow) -> None:
        """Take one row; raises `InputError` where the temporary folder is full."""
        self.count += 1
        if row.time != BEFORE_ALL:
            self.first = row.time if self.first is None else min(self.first, row.time)
            self.last = row.time if self.last is None else max(self.last, row.time)
        self._rows.append(row)
        if len(self._rows) >= self._chunk:
            try:
                self._spill()
            except OSError as error:
                raise InputError(
                    f"the temporary folder {tempfile.gettempdir()} can't hold the sorted rows: {error.strerror}; set TMPDIR to another."
                ) from None

    def _spill(self) -> None:
        self._rows.sort(key=_time)
        run = tempfile.TemporaryFile(prefix="adtally-replay-")  # noqa: SIM115 - it lives as long as this object
        encode = msgspec.msgpack.Encoder().encode
        for row in self._rows:
            content = encode(row)
            run.write(len(content).to_bytes(4, "little"))
            run.write(content)
        run.seek(0)
        self._runs.append(run)
        self._rows = []

    def __iter__(self) -> Iterator[SortedRow]:
        """Yield all rows by time; once only."""
        self._rows.sort(key=_time)
        # heapq.merge is stable: of equal times, the earlier run comes first, and the last rows are in memory.
        return heapq.merge(*(_run(run) for run in self._runs), iter(self._rows), key=_time)


def _time(row: SortedRow) -> int:
    return row[0]


def _run(run: IO[bytes]) -> Iterator[SortedRow]:
    # Untyped: msgspec has no type for `str | bytes`, but msgpack tells them apart.
    decode = msgspec.msgpack.Decoder().decode
    with run:
        while size := run.read(4):
            yield SortedRow(*decode(run.read(int.from_bytes(size, "little"))))
