"""Messages where librdkafka holds them, without an object of Python's for each."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import POINTER, c_char_p, c_int32, c_int64, c_void_p
from typing import Any, NamedTuple, Protocol, overload

from typing_extensions import override

from dataflows.native.library import Fetched


class Message(Protocol):
    """The part of a Kafka message that is used here, as confluent-kafka's `Message` has it."""

    def value(self) -> bytes | None:
        """Return the payload."""
        ...

    def offset(self) -> int | None:
        """Return the offset in the partition."""
        ...

    def timestamp(self) -> tuple[int, int]:
        """Return the type of the message timestamp, and the timestamp in milliseconds since 1970."""
        ...


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

    @classmethod
    def of(cls, messages: Sequence[Message]) -> Batch:
        """Return messages of Python's as a batch, which keeps their payloads; a batch stays as it is."""
        if isinstance(messages, Batch):
            return messages
        count = len(messages)
        values = [message.value() for message in messages]
        times = [message.timestamp() for message in messages]
        payloads = ctypes.cast((c_char_p * count)(*values), POINTER(c_void_p))  # keeps the array, and that the payloads
        fetched = Fetched(
            count,
            0,
            payloads,
            (c_int32 * count)(*[len(value or b"") for value in values]),
            (c_int64 * count)(*[message.offset() or 0 for message in messages]),
            (c_int64 * count)(*[milliseconds for _, milliseconds in times]),
            (c_int32 * count)(*[kind for kind, _ in times]),
        )
        fetched.least_time = min((milliseconds for _, milliseconds in times), default=0)
        return cls(fetched, 0, count)

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
