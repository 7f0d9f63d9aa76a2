"""Tombstones of a keyed topic: which of its records they delete, in whatever order its partitions are read.

A record with a null value deletes what was written before it under its key; what is written after it counts again, a lower
revision too. Before means at a lower offset in the same partition. A tombstone may be in another partition than the records of
its key, for clients choose partitions by different hashes; then Kafka's times decide, and at equal times the record is deleted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import msgspec

Key = TypeVar("Key")
Answer = TypeVar("Answer")


class Keyed(Protocol):
    """What is asked of a Kafka message."""

    def partition(self) -> int | None:
        """The partition."""
        ...

    def offset(self) -> int | None:
        """The place in the partition's log."""
        ...

    def timestamp(self) -> tuple[int, int]:
        """The type of Kafka's time, and the time in milliseconds since 1970."""
        ...


class Position(msgspec.Struct, frozen=True, gc=False):
    """Where a record is; `time` is the latest one of its partition up to it, so that it never goes back."""

    partition: int
    offset: int
    time: int

    def is_before(self, tombstone: Position) -> bool:
        """Whether `tombstone`, of the same key, deletes the record at this position."""
        if self.partition == tombstone.partition:
            return self.offset < tombstone.offset
        return self.time <= tombstone.time


class Tombstones(Generic[Key]):
    """The tombstones of one topic that were read so far, each under its decoded key."""

    def __init__(self) -> None:
        self._times: dict[int, int] = {}
        self._last: dict[Key, tuple[Position, ...]] = {}
        self.found = 0
        """How many tombstones were added that were not known before."""

    def __len__(self) -> int:
        return len(self._last)

    def __contains__(self, key: object) -> bool:
        return key in self._last

    def restart(self, partition: int | None = None) -> None:
        """Note that `partition`, or every one, is read again from its beginning; the tombstones stay known."""
        if partition is None:
            self._times.clear()
        else:
            self._times.pop(partition, None)

    def position(self, message: Keyed) -> Position:
        """The position of `message`; asked for each message of a partition, in order."""
        partition, time = message.partition() or 0, message.timestamp()[1]
        time = self._times[partition] = max(time, self._times.get(partition, time))
        return Position(partition, message.offset() or 0, time)

    def add(self, key: Key, position: Position) -> bool:
        """Take in a tombstone; whether it was not known before."""
        known = self._last.get(key, ())
        if any(one.partition == position.partition and one.offset >= position.offset for one in known):
            return False
        self._last[key] = (*(one for one in known if one.partition != position.partition), position)
        self.found += 1
        return True

    def has_deleted(self, key: Key, position: Position) -> bool:
        """Whether a known tombstone deletes the record of `key` at `position`."""
        return any(position.is_before(one) for one in self._last.get(key, ()))

    def is_overtaken(self, position: Position) -> bool:
        """Whether another partition was read beyond the time of `position`: a record that is later than it may have been read before it."""
        return any(time > position.time for number, time in self._times.items() if number != position.partition)

    def keep_newest(self, limit: int) -> None:
        """Forget the tombstones that were added first, all but about `limit`."""
        while len(self._last) > limit:
            del self._last[next(iter(self._last))]


def read_settled(read: Callable[[Tombstones[Key]], Answer]) -> Answer:
    """What `read` returns for a whole topic once it knows all tombstones: it is called again while it adds any."""
    tombstones: Tombstones[Key] = Tombstones()
    while True:
        before = tombstones.found
        answer = read(tombstones)
        if tombstones.found == before:
            return answer
        tombstones.restart()
