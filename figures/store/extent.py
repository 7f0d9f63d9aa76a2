"""How far a partition was read."""

from __future__ import annotations

import msgspec


class ReadExtent(msgspec.Struct, frozen=True):
    """How far a partition was read: up to the offset `next`, and to the `time` of the latest record (milliseconds since 1970).

    A topic that was deleted and recreated begins at offset 0 again, but all of its records are later.
    """

    next: int = 0
    time: int = 0

    def covers(self, offset: int, time: int) -> bool:
        """Whether this record was read."""
        return offset < self.next and time <= self.time

    def onward(self, offset: int, time: int) -> ReadExtent:
        """Return the extent once this record was read too."""
        return self if self.covers(offset, time) else ReadExtent(offset + 1, max(time, self.time))


NOTHING_READ = ReadExtent()
