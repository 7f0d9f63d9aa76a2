"""Bare loop, the baseline of the comparison: confluent-kafka, msgspec and a dict in one process. No watermark, no state, no dedup:
loop.py BROKER IN OUT.

It shows what reading, decoding and adding up cost by themselves on this machine.
"""

from __future__ import annotations

import signal
import sys

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition


class Event(msgspec.Struct):
    """What is needed of an ad event; the time stays text."""

    event_type: str
    timestamp: str
    campaign_id: str
    channel: str
    cost_micros: int = 0
    revenue_micros: int = 0


KINDS = {"impression": 0, "click": 1, "conversion": 2}


def tally(brokers: str, topic: str) -> dict[tuple[str, str, str], list[int]]:
    """Impressions, clicks, conversions, cost and revenue by minute, campaign and channel, of all events on the topic."""
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "loop",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.queue.backoff.ms": 10,
            "fetch.message.max.bytes": 4 << 20,
            "queued.max.messages.kbytes": 65_536,
            "check.crcs": False,
        }
    )
    partitions = consumer.list_topics(topic).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
    decode = msgspec.json.Decoder(Event).decode
    ended: set[int | None] = set()
    found: dict[tuple[str, str, str], list[int]] = {}
    while len(ended) < len(partitions):
        for message in consumer.consume(10_000, 0.1):
            if message.error():
                ended.add(message.partition())
                continue
            event = decode(message.value() or b"")
            key = (event.timestamp[:16], event.campaign_id, event.channel)
            sums = found.get(key)
            if sums is None:
                sums = found[key] = [0, 0, 0, 0, 0]
            sums[KINDS[event.event_type]] += 1
            sums[3] += event.cost_micros
            sums[4] += event.revenue_micros
    return found


def main() -> None:
    """Count, write the results once, and wait for SIGTERM; the cost of the shutdown is not part of the figure."""
    brokers, topic, results = sys.argv[1:]
    found = tally(brokers, topic)
    producer = Producer({"bootstrap.servers": brokers, "linger.ms": 5, "queue.buffering.max.messages": 2_000_000})
    names = ("impressions", "clicks", "conversions", "cost_micros", "revenue_micros")
    for (minute, campaign, channel), sums in found.items():
        value = {"window_start": minute, "campaign_id": campaign, "channel": channel, **dict(zip(names, sums, strict=True))}
        producer.produce(results, msgspec.json.encode(value), f"{minute}|{campaign}|{channel}")
        producer.poll(0)
    producer.flush()
    signal.pause()


if __name__ == "__main__":
    main()
