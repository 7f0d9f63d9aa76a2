"""`Tally` reads, judges and counts the messages of one partition in C, without the interpreter's lock."""

from __future__ import annotations

import os
from collections.abc import Sequence
from ctypes import c_char_p, c_int32, c_int64
from typing import Any, NamedTuple

from dataflows.native.batch import MessageBatch
from dataflows.native.library import library
from dataflows.native.memory import bytes_at
from dataflows.native.plan import TallyPlan
from dataflows.native.structs import NEVER, RANDOM_BYTES, Put


class Noted(NamedTuple):
    """A message that needs Python: its number in the batch, its outcome, its time, and, if it is late, the clock before it."""

    number: int
    status: int
    time: int
    clock: int


class SlowEvent(NamedTuple):
    """An event that Python has read: what the tally adds up.

    Time in microseconds since 1970, money in micros; `values` of the plan's fields, None where the event has none.
    """

    time: int
    event_id: str
    event_type: str
    campaign_id: str
    channel: str
    currency: str
    cost: int
    revenue: int
    values: Sequence[str | None]


class Tally:
    """The messages of one partition: `read` a batch, `put` or `refuse` those of the slow path, `judge` all; `pack` now and then.

    Times are microseconds since 1970. Every method raises `MemoryError` where memory runs out.
    """

    def __init__(self, *, window: int, delay: int, dedup: bool, plan: TallyPlan) -> None:
        """`delay`: how long after its end a window takes events, by the partition's clock.

        Raises `RuntimeError` without a native engine, with the words of `why_not`.
        """
        self._library: Any
        self._library, reason = library()
        if self._library is None:
            raise RuntimeError(reason)
        self._plan = plan
        self._handle = self._library.tally_new(os.urandom(RANDOM_BYTES), window, delay, dedup, plan.plan)
        if not self._handle:
            raise MemoryError
        self._face: Any = self._handle.contents
        self._batch: MessageBatch | None = None
        self._texts: list[Any] = []
        self._count = 0

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            self._library.tally_free(self._handle)

    def read(self, batch: MessageBatch) -> list[int]:
        """Read a batch, which must stay as it is until it is judged; return the places of those for the slow path."""
        self._batch, self._count = batch, len(batch)  # which the library looks at until all are judged
        self._texts.clear()
        if not self._library.tally_read(self._handle, batch.values_address, batch.sizes_address, self._count):
            raise MemoryError
        return self._noted()

    @property
    def newest(self) -> int:
        """Greatest time of the events that were read and put; `NEVER` without any."""
        return self._face.newest

    @property
    def clock(self) -> int:
        """Greatest time that was judged, or was set by `judge`; `NEVER` before any."""
        return self._face.clock

    def time(self, index: int) -> int:
        """Return the time of an event that was read or put."""
        return self._face.rows[index].time

    def put(self, index: int, event: SlowEvent) -> None:
        """Give back the event of a message of the slow path: it is judged and added up with the others, in their order."""
        texts = [
            None if text is None else text.encode() for text in (event.event_id, event.campaign_id, event.channel, *event.values)
        ]
        pointers = (c_char_p * len(texts))(*texts)
        self._texts.append(pointers)  # which the library looks at until all are judged
        sizes = (c_int32 * len(texts))(*[len(text or b"") for text in texts])
        role, declared = self._plan.types[event.event_type]
        put = Put(event.cost, event.revenue, role, declared, event.currency.encode())
        self._library.tally_put(self._handle, index, event.time, put, pointers, sizes)

    def refuse(self, index: int) -> None:
        """Leave out a message of the slow path."""
        self._library.tally_refuse(self._handle, index)

    def judge(self, begin: int, clock: int, limit: int | Sequence[int], *, refill: bool) -> tuple[int, list[Noted]]:
        """Judge the messages that were read, from `begin` on, by `clock`.

        `limit`: the greatest time that is not too far ahead, for all or one each. Returns the index of the first event with which a
        generation of ids begins, to continue from there after `turn`, or the number of messages; and each that is late or too far ahead.
        A `refill` adds up nothing: it restores the index of ids, and what the breakdowns have admitted.
        """
        limits = None if isinstance(limit, int) else (c_int64 * self._count)(*limit)
        self._face.clock = clock
        stop = self._library.tally_judge(self._handle, begin, self._count, limit if limits is None else 0, limits, refill)
        if stop < 0:
            raise MemoryError
        rows = self._face.rows
        return stop, [Noted(index, (row := rows[index]).status, row.time, row.cost) for index in self._noted()]

    @property
    def counted(self) -> int:
        """Number of events that the last `judge` counted."""
        return self._face.counted

    @property
    def duplicate(self) -> int:
        """Number of events that the last `judge` recognised as duplicates."""
        return self._face.duplicate

    @property
    def ids(self) -> tuple[int, int]:
        """Number of ids in the index, and its size in bytes."""
        return self._face.ids, self._face.ids_bytes

    def admission_counts(self) -> list[tuple[int, int, int]]:
        """Return the cells admitted, the windows filled and the events refused of each breakdown, without those of a refill."""
        counts = self._face.admission_counts[: self._plan.plan.breakdown_count]
        return [(of.admitted_cells, of.full_windows, of.other_events) for of in counts]

    def turn(self, generation: int, turns_at: int) -> None:
        """Begin a generation of ids; the next one begins with an event of `turns_at` or later."""
        if not self._library.tally_turn(self._handle, generation, turns_at):
            raise MemoryError

    def unturn(self) -> None:
        """Let the next event that is not late begin a generation."""
        self._face.turns_at = NEVER

    def pack(self) -> list[tuple[int, int, int, bytes]]:
        """Return what was counted since the last call: shard, start of the window, table, cells as bytes (`dataflows.wire.cell_bytes`)."""
        face = self._face
        if not face.cell_count:
            return []
        if not self._library.tally_pack(self._handle):
            raise MemoryError
        groups = face.groups[: face.group_count]
        packed = [(group.shard, group.window, group.table, bytes_at(face.packed + group.at, group.size)) for group in groups]
        self._library.tally_taken(self._handle)
        return packed

    def _noted(self) -> list[int]:
        return self._face.places[: self._face.noted] if self._face.noted else []
