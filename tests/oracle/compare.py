"""Reads the three topics of a deployment and says where they differ from what the log demands."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from tests.oracle.judge import SUMS, Message, Terms, Verdict, judge, windows

ORDER = {"provisional": 0, "final": 1, "corrected": 2}


def read(brokers: str, topic: str) -> list[tuple[bytes | None, Message]]:
    """Everything on `topic` as (key, message), each partition in its order."""
    consumer = Consumer(
        {"bootstrap.servers": brokers, "group.id": "oracle", "enable.partition.eof": True, "enable.auto.commit": False}
    )
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
    found: list[tuple[bytes | None, Message]] = []
    ended: set[int] = set()
    while len(ended) < len(partitions):
        for one in consumer.consume(10_000, 0.2):
            error = one.error()
            if error is None:
                message = Message(one.partition() or 0, one.offset() or 0, one.timestamp()[1], one.value())
                key = one.key()
                found.append((key.encode() if isinstance(key, str) else key, message))
            elif error.code() == KafkaError._PARTITION_EOF:
                ended.add(one.partition() or 0)
            elif not error.retriable():
                raise KafkaException(error)
    consumer.close()
    return found


def result_frame(records: list[tuple[bytes | None, Message]]) -> pl.DataFrame:
    """The last value of each key, with the columns of `windows`."""
    last = {key: json.loads(message.payload or b"null") for key, message in records}
    for key, value in last.items():
        assert json.loads(key or b"null") == [value["window_start"], value["campaign_id"], value["channel"]]
    schema: dict[str, Any] = {
        "window_start": pl.String,
        "campaign_id": pl.String,
        "channel": pl.String,
        **dict.fromkeys(SUMS, pl.Int128),
    }
    return pl.DataFrame([{name: value[name] for name in schema} for value in last.values()], schema=schema)


def backward_steps(records: list[tuple[bytes | None, Message]]) -> list[str]:
    """Keys whose accepted value, by the consumer's rule over the whole history, ends below one that was once shown."""
    highest: dict[bytes | None, tuple[int, int]] = {}
    last: dict[bytes | None, tuple[int, int]] = {}
    for key, message in records:
        value = json.loads(message.payload or b"null")
        rank = (value["revision"], ORDER[value["state"]])
        last[key] = rank
        highest[key] = max(highest.get(key, rank), rank)
    return [f"{key!r} ends at revision {last[key][0]}, after {top[0]}" for key, top in highest.items() if last[key][0] < top[0]]


def differences(brokers: str, logs: str, results: str, rejected: str, terms: Terms | None = None) -> list[str]:
    """Every way in which `results` and `rejected` differ from what `logs` demands; empty if they are exact."""
    verdict = judge([message for _, message in read(brokers, logs)], terms)
    records = read(brokers, results)
    return [
        *window_differences(windows(verdict), result_frame(records)),
        *rejected_differences(verdict, logs, read(brokers, rejected)),
        *backward_steps(records),
    ]


def window_differences(expected: pl.DataFrame, found: pl.DataFrame) -> list[str]:
    """A full outer join of both, and a line for each cell that is missing, not wanted or different."""
    keys = ["window_start", "campaign_id", "channel"]
    joined = expected.join(found, on=keys, how="full", coalesce=True, suffix="_found")
    differing = joined.filter(pl.any_horizontal([pl.col(name).ne_missing(pl.col(f"{name}_found")) for name in SUMS]))
    return [
        f"{row['window_start']} {row['campaign_id']} {row['channel']}: "
        + ", ".join(f"{name} {row[f'{name}_found']} instead of {row[name]}" for name in SUMS if row[name] != row[f"{name}_found"])
        for row in differing.to_dicts()
    ]


def rejected_differences(verdict: Verdict, logs: str, records: list[tuple[bytes | None, Message]]) -> list[str]:
    """A line for each rejected event that is missing, not wanted, or given another reason."""
    found: dict[tuple[int, int], str] = {}
    for key, message in records:
        value = json.loads(message.payload or b"null")
        assert json.loads(key or b"null") == [logs, value["partition"], value["offset"]]
        found[value["partition"], value["offset"]] = value["reason"]
    places = sorted(set(found) | set(verdict.rejected))
    return [
        f"{logs} partition {place[0]} offset {place[1]}: rejected as {found.get(place)} instead of {verdict.rejected.get(place)}"
        for place in places
        if found.get(place) != verdict.rejected.get(place)
    ]
