"""How to know a message again: a topic that was deleted and recreated has another one at the same offset."""

from __future__ import annotations

import zlib

import msgspec

from dataflows.kafka.record import Record


class Fingerprint(msgspec.Struct, frozen=True, array_like=True):
    """What tells a message from another one at the same offset of a topic that was recreated: the CRC-32 of its payload."""

    offset: int
    crc: int

    @classmethod
    def of(cls, record: Record) -> Fingerprint:
        """The fingerprint of a message."""
        value = record.value()
        return cls(record.offset() or 0, zlib.crc32(value.encode() if isinstance(value, str) else value or b""))
