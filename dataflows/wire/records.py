"""Encoded Kafka records, many in one piece of bytes, without an object for each on their way to the sink."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct

import msgspec

SIZES = Struct("=ii")
"""Before each record: the lengths of its key and of its value in bytes."""


class Records(msgspec.Struct, frozen=True, gc=False):
    """`count` records, one after the other: for each `SIZES`, key and value.

    `waited`: where in `text` the record begins whose event has waited longest, and the time of that event (microseconds since 1970), if it
    is measured how old that is when the broker has it. `table`: which of the sink's topics they go to.
    """

    text: bytes
    count: int
    waited: tuple[int, int] | None = None
    table: int = 0

    @classmethod
    def of(cls, pairs: Iterable[tuple[bytes, bytes]], waited: tuple[int, int] | None = None) -> Records:
        """Return records of keys and values; the first of `waited` is the index of a pair."""
        parts: list[bytes] = []
        for key, value in pairs:
            parts += (SIZES.pack(len(key), len(value)), key, value)
        if waited is not None:
            waited = sum(map(len, parts[: 3 * waited[0]])), waited[1]
        return cls(b"".join(parts), len(parts) // 3, waited)

    def starts(self) -> Iterator[int]:
        """Yield where in `text` each record begins."""
        start = 0
        while start < len(self.text):
            yield start
            start += SIZES.size + sum(SIZES.unpack_from(self.text, start))

    def pair(self, start: int) -> tuple[bytes, bytes]:
        """Return key and value of the record that begins at `start`."""
        key_size, value_size = SIZES.unpack_from(self.text, start)
        middle = start + SIZES.size + key_size
        return self.text[middle - key_size : middle], self.text[middle : middle + value_size]

    def pairs(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield key and value of each record, in their order."""
        return map(self.pair, self.starts())
