"""Replay: the rows of real files as events of the contract, in the order of their times, at a chosen speed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import msgspec

from dataflows.contract.errors import InputError
from dataflows.contract.schema import to_micros
from dataflows.intake.rules import FIRST, LAST
from generator.batches import Batch, Message, Stamps
from generator.clock import Clock
from generator.formats.base import BadRows, Context, EventFormat
from generator.formats.columns import Column
from generator.formats.inputs import Input
from generator.ordering import Ordered, SortedRow

BATCH = 2_000


class Pace(msgspec.Struct, frozen=True):
    """How fast: `speed` 1 as it happened, N that many times as fast, infinite at once. `shift` moves the times to now.

    `window` in microseconds: times are moved by a multiple of it, so that a window holds the same events as in the file.
    """

    speed: float = math.inf
    shift: bool = False
    window: int = 60_000_000

    def moved_by(self, first: int, last: int, now: int) -> int:
        """Return the shift in microseconds of times from `first` to `last`, sent from `now` on: no event is sent before its own time."""
        if not self.shift:
            return 0
        # The last event is sent (last - first) / speed from now; in slow motion it is the first that is nearest to its sending.
        target = now - first if self.speed < 1 else now + int((last - first) / self.speed) - last
        return target // self.window * self.window

    def due(self, time: int, first: int, now: int) -> int:
        """Return when the event at `time` of the file is sent, if `first` is sent at `now` (microseconds since 1970)."""
        return now + int(max(0, time - first) / self.speed)


class Replay:
    """A `Source` of the events of files. Call `read` first: it reports what is wrong with them before anything is sent."""

    def __init__(self, files: Sequence[Input], form: EventFormat, context: Context, pace: Pace, clock: Clock) -> None:
        """Read the head of each file; raises `InputError` for a file that is not of the format."""
        self.total: int | None = None
        self.complaints = BadRows()
        self._readings = [form.read(file, context) for file in files]
        self._context = context
        self._pace = pace
        self._clock = clock
        self._rows = Ordered()

    def title(self) -> str:
        """Return how much is replayed, and how fast."""
        speed = "as fast as possible" if math.isinf(self._pace.speed) else f"at speed {self._pace.speed:g}"
        return f"{self._rows.count:,} events of {len(self._readings)} file{'s' * (len(self._readings) != 1)}, {speed}"

    def read(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Read and sort all files, and collect their bad rows in `complaints`.

        Raises `InputError` for a file that can't be read to its end or is ambiguous, and `KeyboardInterrupt` once `stopped` returns true.
        """
        while True:
            self._rows, self.complaints = Ordered(), BadRows()
            for reading in self._readings:
                for row in reading.rows(self.complaints):
                    self._rows.add(row)
                    if stopped():
                        raise KeyboardInterrupt
            if not self._settle():
                break
        self._check_span()
        self.total = self._rows.count

    def _settle(self) -> bool:
        """Decide how each column is read by the content of all files; return whether any reading changed."""
        changed = False
        for columns in zip(*(reading.columns for reading in self._readings), strict=True):
            for column in columns:
                changed |= column.settle(columns)
        return changed

    def notes(self) -> list[str]:
        """Return how ambiguous columns are read, and why."""
        columns: list[Column] = [column for reading in self._readings for column in reading.columns]
        return list(dict.fromkeys(note for column in columns if (note := column.note())))

    def _check_span(self) -> None:
        first, last = self._rows.first, self._rows.last
        if first is None or last is None:
            return
        moved = self._pace.moved_by(first, last, self._clock.now())
        if first + moved < to_micros(FIRST) or last + moved > to_micros(LAST):
            years = (last - first) // 31_556_952_000_000
            raise InputError(
                f"--shift-to-now: the events span {years:,} years, which moves some out of the years 1 to 9999; leave those out."
            )

    def batches(self) -> Iterator[Batch]:
        """Yield batches of up to 2,000 messages; `due` is empty if all are due at once. Once only."""
        pace, now = self._pace, self._clock.now()
        first, last = self._rows.first or 0, self._rows.last or 0
        moved = pace.moved_by(first, last, now)
        at_once = math.isinf(pace.speed)
        batch = Batch([], [])
        for row, message in self._messages(moved):
            batch.messages.append(message)
            if not at_once:
                batch.due.append(pace.due(row.time, first, now))
            if len(batch.messages) >= BATCH:
                yield batch
                batch = Batch([], [])
        yield batch

    def _messages(self, moved: int) -> Iterator[tuple[SortedRow, Message]]:
        stamps = Stamps()
        suffix = self._context.retime
        # Equal lines have the same time, so they are adjacent here: it is enough to remember the lines of one time.
        seen, time_of_seen = Counter[str](), 0
        for row in self._rows:
            time, identity, head, tail = row
            if tail is None:
                yield row, (identity, head)
                continue
            stamp = stamps.text(time + moved)
            if isinstance(head, bytes):
                yield row, (identity, head + f"{stamp}{tail}".encode())
                continue
            if time != time_of_seen:
                seen.clear()
                time_of_seen = time
            seen[identity] += 1
            key = f"{identity}-{seen[identity]}{suffix}"
            yield row, (key, f'{{"event_id":"{key}{head}{stamp}{tail}')
