"""How far the flow is and what became of each message: ``python -m dataflows.counters``.

The flow commits, at each snapshot, its offset in every partition to the consumer group, and its counters as the commit's metadata. So
Kafka's own tools show the lag, and this command the rest: read = counted + duplicate + late + malformed, for each partition.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

import msgspec
from confluent_kafka import KafkaException, TopicPartition

from dataflows import logs
from dataflows.errors import AdtallyError, BrokerError
from dataflows.intake import Counters
from dataflows.kafka import NO_GROUP, PASSING, describe, make_consumer
from dataflows.refusal import forbidden
from dataflows.settings import Settings
from dataflows.topics import Topics

COLUMNS = Counters.__struct_fields__


class Shown(Counters):
    """The counters that the flow shows beside its offset.

    `clock` is the highest event time read, `kept` what that was at the snapshot before: a run that is killed goes back no further.
    Both in microseconds since 1970.
    """

    clock: int | None = None
    kept: int | None = None


class Progress(msgspec.Struct):
    """One partition of the logs: the committed offset (None before the first commit), the end of the log, and the counters."""

    partition: int
    offset: int | None
    end: int
    shown: Shown

    @property
    def lag(self) -> int:
        """Messages that were not read yet, as of the last commit."""
        return self.end - (self.offset or 0)


def progress(settings: Settings, timeout: float = 5.0, *, right: str = "Describe") -> list[Progress]:
    """The progress of every partition of the logs; raises `BrokerError` if no broker answers within `timeout` seconds.

    `right`: what the caller needs on the logs, for whom it is the first to ask.
    """
    topic = settings.logs_topic
    count = Topics(settings, rights={topic: right}).partitions(topic, timeout)
    if not count:
        raise BrokerError(f"there is no topic {topic} on {settings.brokers}; the flow or the generator makes it.")
    consumer = make_consumer(settings, "counters")
    places = [TopicPartition(topic, number) for number in range(count)]
    deadline = time.monotonic() + timeout
    try:
        while True:
            try:
                committed = consumer.committed(places, timeout=timeout)
                ends = [consumer.get_watermark_offsets(place, timeout=timeout)[1] for place in places]
                break
            except KafkaException as error:
                # Why the group's offsets are not told stands among the messages.
                if any(heard.code() in NO_GROUP for message in consumer.consume(10, 0) if (heard := message.error())):
                    raise forbidden(settings, "Describe", f"group {settings.group}") from None
                # A broker that has just started has no coordinator of the group for a moment.
                if error.args[0].code() not in PASSING or time.monotonic() > deadline:
                    raise BrokerError(f"the broker at {settings.brokers} does not tell the offsets: {describe(error)}.") from None
                time.sleep(0.1)
    finally:
        consumer.close()
    return [
        Progress(
            place.partition,
            place.offset if place.offset >= 0 else None,
            end,
            shown(place.metadata),
        )
        for place, end in zip(committed, ends, strict=True)
    ]


_decode = msgspec.json.Decoder(Shown).decode


def shown(metadata: str | None) -> Shown:
    """What stands beside a committed offset; nothing counted, where nothing or somebody else's note stands there."""
    try:
        return _decode(metadata or "")
    except msgspec.DecodeError:
        return Shown()


def table(rows: Sequence[Progress]) -> str:
    """The rows and their sum, for a terminal."""
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


def main() -> int:
    """Print the table; 1 if the counters of a partition do not add up."""
    argparse.ArgumentParser(prog="python -m dataflows.counters", description=main.__doc__).parse_args()
    try:
        settings = Settings.from_environment()
        logs.set_up(settings, "counters")
        rows = progress(settings)
        logs.tell(table(rows))
    except AdtallyError as error:
        logs.say("adtally", str(error))
        return 1
    return 0 if all(row.shown.adds_up() for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
