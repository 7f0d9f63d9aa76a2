"""Messages where librdkafka holds them, without an object of Python's for each."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import c_int32, c_void_p
from typing import Any, NamedTuple, overload

from typing_extensions import override


class Place(NamedTuple):
    """One message of a batch, with the methods of confluent-kafka's `Message` that are asked for."""

    fetched: Any
    place: int

    def value(self) -> bytes | None:
        """The payload."""
        at = self.fetched.values[self.place]
        return None if at is None else ctypes.string_at(at, self.fetched.sizes[self.place])

    def offset(self) -> int:
        """The place in the log."""
        return self.fetched.offsets[self.place]

    def timestamp(self) -> tuple[int, int]:
        """Kafka's own time: its type, milliseconds since 1970."""
        return self.fetched.kinds[self.place], self.fetched.times[self.place]


class Batch(Sequence[Place]):
    """Messages where librdkafka holds them, in their order; they are gone with the next `Queue.fetch`."""

    __slots__ = ("_begin", "_end", "_fetched")

    def __init__(self, fetched: Any, begin: int, end: int) -> None:
        self._fetched = fetched
        self._begin = begin
        self._end = end

    @override
    def __len__(self) -> int:
        return self._end - self._begin

    @overload
    def __getitem__(self, index: int) -> Place: ...
    @overload
    def __getitem__(self, index: slice) -> Batch: ...
    @override
    def __getitem__(self, index: int | slice) -> Place | Batch:
        if isinstance(index, slice):
            begin, end, step = index.indices(len(self))
            if step != 1:
                raise ValueError("a batch has no steps")
            return Batch(self._fetched, self._begin + begin, self._begin + max(begin, end))
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(index)
        return Place(self._fetched, self._begin + place)

    def least_time(self) -> int:
        """Return the least of Kafka's own times of them, milliseconds since 1970. There must be at least one message."""
        fetched = self._fetched
        return fetched.least_time if len(self) == fetched.count else min(fetched.times[self._begin : self._end])

    @property
    def values_address(self) -> int:
        """Where their payloads' addresses stand."""
        return ctypes.addressof(self._fetched.values.contents) + self._begin * ctypes.sizeof(c_void_p)

    @property
    def sizes_address(self) -> int:
        """Where the sizes of their payloads stand, 4 bytes each."""
        return ctypes.addressof(self._fetched.sizes.contents) + self._begin * ctypes.sizeof(c_int32)
