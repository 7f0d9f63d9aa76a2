"""How far each partition of a topic was read, and whether its log is still the one that was read."""

from __future__ import annotations

from collections.abc import Collection

from confluent_kafka import Consumer, KafkaException, TopicPartition

from dataflows.kafka.clients import cached_lag


class LogReplacedError(Exception):
    """A partition no longer has the log that was read; the next session reads the topic from its beginning."""


class Positions:
    """The offsets of the partitions of `topic`, over all sessions of a follower."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._next: dict[int, int] = {}
        self._ended: dict[int, int] = {}
        """Where the end was reached: transaction markers and aborted records before it are never delivered."""
        self._resume: dict[int, int] = {}
        self._read: dict[int, int] = {}
        """The offset after the last record that was read of each partition, in this session or before."""
        self._lags: dict[int, int] = {}

    def read(self, partition: int, offset: int) -> None:
        """Note that the record at `offset` was read."""
        self._next[partition] = offset + 1
        self._read[partition] = max(offset + 1, self._read.get(partition, 0))

    def reach_end(self, partition: int, offset: int) -> None:
        """Note that the end of a partition was reached at `offset`."""
        self._ended[partition] = offset

    def next_of(self, partition: int, default: int) -> int:
        """Return the offset that is to be read next, `default` if nothing of `partition` was read."""
        return self._next.setdefault(partition, default)

    def skip(self, partition: int, end: int) -> None:
        """Skip the records before `end`, which can't be read."""
        self._next[partition] = end

    def unassign(self) -> None:
        """Forget where ends were reached: no partition is assigned any more."""
        self._ended = {}

    def restart(self) -> None:
        """Have the topic read again from its beginning."""
        self._next, self._resume = {}, {}

    def forget(self) -> None:
        """Have the topic read from its beginning, whose log is another one."""
        self.restart()
        self._read = {}

    def resume_here(self) -> None:
        """Have the next session begin at the offsets that are to be read next."""
        self._resume = dict(self._next)

    def resumed(self, partition: int) -> int | None:
        """Return, once, the offset at which this session begins (`resume_here`); None if there is none."""
        return self._resume.pop(partition, None)

    @property
    def lags(self) -> dict[int, int]:
        """Number of records to be read of each partition, as of the last measurement."""
        return dict(self._lags)

    def measure_lags(self, consumer: Consumer, assigned: Collection[int]) -> None:
        """Measure the lag of each `assigned` partition by the log ends that `consumer` has received with records."""
        lags = {
            partition: cached_lag(consumer, TopicPartition(self._topic, partition, max(offset, self._ended.get(partition, 0))))
            for partition, offset in self._next.items()
            if partition in assigned
        }
        self._lags = {partition: lag for partition, lag in lags.items() if lag is not None}

    def replaced(self, consumer: Consumer, partitions: Collection[int], assigned: Collection[int]) -> int | None:
        """Return a partition whose log ends before the offset that was read, is empty, or no longer exists; None if there is none.

        The broker is asked before a partition is assigned, and if the cached end contradicts what was read: the end that a new leader
        sends with records may be too low for a moment, but never its answer to this request. Raises `KafkaException`.
        """
        for partition, read in self._read.items():
            log = TopicPartition(self._topic, partition)
            if partition in partitions:
                if partition in assigned and not _is_replaced(_received_limits(consumer, log), read):
                    continue
                if not _is_replaced(consumer.get_watermark_offsets(log, timeout=2.0), read):
                    continue
            return partition
        return None


def _received_limits(consumer: Consumer, log: TopicPartition) -> tuple[int, int] | None:
    """Return the first offset of a partition and the one after its last, as last received with records; None before that."""
    try:
        low, end = consumer.get_watermark_offsets(log, cached=True)
    except KafkaException:
        return None
    return None if end < 0 else (low, end)


def _is_replaced(limits: tuple[int, int] | None, read: int) -> bool:
    """Return whether a log with these `limits` (first offset, and the one after the last) can't be the one that was read up to `read`."""
    return limits is not None and (limits[1] < read or limits[0] >= limits[1])
