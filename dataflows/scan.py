"""Reads a whole topic as it stands: from its beginning, or from a time, up to the ends that it has when the reading starts."""

from __future__ import annotations

import time
from collections.abc import Iterator

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from dataflows.errors import BrokerError
from dataflows.kafka import PASSING, Topics, describe, make_consumer
from dataflows.settings import Settings


def scan(settings: Settings, topic: str, since: int | None = None, timeout: float = 10.0) -> Iterator[Message]:
    """The messages of `topic`, each partition in its order, partitions interleaved; from Kafka's time `since` (milliseconds) on.

    Raises `BrokerError` if there is no such topic, or no broker answers within `timeout` seconds.
    """
    count = Topics(settings).partitions(topic, timeout)
    if not count:
        raise BrokerError(f"there is no topic {topic} on {settings.brokers}.")
    consumer = make_consumer(settings, "scan", **{"auto.offset.reset": "earliest", "enable.partition.eof": False})
    try:
        places = [TopicPartition(topic, number) for number in range(count)]
        limits = {place.partition: consumer.get_watermark_offsets(place, timeout=timeout) for place in places}
        starts = {number: low for number, (low, _) in limits.items()}
        if since is not None:
            asked = [TopicPartition(topic, number, since) for number in range(count)]
            for found in consumer.offsets_for_times(asked, timeout=timeout):
                # Below 0: no message is that young.
                starts[found.partition] = found.offset if found.offset >= 0 else limits[found.partition][1]
        left = {number for number, (_, high) in limits.items() if starts[number] < high}
        consumer.assign([TopicPartition(topic, number, starts[number]) for number in left])
        yield from _until(consumer, left, {number: high for number, (_, high) in limits.items()}, timeout)
    except KafkaException as error:
        raise BrokerError(f"topic {topic} can't be read from {settings.brokers}: {describe(error)}.") from None
    finally:
        consumer.close()


def _until(consumer: Consumer, left: set[int], ends: dict[int, int], timeout: float) -> Iterator[Message]:
    silent_since = time.monotonic()
    while left:
        for message in consumer.consume(1000, 0.2):
            error = message.error()
            if error is not None and error.code() not in PASSING:
                raise KafkaException(error)
            partition = message.partition()
            if error is None and partition in left:
                silent_since = time.monotonic()
                if (message.offset() or 0) < ends[partition]:
                    yield message
        # By position, not by message: a compacted log, or one with markers of transactions, need not end in a message.
        for place in consumer.position([TopicPartition(place.topic, place.partition) for place in consumer.assignment()]):
            if place.offset >= ends[place.partition]:
                left.discard(place.partition)
        if time.monotonic() - silent_since > timeout:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
