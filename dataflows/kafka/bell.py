"""A bell that librdkafka rings when a partition has messages, so that an idle thread can sleep until then."""

from __future__ import annotations

import contextlib
import os
import select
import weakref
from collections.abc import Iterable


class Bell:
    """A pipe to which any thread, also one of librdkafka, writes the number of a partition that has messages."""

    def __init__(self) -> None:
        self._reading, self.descriptor = os.pipe()
        for end in (self._reading, self.descriptor):
            os.set_blocking(end, False)
        self._poll = select.poll()
        self._poll.register(self._reading, select.POLLIN)
        weakref.finalize(self, _close, self._reading, self.descriptor)

    @staticmethod
    def encode(partition: int) -> bytes:
        """Return the 4 bytes that are written for `partition`; a pipe takes such a write whole or not at all."""
        return partition.to_bytes(4, "little")

    def wait(self, seconds: float) -> None:
        """Sleep until the bell rings, at most `seconds`."""
        self._poll.poll(seconds * 1000)

    def ring(self, number: int) -> None:
        """Ring the bell for a partition from Python; a full pipe needs no further byte, for it wakes its reader already."""
        with contextlib.suppress(BlockingIOError):
            os.write(self.descriptor, self.encode(number))

    def rung(self) -> Iterable[int]:
        """Return the partitions that the bell was rung for since the last call."""
        try:
            read = os.read(self._reading, 65_536)
        except BlockingIOError:
            return ()
        return {int.from_bytes(read[start : start + 4], "little") for start in range(0, len(read), 4)}


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
