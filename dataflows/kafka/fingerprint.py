"""Recognition of a message: a topic that was deleted and recreated has a different one at the same offset."""

from __future__ import annotations

import zlib

import msgspec

from dataflows.kafka.record import Record


class Fingerprint(msgspec.Struct, frozen=True, array_like=True):
    """Fingerprint of a message, the CRC-32 of its payload: it differs for a message at the same offset of a recreated topic."""

    offset: int
    crc: int

    @classmethod
    def of(cls, record: Record) -> Fingerprint:
        """Return the fingerprint of a message."""
        value = record.value()
        return cls(record.offset() or 0, zlib.crc32(value.encode() if isinstance(value, str) else value or b""))
