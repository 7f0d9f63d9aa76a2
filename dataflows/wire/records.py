"""Kafka records that are encoded already, many in one piece of bytes: no object for each on their way to the sink."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct

import msgspec

SIZES = Struct("=ii")
"""Before each record: the bytes of its key and of its value."""


class Records(msgspec.Struct, frozen=True, gc=False):
    """`count` records: `SIZES`, key and value, one behind the other.

    `waited`: where in `text` the one begins whose event has waited longest, and the time of that event (microseconds since 1970), if it
    is measured how old that is when the broker has it.
    """

    text: bytes
    count: int
    waited: tuple[int, int] | None = None

    @classmethod
    def of(cls, pairs: Iterable[tuple[bytes, bytes]], waited: tuple[int, int] | None = None) -> Records:
        """Of keys and values; the first of `waited` is the place of the pair among them."""
        parts: list[bytes] = []
        for key, value in pairs:
            parts += (SIZES.pack(len(key), len(value)), key, value)
        if waited is not None:
            waited = sum(map(len, parts[: 3 * waited[0]])), waited[1]
        return cls(b"".join(parts), len(parts) // 3, waited)

    def starts(self) -> Iterator[int]:
        """Where in `text` each begins."""
        place = 0
        while place < len(self.text):
            yield place
            place += SIZES.size + sum(SIZES.unpack_from(self.text, place))

    def pair(self, start: int) -> tuple[bytes, bytes]:
        """Key and value of the one that begins at `start`."""
        key_size, value_size = SIZES.unpack_from(self.text, start)
        middle = start + SIZES.size + key_size
        return self.text[middle - key_size : middle], self.text[middle : middle + value_size]

    def pairs(self) -> Iterator[tuple[bytes, bytes]]:
        """Key and value of each, in their order."""
        return map(self.pair, self.starts())
