"""Messages of one partition in memory that C can read: as they lie in librdkafka, or copied from Python's objects."""

from __future__ import annotations

import ctypes
from abc import abstractmethod
from array import array
from collections.abc import Sequence
from ctypes import c_char_p, c_int32, c_void_p
from itertools import accumulate
from typing import Any, NamedTuple, Protocol, overload

from typing_extensions import override


class AnyMessage(Protocol):
    """The part of confluent-kafka's `Message` that is used here."""

    def value(self) -> bytes | None:
        """Return the payload; None for a tombstone."""
        ...

    def offset(self) -> int | None:
        """Return the offset in the partition."""
        ...

    def timestamp(self) -> tuple[int, int]:
        """Return the type of the message timestamp, and the timestamp in milliseconds since 1970."""
        ...


class MessageBatch(Sequence[AnyMessage]):
    """Messages in the order of their log."""

    @staticmethod
    def of(messages: Sequence[AnyMessage]) -> MessageBatch:
        """Return `messages` as a batch; a batch stays as it is, others are copied."""
        return messages if isinstance(messages, MessageBatch) else CopiedBatch(messages)

    @overload
    @abstractmethod
    def __getitem__(self, index: int) -> AnyMessage: ...
    @overload
    @abstractmethod
    def __getitem__(self, index: slice) -> MessageBatch: ...

    @abstractmethod
    def least_time(self) -> int:
        """Return the least message timestamp, milliseconds since 1970. There must be at least one message."""

    @property
    @abstractmethod
    def values_address(self) -> int:
        """Address of the addresses of the payloads."""

    @property
    @abstractmethod
    def sizes_address(self) -> int:
        """Address of the sizes of the payloads, 4 bytes each."""


class CopiedBatch(MessageBatch):
    """Messages that exist as Python's objects, with a copy of their payloads."""

    def __init__(self, messages: Sequence[AnyMessage]) -> None:
        self._messages = messages
        values = [message.value() or b"" for message in messages]
        self._payloads = b"".join(values)
        self._sizes = array("i", map(len, values))
        begin = ctypes.cast(c_char_p(self._payloads), c_void_p).value or 0
        self._addresses = array("Q", accumulate(self._sizes, initial=begin))

    @override
    def __len__(self) -> int:
        return len(self._messages)

    @overload
    def __getitem__(self, index: int) -> AnyMessage: ...
    @overload
    def __getitem__(self, index: slice) -> MessageBatch: ...
    @override
    def __getitem__(self, index: int | slice) -> AnyMessage | MessageBatch:
        return CopiedBatch(self._messages[index]) if isinstance(index, slice) else self._messages[index]

    @override
    def least_time(self) -> int:
        return min([message.timestamp()[1] for message in self._messages])

    @property
    @override
    def values_address(self) -> int:
        return self._addresses.buffer_info()[0]

    @property
    @override
    def sizes_address(self) -> int:
        return self._sizes.buffer_info()[0]


class FetchedMessage(NamedTuple):
    """One message of a `FetchedBatch`."""

    fetched: Any
    number: int

    def value(self) -> bytes | None:
        """Return the payload; None for a tombstone."""
        address = self.fetched.values[self.number]
        return None if address is None else ctypes.string_at(address, self.fetched.sizes[self.number])

    def offset(self) -> int:
        """Return the offset in the partition."""
        return self.fetched.offsets[self.number]

    def timestamp(self) -> tuple[int, int]:
        """Return the type of the message timestamp, and the timestamp in milliseconds since 1970."""
        return self.fetched.kinds[self.number], self.fetched.times[self.number]


class FetchedBatch(MessageBatch):
    """Messages as they lie in librdkafka, with no object for each; they are gone with the next `Queue.fetch`."""

    __slots__ = ("_begin", "_end", "_fetched")

    def __init__(self, fetched: Any, begin: int, end: int) -> None:
        self._fetched = fetched
        self._begin = begin
        self._end = end

    @override
    def __len__(self) -> int:
        return self._end - self._begin

    @overload
    def __getitem__(self, index: int) -> FetchedMessage: ...
    @overload
    def __getitem__(self, index: slice) -> FetchedBatch: ...
    @override
    def __getitem__(self, index: int | slice) -> FetchedMessage | FetchedBatch:
        if isinstance(index, slice):
            begin, end, step = index.indices(len(self))
            if step != 1:
                raise ValueError("a batch has no steps")
            return FetchedBatch(self._fetched, self._begin + begin, self._begin + max(begin, end))
        from_begin = index + len(self) if index < 0 else index
        if not 0 <= from_begin < len(self):
            raise IndexError(index)
        return FetchedMessage(self._fetched, self._begin + from_begin)

    @override
    def least_time(self) -> int:
        fetched = self._fetched
        return fetched.least_time if len(self) == fetched.count else min(fetched.times[self._begin : self._end])

    @property
    @override
    def values_address(self) -> int:
        return ctypes.addressof(self._fetched.values.contents) + self._begin * ctypes.sizeof(c_void_p)

    @property
    @override
    def sizes_address(self) -> int:
        return ctypes.addressof(self._fetched.sizes.contents) + self._begin * ctypes.sizeof(c_int32)
