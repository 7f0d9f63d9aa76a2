"""Fill a topic with ad events and print their true sums: ``python -m benchmarks.fill --brokers HOST:PORT TOPIC EVENTS``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from concurrent.futures import Future

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # pyright: ignore[reportPrivateImportUsage]  # the documented place
from msgspec.structs import replace

from benchmarks.workload import Load, Truth, messages
from dataflows.contract.errors import AdtallyError, BrokerError, DeliveryError
from dataflows.contract.settings import Settings
from dataflows.kafka.clients import close_within, describe
from dataflows.kafka.topics import Topics


def make_topic(brokers: str, topic: str, partitions: int, **config: str) -> None:
    """Create a topic with one replica; raises `BrokerError`, also if it exists already."""
    if Topics(replace(Settings(), brokers=brokers)).partitions(topic, 10):  # which says why no broker answers
        raise BrokerError(f"topic {topic} exists already on {brokers}; use another name.")
    admin = AdminClient({"bootstrap.servers": brokers, "log_level": 3})  # keep the client alive until its requests are answered
    created: dict[str, Future[None]] = admin.create_topics([NewTopic(topic, partitions, 1, config=config)])
    try:
        created[topic].result()
    except KafkaException as error:
        raise BrokerError(f"topic {topic} can't be created on {brokers}: {describe(error)}.") from None


def drop_topics(brokers: str, *topics: str) -> None:
    """Delete topics, so that a long benchmark does not fill the disk."""
    admin = AdminClient({"bootstrap.servers": brokers, "log_level": 3})
    deleted: dict[str, Future[None]] = admin.delete_topics(list(topics))
    for done in deleted.values():
        done.exception()


def fill(brokers: str, topic: str, load: Load) -> Truth:
    """Create `topic`, write the events of `load`, wait until all are acknowledged, and return their sums.

    Raises `BrokerError`, and `DeliveryError`.
    """
    make_topic(brokers, topic, load.partitions, **{"retention.ms": "-1", "message.timestamp.type": "LogAppendTime"})
    producer = Producer(
        {
            "bootstrap.servers": brokers,
            "log_level": 3,
            "linger.ms": 50,
            "batch.num.messages": 10_000,
            "queue.buffering.max.messages": 500_000,
            "compression.type": "lz4",
            "enable.idempotence": True,  # the order within a partition is part of the load
        }
    )
    truth = Truth()
    number = 0
    for partition, payload in messages(load, truth):
        while True:
            try:
                producer.produce(topic, payload, partition=partition)
                break
            except BufferError:
                producer.poll(0.1)
        number += 1
        if number % 10_000 == 0:
            producer.poll(0)
    producer.flush(120)
    missing = number - _held(brokers, topic, load.partitions)
    if missing:
        raise DeliveryError(f"{missing} of the events were not acknowledged by {brokers}; check whether its disk is full")
    return truth


def _held(brokers: str, topic: str, partitions: int) -> int:
    """Return the number of messages on a topic; a callback for each delivery would cost more than one query."""
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "fill", "log_level": 3})
    try:
        ends = [consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=30)[1] for number in range(partitions)]
    except KafkaException as error:
        raise BrokerError(f"topic {topic} can't be read from {brokers}: {describe(error)}.") from None
    finally:
        close_within(consumer.close)
    return sum(ends)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that describe a load, except for its size."""
    parser.add_argument("--campaigns", type=int, default=50, help="campaigns, each with five channels (default 50)")
    parser.add_argument("--partitions", type=int, default=4, help="partitions of the topic (default 4)")
    parser.add_argument("--minutes", type=int, default=20, help="event time from the first to the last event (default 20)")
    parser.add_argument("--late", type=float, default=0, help="share of events later than the allowed lateness, such as 0.01")
    parser.add_argument("--duplicates", type=float, default=0, help="share of events that repeat an earlier one")
    parser.add_argument("--malformed", type=float, default=0, help="share of messages that are not valid events")
    parser.add_argument("--seed", type=int, default=7, help="seed of the random numbers (default 7)")
    parser.add_argument("--ids", choices=("uuid", "short"), default="uuid", help="event ids of 36 characters, or like e1234567")


def load_of(options: argparse.Namespace, events: int) -> Load:
    """Return the load that the options describe."""
    names = ("campaigns", "partitions", "minutes", "late", "duplicates", "malformed", "seed", "ids")
    return Load(events, **{name: getattr(options, name) for name in names})


def main(arguments: Sequence[str] | None = None) -> int:
    """Fill the topic and print the sums as JSON; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fill", description=__doc__)
    parser.add_argument("--brokers", required=True, help="Kafka bootstrap servers, host:port")
    parser.add_argument("topic", help="a topic that does not exist yet")
    parser.add_argument("events", type=int, help="how many events")
    add_options(parser)
    options = parser.parse_args(arguments)
    try:
        print(json.dumps(fill(options.brokers, options.topic, load_of(options, options.events)).totals()))
    except AdtallyError as error:
        print(f"fill: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
