"""Records of a topic, and metadata of a consumer group's offsets, read by a plain consumer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from tqdm import tqdm

from tests.system.oracle.judge import Message

Record = tuple[bytes | None, Message]
"""The key of a message, and the message."""

Where = str | Mapping[str, str]
"""Bootstrap servers, or all client properties that it takes to reach the brokers."""

ANSWER_SECONDS = 30.0


def read(where: Where, topic: str, progress: bool = False) -> list[Record]:
    """Everything on `topic` as (key, message), each partition in its order; nothing if the topic does not exist.

    `progress`: show it on a terminal where it takes long. Raises `KafkaException` where no broker answers.
    """
    found: list[Record] = []
    with tqdm(desc=f"reading {topic}", unit=" messages", delay=1, disable=None if progress else True) as bar:
        for batch in follow(where, [topic]):
            found += batch[topic]
            bar.update(len(batch[topic]))
    return found


def follow(where: Where, topics: Sequence[str], over: Callable[[], bool] = lambda: True) -> Iterator[dict[str, list[Record]]]:
    """Yield the records of `topics`, and those that arrive until `over` says that no more will, in batches by topic.

    Each partition is read in its order from its beginning to where it ends after `over` has become true. Partitions that are added
    meanwhile are not read. Raises `KafkaException` where no broker answers.
    """
    # A broker reports the end of a partition only after this wait for more.
    ends = {"enable.partition.eof": True, "auto.offset.reset": "earliest", "fetch.wait.max.ms": 50}
    consumer = Consumer({**_plain(where, "oracle"), **ends})
    try:
        places = [(topic, number) for topic in topics for number in _numbers(consumer, topic)]
        next_offset = dict.fromkeys(places, OFFSET_BEGINNING)
        ended: set[tuple[str, int]] = set()

        def begin() -> None:
            ended.clear()
            consumer.assign([TopicPartition(*place, offset) for place, offset in next_offset.items()])

        last = over()
        begin()
        while not (last and len(ended) == len(places)):
            batch: dict[str, list[Record]] = {topic: [] for topic in topics}
            for one in consumer.consume(10_000, 0.05):
                error, place = one.error(), (one.topic() or "", one.partition() or 0)
                if error is None:
                    headers = dict(one.headers() or ())
                    contract = _bytes(headers.get("adtally-contract"))
                    message = Message(place[1], one.offset() or 0, one.timestamp()[1], _bytes(one.value()), contract)
                    batch[place[0]].append((_bytes(one.key()), message))
                    next_offset[place] = message.offset + 1
                elif error.code() == KafkaError._PARTITION_EOF:
                    ended.add(place)
                elif not error.retriable() and error.code() != KafkaError._TRANSPORT:
                    raise KafkaException(error)
            yield batch
            if not last and over():
                last = True
                begin()  # the ends that were met before are not those of now
    finally:
        consumer.close()


def committed(where: Where, topic: str, group: str) -> dict[int, dict[str, Any]]:
    """The counters committed with the offsets of `group`, by partition of `topic`; empty for a partition without."""
    consumer = Consumer(_plain(where, group))
    try:
        places = consumer.committed(
            [TopicPartition(topic, number) for number in _numbers(consumer, topic)], timeout=ANSWER_SECONDS
        )
        return {place.partition: json.loads(place.metadata or "{}") for place in places}
    finally:
        consumer.close()


def partitions(where: Where, topic: str) -> list[int]:
    """The partitions of `topic`, none if the topic does not exist. Raises `KafkaException` where no broker answers."""
    consumer = Consumer(_plain(where, "oracle"))
    try:
        return _numbers(consumer, topic)
    finally:
        consumer.close()


def _numbers(consumer: Consumer, topic: str) -> list[int]:
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            return sorted(consumer.list_topics(topic, timeout=1.0).topics[topic].partitions)
        except KafkaException:
            consumer.poll(0.1)  # raises what `_refused` does
            if time.monotonic() > deadline:
                raise


def properties(file: Path) -> dict[str, str]:
    """Client properties out of a file with a ``name=value`` in each line, as librdkafka's own tools take; raises `ValueError`.

    The error names the line and never shows it: it may hold a password.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(file.read_text().splitlines(), 1):
        name, equals, value = line.strip().partition("=")
        if name and not name.startswith("#"):
            if not equals:
                raise ValueError(f"line {number} has no `=`: give name=value")
            found[name.strip()] = value.strip()
    return found


def _plain(where: Where, group: str) -> dict[str, Any]:
    given = {"bootstrap.servers": where} if isinstance(where, str) else where
    return {**given, "group.id": group, "enable.auto.commit": False, "log_level": 2, "error_cb": _refused}


def _refused(error: KafkaError) -> None:
    """End at once where trying again, as librdkafka does, does not help."""
    if error.code() in (KafkaError._AUTHENTICATION, KafkaError._SSL):
        raise KafkaException(error)


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
