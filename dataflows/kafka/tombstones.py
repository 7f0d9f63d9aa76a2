"""Tombstones of a keyed topic: which records they delete, independent of the order in which partitions are read.

A tombstone (a record with a null value) deletes the earlier records of its key. Later records of that key count again, even at a lower
revision. Within a partition, the offsets decide which is earlier. A tombstone may be in another partition than the records of its key,
because clients use different partitioners; then Kafka's timestamps decide, and at equal timestamps the record is deleted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import msgspec

Key = TypeVar("Key")
Answer = TypeVar("Answer")


class Keyed(Protocol):
    """The part of a Kafka message that this module needs."""

    def partition(self) -> int | None:
        """Return the partition."""
        ...

    def offset(self) -> int | None:
        """Return the offset in the partition."""
        ...

    def timestamp(self) -> tuple[int, int]:
        """Return the type of the timestamp, and the timestamp in milliseconds since 1970."""
        ...


class RecordPosition(msgspec.Struct, frozen=True, gc=False):
    """Position of a record; `time` is the highest timestamp of its partition up to there, so it never decreases (ms since 1970)."""

    partition: int
    offset: int
    time: int

    def is_before(self, tombstone: RecordPosition) -> bool:
        """Return whether `tombstone`, of the same key, deletes the record at this position."""
        if self.partition == tombstone.partition:
            return self.offset < tombstone.offset
        return self.time <= tombstone.time


class Tombstones(Generic[Key]):
    """Tombstones of one topic that were read so far, by decoded key."""

    def __init__(self) -> None:
        self._times: dict[int, int] = {}
        self._last: dict[Key, tuple[RecordPosition, ...]] = {}
        self.found = 0
        """Number of tombstones that were added and not known before."""

    def __len__(self) -> int:
        return len(self._last)

    def __contains__(self, key: object) -> bool:
        return key in self._last

    def restart(self, partition: int | None = None) -> None:
        """Note that `partition` (None: every one) is read again from its beginning; known tombstones are kept."""
        if partition is None:
            self._times.clear()
        else:
            self._times.pop(partition, None)

    def position(self, message: Keyed) -> RecordPosition:
        """Return the position of `message`; must be called for each message of a partition, in order."""
        partition, time = message.partition() or 0, message.timestamp()[1]
        time = self._times[partition] = max(time, self._times.get(partition, time))
        return RecordPosition(partition, message.offset() or 0, time)

    def add(self, key: Key, position: RecordPosition) -> bool:
        """Add a tombstone; return whether it was not known before."""
        known = self._last.get(key, ())
        if any(tombstone.partition == position.partition and tombstone.offset >= position.offset for tombstone in known):
            return False
        self._last[key] = (*(tombstone for tombstone in known if tombstone.partition != position.partition), position)
        self.found += 1
        return True

    def has_deleted(self, key: Key, position: RecordPosition) -> bool:
        """Return whether a known tombstone deletes the record of `key` at `position`."""
        return any(position.is_before(tombstone) for tombstone in self._last.get(key, ()))

    def is_overtaken(self, position: RecordPosition) -> bool:
        """Return whether another partition was read beyond the time of `position`, so that a later record may have been read already."""
        return any(time > position.time for number, time in self._times.items() if number != position.partition)

    def keep_newest(self, limit: int) -> None:
        """Evict the tombstones that were added first, down to `limit`."""
        while len(self._last) > limit:
            del self._last[next(iter(self._last))]


def read_settled(read: Callable[[Tombstones[Key]], Answer]) -> Answer:
    """Call `read`, which reads a whole topic, until it finds no new tombstones; return its last result."""
    tombstones: Tombstones[Key] = Tombstones()
    while True:
        before = tombstones.found
        answer = read(tombstones)
        if tombstones.found == before:
            return answer
        tombstones.restart()
