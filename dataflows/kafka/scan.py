"""Read a whole topic: from its beginning, or from a time, up to the ends that it has when the reading starts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from dataflows.contract.errors import BrokerError, InputError
from dataflows.contract.schema import foreign
from dataflows.contract.settings import Settings
from dataflows.kafka.clients import AWAY, NO_GROUP, PASSING, describe, make_consumer
from dataflows.kafka.corruption import Passage, sound
from dataflows.kafka.diagnosis import forbidden, is_forbidden
from dataflows.kafka.topics import Topics

MakeConsumer = Callable[..., Consumer]


def scan(
    settings: Settings, topic: str, since: int | None = None, timeout: float = 10.0, make: MakeConsumer = make_consumer
) -> Iterator[Message]:
    """Yield the messages of `topic`, each partition in its order, partitions interleaved; from Kafka's time `since` (milliseconds) on.

    `make` returns a consumer, as `make_consumer` does. Raises `BrokerError` if the topic does not exist, or no broker answers within
    `timeout` seconds.
    """
    count = Topics(settings, rights={topic: "Read"}).partitions(topic, timeout)
    if not count:
        raise BrokerError(f"topic {topic} does not exist on {settings.brokers}.")
    consumer = make(settings, "scan")
    try:
        places = [TopicPartition(topic, number) for number in range(count)]
        limits = {partition.partition: _limits(consumer, partition, timeout) for partition in places}
        starts = {number: low for number, (low, _) in limits.items()}
        if since is not None:
            times = [TopicPartition(topic, number, since) for number in range(count)]
            for position in consumer.offsets_for_times(times, timeout=timeout):
                # Below 0: no message has that or a later time.
                starts[position.partition] = position.offset if position.offset >= 0 else limits[position.partition][1]
        ends = {number: high for number, (_, high) in limits.items() if starts[number] < high}
        yield from _until(settings, topic, starts, ends, timeout=timeout, make=make)
    except KafkaException as error:
        if is_forbidden(error.args[0]):
            raise forbidden(settings, "Read", f"topic {topic}") from None
        raise BrokerError(f"topic {topic} can't be read from {settings.brokers}: {describe(error)}.") from None
    finally:
        consumer.close()


def refuse_foreign(topic: str, message: Message) -> None:
    """Raise `InputError` for a record of ours on `topic` that follows a later version of the contract."""
    if why := foreign(message.headers()):
        raise InputError(f"a record of {topic} can't be read: {why}; use the version of adtally that wrote it.")


def _limits(consumer: Consumer, partition: TopicPartition, timeout: float) -> tuple[int, int]:
    """Return the first offset of a partition and the one after the last; waits while a leader is being elected."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            return consumer.get_watermark_offsets(partition, timeout=timeout)
        except KafkaException as error:
            if error.args[0].code() not in PASSING - AWAY or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _until(
    settings: Settings, topic: str, at: dict[int, int], ends: dict[int, int], *, timeout: float, make: MakeConsumer
) -> Iterator[Message]:
    """Yield the messages of the partitions of `ends`, from the offsets of `at`, which it advances."""
    passage = Passage(settings, topic)
    silent_since = time.monotonic()
    consumer = _begin(settings, topic, at, ends, make)
    left = set(ends)
    try:
        while left:
            messages, damaged = sound(consumer.consume(1000, 0.2))
            for message in messages:
                error, partition, offset = message.error(), message.partition(), message.offset() or 0
                if error is not None and error.code() == KafkaError._PARTITION_EOF and partition is not None:
                    # A compacted log, or one with markers of transactions, need not end in a message.
                    at[partition] = max(at[partition], offset)
                elif error is not None and error.code() not in PASSING | NO_GROUP:
                    raise KafkaException(error)
                elif error is None and partition in left:
                    silent_since = time.monotonic()
                    at[partition] = offset + 1
                    if offset < ends[partition]:
                        yield message
            for partition, met in damaged.items():
                damage = passage.lead(partition, met, at[partition])
                at[partition] = damage.end if damage else at[partition]
            left = {number for number in left if at[number] < ends[number]}
            if damaged:
                consumer.close()
                consumer = _begin(settings, topic, at, left, make)
            if time.monotonic() - silent_since > timeout:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
    finally:
        consumer.close()


def _begin(settings: Settings, topic: str, at: dict[int, int], left: Iterable[int], make: MakeConsumer) -> Consumer:
    # If retention has deleted the beginning since the query, read the rest.
    consumer = make(settings, "scan", **{"auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(topic, number, at[number]) for number in left])
    return consumer
