"""The rejected events of the Data page: counted once, and held within bounds."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from dataflows.contract.schema import Rejected, encode, rejected_key
from dataflows.contract.settings import Settings
from dataflows.kafka.clients import make_producer
from figures.pipeline.rejects import RejectedFeed
from tests.support.brokers import broker_process
from tests.support.flows import free_port
from tests.support.results import rejected_event
from tests.support.waiting import until


def put(settings: Settings, *events: Rejected | bytes) -> None:
    producer = make_producer(settings, "test")
    for event in events:
        key = rejected_key(event.topic, event.partition, event.offset) if isinstance(event, Rejected) else None
        producer.produce(settings.rejected_topic, event if isinstance(event, bytes) else encode(event), key)
    assert producer.flush(30) == 0


@pytest.fixture
def feed(settings: Settings) -> Iterator[RejectedFeed]:
    made = RejectedFeed(settings, look_seconds=0.3)
    yield made
    made.stop()


def test_rejected_events_are_counted_by_reason_and_the_newest_stand_first(settings: Settings, feed: RejectedFeed) -> None:
    put(settings, rejected_event(1), rejected_event(2), rejected_event(3, "late"), rejected_event(4, "oversize", partition=1))
    feed.start()
    until(lambda: feed.rejects().total == 4)
    found = feed.rejects()
    assert found.counts == {"malformed": 2, "late": 1, "too_far_ahead": 0, "oversize": 1}
    assert [event.offset for event in found.newest] == [4, 3, 2, 1]
    assert [event.offset for event in feed.rejects("malformed").newest] == [2, 1]


def test_a_record_that_comes_again_after_a_crash_counts_once(settings: Settings, feed: RejectedFeed) -> None:
    events = [rejected_event(offset, partition=offset % 3) for offset in range(60)]
    put(settings, *events, *events[20:], rejected_event(99))
    feed.start()
    until(lambda: (feed.records, feed.rejects().total) == (101, 61))


def test_only_the_newest_are_held_and_no_more_than_the_beginning_of_each(settings: Settings, feed: RejectedFeed) -> None:
    put(settings, *(rejected_event(offset, payload="x" * 50_000) for offset in range(200)))
    feed.start()
    until(lambda: feed.rejects().total == 200)
    newest = feed.rejects().newest
    assert len(newest) == 50
    assert all(len(event.payload or "") == 2_000 and event.length == 50_000 for event in newest)


@pytest.mark.parametrize(
    "junk", [b"", b"not json", b"{}", b"[" * 5000, encode(rejected_event(1)).replace(b"malformed", b"rumour")]
)
def test_a_record_that_is_none_is_counted_and_stops_nothing(settings: Settings, feed: RejectedFeed, junk: bytes) -> None:
    feed.start()
    put(settings, junk, rejected_event(2))
    until(lambda: feed.rejects().total == 1 and feed.rejects().unread == 1)


def test_a_message_without_a_value_and_a_binary_one_are_distinguished(settings: Settings, feed: RejectedFeed) -> None:
    put(
        settings,
        rejected_event(1, payload=None),
        Rejected("malformed", "not UTF-8", "logs", 0, 2, "2026-01-01T00:01:00Z", payload_base64="/w=="),
    )
    feed.start()
    until(lambda: feed.rejects().total == 2)
    binary, nothing = feed.rejects().newest
    assert (binary.payload, binary.binary) == ("/w==", True)
    assert (nothing.payload, nothing.binary) == (None, False)


def test_after_the_broker_was_away_no_record_counts_twice_and_none_is_missed() -> None:
    port = free_port()
    broker = broker_process(port)
    settings = Settings(brokers=f"127.0.0.1:{port}")
    feed = RejectedFeed(settings, look_seconds=0.3)
    try:
        put(settings, *(rejected_event(offset) for offset in range(40)))
        feed.start()
        until(lambda: feed.rejects().total == 40)
        broker.send_signal(signal.SIGSTOP)
        until(lambda: feed.status.state == "down")
        broker.send_signal(signal.SIGCONT)
        put(settings, *(rejected_event(offset) for offset in range(40, 60)))
        until(lambda: feed.rejects().total == 60 and feed.status.state == "live")
        assert feed.records == 60
    finally:
        feed.stop()
        broker.kill()
        broker.wait()


@pytest.mark.parametrize("grown", [40, *(pytest.param(grown, marks=pytest.mark.long) for grown in (1, 90))])
def test_after_the_broker_lost_its_log_what_stood_there_is_forgotten(grown: int) -> None:
    port = free_port()
    broker = broker_process(port)
    settings = Settings(brokers=f"127.0.0.1:{port}")
    feed = RejectedFeed(settings, look_seconds=0.3)
    try:
        put(settings, *(rejected_event(offset) for offset in range(40)))
        feed.start()
        until(lambda: feed.rejects().total == 40)
        broker.kill()
        broker.wait()
        until(lambda: feed.status.state == "down")
        assert feed.rejects().total == 40
        broker = broker_process(port)
        put(settings, *(rejected_event(offset, "late") for offset in range(grown)))
        until(lambda: feed.rejects().counts["late"] == grown and feed.rejects().total == grown)
    finally:
        feed.stop()
        broker.kill()
        broker.wait()
