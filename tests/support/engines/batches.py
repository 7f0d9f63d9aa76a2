"""Record batches byte by byte, as no client would send them, and the bytes of batches on a broker's disk.

The layout is that of Kafka's message format v2 (https://kafka.apache.org/documentation/#recordbatch) and of its Produce request v3.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from confluent_kafka.admin import AdminClient

from dataflows.contract.settings import Settings

LZ4 = 3
_CRC_AT = 17
_CRC_FROM = 21
_RECORDS_AT = 61


def crc32c(data: bytes) -> int:
    """The checksum of a batch (Castagnoli), bit by bit: slow and short."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def _varint(number: int) -> bytes:
    left = number << 1 if number >= 0 else (-number << 1) - 1
    found = bytearray()
    while left > 0x7F:
        found.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*found, left])


def _record(place: int, value: bytes) -> bytes:
    body = b"\0" + _varint(0) + _varint(place) + _varint(-1) + _varint(len(value)) + value + _varint(0)
    return _varint(len(body)) + body


def batch(values: Sequence[bytes], *, attributes: int = 0, time: int = 1_767_268_800_000) -> bytearray:
    """A sound batch of `values`, from offset 0 and of `time` (milliseconds); with `attributes` of a compression, a broken one."""
    last = len(values) - 1
    fields = struct.pack(">hiqqqhii", attributes, last, time, time, -1, -1, -1, len(values))
    checked = fields + b"".join(_record(place, value) for place, value in enumerate(values))
    head = struct.pack(">qiibI", 0, 4 + 1 + 4 + len(checked), -1, 2, crc32c(checked))
    return bytearray(head + checked)


def broken(kind: str, values: Sequence[bytes]) -> bytearray:
    """A batch of `values` that no client can read: wrong ``crc``, broken ``compression``, or an unknown ``format``."""
    if kind == "compression":
        return batch(values, attributes=LZ4)
    made = batch(values)
    spoil(made, kind, slice(0, len(made)))
    return made


def spoil(raw: bytearray, kind: str, where: slice) -> None:
    """Damage the batch at `where` in `raw`."""
    start = where.start
    if kind == "crc":
        raw[where.stop - 3] ^= 0xFF
    elif kind == "format":
        raw[start + 16] = 7
    else:
        raw[start + _RECORDS_AT : where.stop] = bytes(byte ^ 0x5A for byte in raw[start + _RECORDS_AT : where.stop])
        struct.pack_into(">I", raw, start + _CRC_AT, crc32c(bytes(raw[start + _CRC_FROM : where.stop])))


def batches_in(raw: bytes) -> Iterator[tuple[int, slice]]:
    """The batches of a segment file, as (first offset, where)."""
    start = 0
    while start < len(raw):
        base, length = struct.unpack_from(">qi", raw, start)
        yield base, slice(start, start + 12 + length)
        start += 12 + length


def segment(data: Path, topic: str, partition: int) -> Path:
    """The only segment file of a partition in the data folder of a broker that has ended."""
    (file,) = (data / "log" / f"{topic}-{partition}").glob("*.log")
    return file


def produce_raw(settings: Settings, topic: str, partition: int, records: bytes | bytearray) -> None:
    """Put a batch on a partition as it is; the embedded broker checks nothing. The topic must be there."""
    (broker,) = AdminClient({"bootstrap.servers": settings.brokers}).list_topics(topic, timeout=30).brokers.values()
    name = topic.encode()
    body = struct.pack(">hhih", 0, 3, 1, -1) + struct.pack(">hhi", -1, 1, 10_000)
    body += struct.pack(f">ih{len(name)}sii", 1, len(name), name, 1, partition) + struct.pack(">i", len(records)) + records
    with socket.create_connection((broker.host, broker.port), timeout=30) as connection:
        connection.sendall(struct.pack(">i", len(body)) + body)
        answer = connection.makefile("rb")
        (size,) = struct.unpack(">i", answer.read(4))
        reply = answer.read(size)
    (error,) = struct.unpack_from(">h", reply, 4 + 4 + 2 + len(name) + 4 + 4)
    assert error == 0, f"the broker did not take the batch: error {error}"
