"""Record batches that can't be read: a checksum that does not match, a compression that does not unpack, an unknown format.

A batch that was damaged on its way is sound when it is fetched again; one that lies damaged on the broker's disk never is, and must not
stop what comes after it. librdkafka's own handling does not help: after a wrong checksum it takes the bytes behind the header for the
next batch and continues at whatever offset they spell, and it fetches a batch with a broken compression again without end. So nothing is
used that comes behind the first such error, and the partition is assigned again at an explicit offset.

A damaged batch doesn't tell where it ends, for its header is part of it. But a fetch from any offset within a batch gets that batch as a
whole, and the error names the offset at which it begins: so the end is looked for by asking further on, in growing steps and then by
halves, and no sound batch behind it is lost.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from dataflows.contract.settings import Settings
from dataflows.kafka.clients import PASSING, close_within, describe, make_consumer

log = logging.getLogger("adtally.damage")

DAMAGED = {
    KafkaError._BAD_MSG,
    KafkaError._BAD_COMPRESSION,
    KafkaError._NOT_IMPLEMENTED,
    KafkaError._UNDERFLOW,
    KafkaError.MSG_SIZE_TOO_LARGE,
}
"""Error codes of librdkafka for a batch that it can't read; the last one is for a batch that is truncated."""

TRIES = 3
"""Number of fetches of a batch before it counts as permanently damaged."""

_ANSWER_SECONDS = 1.0
"""An answer to a probe takes milliseconds. Within a batch of an unknown format librdkafka finds nothing and says nothing."""


class Damage(msgspec.Struct, frozen=True):
    """Offsets from `first` up to, but not including, `end` that can't be read, and the reason in the client's words."""

    first: int
    end: int
    words: str


class Fault(NamedTuple):
    """Error that librdkafka returns instead of a message: the offset that it names, and how many messages of the same fetch precede it."""

    error: KafkaError
    offset: int
    place: int

    @property
    def is_damage(self) -> bool:
        """Whether it is of a batch that can't be read, so that nothing is to be used that comes behind it."""
        return self.error.code() in DAMAGED


def sound(messages: Sequence[Message]) -> tuple[list[Message], dict[int, Fault]]:
    """Return the usable ones of `messages`, in order, and the error of the first damaged batch of each partition that has one."""
    used: list[Message] = []
    damaged: dict[int, Fault] = {}
    for message in messages:
        partition = message.partition()
        if partition in damaged:
            continue
        error = message.error()
        if error is not None and error.code() in DAMAGED and partition is not None:
            damaged[partition] = Fault(error, message.offset() or 0, len(used))
        else:
            used.append(message)
    return used, damaged


class Passage:
    """Search for the end of the damaged batches of one topic, for a consumer that its owner replaces after each of them.

    It must be replaced, not assigned again: the offset that librdkafka has made up is on its way to the broker already, and the answer to
    that would be taken for one of the new assignment.
    """

    def __init__(self, settings: Settings, topic: str) -> None:
        self._settings = settings
        self._topic = topic
        self._tried: dict[int, tuple[int, int]] = {}

    def lead(self, partition: int, met: Fault, at: int) -> Damage | None:
        """Return the offsets to skip after the error `met`; `at`: offset of the next message to read.

        None if the same offsets must be read again: the damage may have happened in transit, or the broker does not answer now.
        """
        begin, words = met.offset, describe(met.error)
        base, tries = self._tried.get(partition, (begin, 0))
        tries = tries + 1 if base == begin else 1
        self._tried[partition] = begin, tries
        end = self._end(partition, met, max(at, begin)) if tries >= TRIES else None
        if end is None:
            log.debug("partition %d of %s: %s; fetching it again", partition, self._topic, words)
            return None
        del self._tried[partition]
        damage = Damage(max(at, begin), end, words)
        log.warning(
            "partition %d of %s: offsets %d-%d can't be read and are skipped; the data in them is lost (%s)",
            partition,
            self._topic,
            damage.first,
            damage.end - 1,
            words,
        )
        return damage

    def _end(self, partition: int, met: Fault, first: int) -> int | None:
        """Return the first offset from `first` on that is outside of the batch of `met`; None if the broker does not answer now."""
        inside, step = first, 1
        try:
            outside = self._high(partition)
            while outside - inside > 1:
                probe = inside + min(step, (outside - inside) // 2)
                if self._is_inside(partition, met, probe):
                    inside, step = probe, 2 * step
                else:
                    outside = probe
        except KafkaException as error:
            log.debug("partition %d of %s: %s", partition, self._topic, describe(error))
            return None
        return outside

    def _high(self, partition: int) -> int:
        probe = make_consumer(self._settings, "damage")
        try:
            return probe.get_watermark_offsets(TopicPartition(self._topic, partition), timeout=2.0)[1]
        finally:
            close_within(probe.close)

    def _is_inside(self, partition: int, met: Fault, offset: int) -> bool:
        probe = make_consumer(self._settings, "damage")
        try:
            probe.assign([TopicPartition(self._topic, partition, offset)])
            deadline = time.monotonic() + _ANSWER_SECONDS
            while (left := deadline - time.monotonic()) > 0:
                message = probe.poll(left)
                error = message.error() if message is not None else None
                if message is None or (error is not None and error.code() in PASSING):
                    continue
                damaged = error is not None and error.code() in DAMAGED
                return damaged and (message.offset() or 0) <= met.offset
        finally:
            close_within(probe.close)
        self._high(partition)  # raises if the broker does not answer
        return met.error.code() == KafkaError._NOT_IMPLEMENTED
