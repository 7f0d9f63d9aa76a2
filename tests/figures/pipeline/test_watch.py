"""The progress of the dataflow on the Data page."""

from __future__ import annotations

from confluent_kafka import Producer, TopicPartition

from dataflows.contract.schema import encode
from dataflows.contract.settings import Settings
from dataflows.flow.progress import CommittedCounters
from dataflows.kafka.clients import make_consumer
from dataflows.kafka.topics import Topics
from figures.pipeline.watch import Watch
from tests.support.flows import ANSWER_SECONDS
from tests.support.waiting import until


def test_the_progress_of_the_dataflow_is_asked_for_once_somebody_wants_to_know(settings: Settings) -> None:
    Topics(settings).ensure(settings.logs_topic, timeout=ANSWER_SECONDS)
    producer = Producer({"bootstrap.servers": settings.brokers, "enable.idempotence": True})
    for _ in range(9):
        producer.produce(settings.logs_topic, b"{}", partition=0)
    assert producer.flush(30) == 0
    consumer = make_consumer(settings, "test")
    shown = CommittedCounters(read=5, counted=4, late=1, clock=1_790_000_000_000_000)
    place = TopicPartition(settings.logs_topic, 0, 5, metadata=encode(shown).decode())
    consumer.commit(offsets=[place], asynchronous=False)
    consumer.close()
    watch = Watch(settings, clock=lambda: 7.0)
    try:
        assert watch.pipeline().asked is None
        until(lambda: watch.pipeline().asked is not None)
        first, second = watch.pipeline().partitions[:2]
        assert (first.offset, first.end, first.lag, first.adds_up, first.clock) == (5, 9, 4, True, 1_790_000_000.0)
        assert (first.counts["counted"], first.counts["late"]) == (4, 1)
        assert (second.offset, second.clock) == (None, None)
        assert watch.pipeline().asked == 7.0
    finally:
        watch.stop()


def test_without_a_broker_the_reason_is_reported() -> None:
    watch = Watch(Settings(brokers="127.0.0.1:1"))
    try:
        until(lambda: "127.0.0.1:1" in watch.pipeline().problem)
        assert watch.pipeline().partitions == []
    finally:
        watch.stop()
