"""Progress of the flow in each partition, and the outcome of each message: ``adtally counters``.

The flow commits, at each snapshot, its offset in every partition to the consumer group, and its counters as the commit's metadata. So
Kafka's own tools show the lag, and this command the rest: read = counted + duplicate + late + malformed, for each partition.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

import msgspec
from confluent_kafka import KafkaException, TopicPartition

from dataflows.contract.errors import BrokerError, TopicMissingError
from dataflows.contract.settings import Settings
from dataflows.flow.progress import CommittedCounters
from dataflows.intake.partition import Counters
from dataflows.kafka.clients import NO_GROUP, PASSING, describe, make_consumer
from dataflows.kafka.diagnosis import forbidden
from dataflows.kafka.lag import OffsetRange, Waiting, Waits
from dataflows.kafka.topics import Topics
from dataflows.telemetry import log_lines

log = logging.getLogger("adtally.counters")

COLUMNS = Counters.__struct_fields__


class Progress(msgspec.Struct):
    """One partition of the logs: the committed offset (None before the first commit), begin and end of the log, and the counters."""

    partition: int
    offset: int | None
    end: int
    shown: CommittedCounters
    begin: int = 0
    skips: bool = False
    """Whether a dataflow without a committed offset starts at the end of the log (`ADTALLY_START=latest`)."""
    is_other: bool = False
    """Whether the log holds a different message at the offset of the last one that the flow read."""
    waits: Waits | None = None
    """Messages that wait in `span`; None if they were not counted."""

    @property
    def span(self) -> OffsetRange:
        """Offsets between the flow's position and the end of the log."""
        if self.offset is None:
            return OffsetRange(self.end if self.skips else self.begin, self.end)
        return OffsetRange(self.begin if self.is_recreated else min(max(self.offset, self.begin), self.end), self.end)

    @property
    def lag(self) -> int:
        """Consumer lag in messages, as of the last commit; an upper bound if `waits` is None or not exact."""
        return self.span.end - self.span.first if self.waits is None else self.waits.messages

    @property
    def lost(self) -> int:
        """Number of offsets after the committed one that are no longer on the broker."""
        return 0 if self.offset is None or self.is_recreated else max(0, self.begin - self.offset)

    @property
    def is_recreated(self) -> bool:
        """Whether the topic was recreated: the log ends before the committed offset, or holds a different message there."""
        return self.is_other or (self.offset is not None and self.offset > self.end)

    def notes(self, settings: Settings) -> list[str]:
        """Return a line for each problem of the partition that affects its lag, without the partition's number."""
        problems: list[str] = []
        if self.is_recreated:
            ends = f"the log ends at offset {self.end:,}, but the flow has already read up to {self.offset or 0:,}"
            other = "the log holds a different message at the offset that was read last"
            problems.append(
                f"{other if self.is_other else ends}: topic {settings.logs_topic} was recreated or has lost data. "
                "The whole log counts as lag"
            )
        if self.lost:
            problems.append(
                f"the offsets {self.offset:,} to {self.begin - 1:,} are no longer on the broker (retention, or records deleted): "
                "messages among them that were not read are lost and do not count as lag"
            )
        if self.waits and self.waits.behind:
            problems.append(
                f"{self.waits.behind:,} messages wait behind a transaction that a producer has left open; Kafka releases them when it ends"
            )
        if self.waits and not self.waits.is_exact:
            problems.append(
                "the lag is an upper bound: it may include transaction markers, aborted messages and compacted messages"
            )
        return problems


def progress(settings: Settings, timeout: float = 5.0, *, waiting: Waiting | None = None) -> list[Progress]:
    """Return the progress of every partition of the logs; raises `BrokerError` if no broker answers within `timeout` seconds.

    `waiting` caches the counts for a caller that asks repeatedly.
    """
    all_positions = positions(settings, timeout)
    waiting = waiting or Waiting(settings, "counters")
    # Without lag, a recreated topic makes no difference to the figures.
    last = {
        row.partition: fingerprint
        for row in all_positions
        if row.lag and (fingerprint := row.shown.last) and row.begin <= fingerprint.offset < row.end
    }
    other = waiting.recreated(last)
    rows = [msgspec.structs.replace(row, is_other=row.partition in other) for row in all_positions]
    waits = waiting.count({row.partition: row.span for row in rows})
    return [msgspec.structs.replace(row, waits=waits[row.partition]) for row in rows]


def positions(settings: Settings, timeout: float = 5.0, *, right: str = "Describe") -> list[Progress]:
    """Return `progress` without counting messages: the lag is a difference of offsets.

    `right`: the ACL on the logs that the caller needs, named in the error if the broker refuses it.
    """
    topic = settings.logs_topic
    count = Topics(settings, rights={topic: right}).partitions(topic, timeout)
    if not count:
        raise TopicMissingError(
            f"topic {topic} does not exist on {settings.brokers}; start the flow or the generator to create it."
        )
    # A read_committed consumer would report the start of an open transaction as the end of the log.
    consumer = make_consumer(settings, "counters", **{"isolation.level": "read_uncommitted"})
    places = [TopicPartition(topic, number) for number in range(count)]
    deadline = time.monotonic() + timeout
    try:
        while True:
            try:
                committed = consumer.committed(places, timeout=timeout)
                limits = [consumer.get_watermark_offsets(partition, timeout=timeout) for partition in places]
                break
            except KafkaException as error:
                # The consumer's error messages say why the group's offsets are refused.
                if any(heard.code() in NO_GROUP for message in consumer.consume(10, 0) if (heard := message.error())):
                    raise forbidden(settings, "Describe", f"group {settings.group}") from None
                # A broker that has just started has no coordinator of the group for a moment.
                if error.args[0].code() not in PASSING or time.monotonic() > deadline:
                    raise BrokerError(
                        f"the broker at {settings.brokers} did not return the offsets: {describe(error)}."
                    ) from None
                time.sleep(0.1)
    finally:
        consumer.close()
    skips = settings.start == "latest" and all(partition.offset < 0 for partition in committed)
    return [_row(partition, begin, end, skips=skips) for partition, (begin, end) in zip(committed, limits, strict=True)]


def _row(committed: TopicPartition, begin: int, end: int, *, skips: bool) -> Progress:
    offset = committed.offset if committed.offset >= 0 else None
    return Progress(committed.partition, offset, end, CommittedCounters.decode(committed.metadata), begin, skips)


def table(rows: Sequence[Progress]) -> str:
    """Return the rows and their sum, for a terminal."""
    head = ["partition", "offset", "lag", *(name.replace("_", " ") for name in COLUMNS)]
    body = [
        [str(row.partition), "–" if row.offset is None else f"{row.offset:,}", f"{row.lag:,}"]
        + [f"{getattr(row.shown, name):,}" for name in COLUMNS]
        for row in rows
    ]
    total = ["all", "", f"{sum(row.lag for row in rows):,}"] + [
        f"{sum(getattr(row.shown, name) for row in rows):,}" for name in COLUMNS
    ]
    lines = [head, *body, total]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def show(settings: Settings) -> int:
    """Print the table, and a warning for each problem; return the exit code, 1 if the counters of a partition do not add up.

    Raises `BrokerError`.
    """
    rows = progress(settings)
    for row in rows:
        for note in row.notes(settings):
            log.warning("partition %d: %s", row.partition, note)
    log_lines.tell(table(rows))
    return 0 if all(row.shown.adds_up() for row in rows) else 1
