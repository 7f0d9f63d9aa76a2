"""What stands on a topic, and beside a consumer group's offsets, by a plain consumer."""

from __future__ import annotations

import json
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from tqdm import tqdm

from tests.oracle.judge import Message

Record = tuple[bytes | None, Message]
"""The key of a message, and the message."""


def read(brokers: str, topic: str, progress: bool = False) -> list[Record]:
    """Everything on `topic` as (key, message), each partition in its order; nothing if there is no such topic.

    `progress`: show it on a terminal where it takes long. Raises `KafkaException` where no broker answers.
    """
    consumer = Consumer({**_plain(brokers, "oracle"), "enable.partition.eof": True, "auto.offset.reset": "earliest"})
    try:
        numbers = _numbers(consumer, topic)
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in numbers])
        found: list[Record] = []
        ended: set[int] = set()
        with tqdm(desc=f"reading {topic}", unit=" messages", delay=1, disable=None if progress else True) as bar:
            while len(ended) < len(numbers):
                before = len(found)
                for one in consumer.consume(10_000, 0.2):
                    error = one.error()
                    if error is None:
                        message = Message(one.partition() or 0, one.offset() or 0, one.timestamp()[1], _bytes(one.value()))
                        found.append((_bytes(one.key()), message))
                    elif error.code() == KafkaError._PARTITION_EOF:
                        ended.add(one.partition() or 0)
                    elif not error.retriable() and error.code() != KafkaError._TRANSPORT:
                        raise KafkaException(error)
                bar.update(len(found) - before)
        return found
    finally:
        consumer.close()


def committed(brokers: str, topic: str, group: str) -> dict[int, dict[str, Any]]:
    """The counters that stand beside the offsets of `group`, by partition of `topic`; empty for a partition without."""
    consumer = Consumer(_plain(brokers, group))
    try:
        places = consumer.committed([TopicPartition(topic, number) for number in _numbers(consumer, topic)], timeout=10)
        return {place.partition: json.loads(place.metadata or "{}") for place in places}
    finally:
        consumer.close()


def partitions(brokers: str, topic: str) -> list[int]:
    """The partitions of `topic`, none if there is no such topic. Raises `KafkaException` where no broker answers."""
    consumer = Consumer(_plain(brokers, "oracle"))
    try:
        return _numbers(consumer, topic)
    finally:
        consumer.close()


def _numbers(consumer: Consumer, topic: str) -> list[int]:
    return sorted(consumer.list_topics(topic, timeout=10).topics[topic].partitions)


def _plain(brokers: str, group: str) -> dict[str, Any]:
    return {"bootstrap.servers": brokers, "group.id": group, "enable.auto.commit": False, "log_level": 2}


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
