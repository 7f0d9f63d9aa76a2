"""The feed: it reads what is there, waits for what is not, mends itself, and no record stops it."""

from __future__ import annotations

import signal
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, Self

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource  # pyright: ignore[reportPrivateImportUsage]  # the documented place
from msgspec.structs import replace

from dataflows.contract.schema import encode
from dataflows.contract.settings import Settings
from dataflows.kafka.clients import make_producer
from dataflows.kafka.topics import Topics
from figures.feed.positions import LogReplacedError
from figures.feed.upserts import Feed
from figures.store.store import Store
from tests.support.brokers import broker_process
from tests.support.feeds import FeedRecord, World
from tests.support.flows import ANSWER_SECONDS, free_port
from tests.support.results import result
from tests.support.settings import own_names
from tests.support.waiting import until


class OwnBroker:
    """An embedded broker that can be killed, and a world on it whose ten rows the feed has read; both are gone when the block ends."""

    def __enter__(self) -> Self:
        self._port = free_port()
        self._process = broker_process(self._port)
        self.world = World(Settings(brokers=f"127.0.0.1:{self._port}"))
        try:
            self.world.send(*(result(minute=minute) for minute in range(10)))
            self.world.feed.start()
            until(lambda: self.world.rows() == 10)
        except BaseException:
            self.__exit__()
            raise
        return self

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def restart_empty(self) -> None:
        """Start another broker on the same port, whose log is empty."""
        self._process = broker_process(self._port)
        self.world.producer = make_producer(self.world.settings, "test")

    def __exit__(self, *_: object) -> None:
        self.world.feed.stop()
        self.kill()


@pytest.fixture
def world(settings: Settings) -> Iterator[World]:
    made = World(settings)
    yield made
    made.feed.stop()


def test_it_reads_what_was_there_before_and_what_comes_later(world: World) -> None:
    world.send(*(result(minute=minute) for minute in range(50)))
    world.feed.start()
    until(lambda: world.rows() == 50)
    world.send(result(minute=50))
    until(lambda: world.rows() == 51)
    until(lambda: world.feed.status.state == "live")
    assert world.feed.status.records == 51


def test_a_correction_replaces_what_is_held(world: World) -> None:
    world.feed.start()
    world.send(result(clicks=1))
    world.send(result(clicks=5, revision=13, state="corrected"))
    until(lambda: world.feed.status.records == 2)
    until(lambda: world.store.snapshot().between(0, 2**40, 60)["clicks"].to_list() == [5])
    assert world.rows() == 1


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"not json",
        b"{}",
        b"\xff\xfe",
        b"[" * 5000,
        encode(result()).replace(b'"clicks":1', b'"clicks":"many"'),
        encode(result()).replace(b'"state":"final"', b'"state":"rumoured"'),
        encode(result(currency="euro")),
        encode(result()).replace(b"T", b" at "),
        encode(result(minute=500_000_000)),
    ],
)
def test_a_record_that_is_not_a_result_is_counted_and_stops_nothing(world: World, bad: bytes) -> None:
    world.feed.start()
    world.send(bad, result())
    until(lambda: world.rows() == 1 and world.feed.status.unread == 1)
    assert "partition" in world.feed.status.problem


def test_it_waits_for_a_broker_that_is_not_there_and_says_so() -> None:
    store = Store()
    feed = Feed(Settings(brokers="127.0.0.1:1"), store, look_seconds=0.3).start()
    try:
        until(lambda: feed.status.state == "down")
        assert "127.0.0.1:1" in feed.status.problem
        assert feed.alive
    finally:
        feed.stop()
    assert not feed.alive


def test_it_waits_for_a_topic_that_is_not_there_yet(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.feed.start()
    # In its status it is to be seen only until the embedded broker has made the topic that was asked for.
    until(lambda: f"waiting for topic {world.settings.results_topic}" in caplog.text)
    assert world.rows() == 0
    world.send(result())
    until(lambda: world.rows() == 1 and world.feed.status.state == "live")


def test_a_second_reading_of_the_topic_does_not_bring_back_what_was_cleared(world: World) -> None:
    world.send(*(result(minute=minute) for minute in range(20)))
    world.feed.start()
    until(lambda: world.rows() == 20)
    world.store.clear()
    world.feed.stop()
    again = Feed(world.settings, world.store, look_seconds=0.3).start()
    try:
        world.send(result(minute=20))
        until(lambda: world.rows() == 1)
        until(lambda: again.status.state == "live")
        assert again.status.records == 1
    finally:
        again.stop()


def test_a_clear_hides_nothing_of_a_recreated_log_that_has_grown_beyond_the_old_one() -> None:
    with OwnBroker() as broker:
        world = broker.world
        world.store.clear()
        world.feed.stop()
        broker.kill()
        broker.restart_empty()
        world.send(*(result(minute=minute) for minute in range(100, 150)))
        world.feed = Feed(world.settings, world.store, look_seconds=0.3).start()
        until(lambda: world.feed.status.state == "live" and world.rows() == 50)


@pytest.mark.kafka
def test_a_clear_hides_nothing_of_a_topic_that_was_deleted_and_recreated(real_kafka: str) -> None:
    world = World(replace(own_names(real_kafka), partitions=1))
    topics, admin = Topics(world.settings), AdminClient({"bootstrap.servers": real_kafka})
    name = world.settings.results_topic
    topics.ensure(name, timeout=ANSWER_SECONDS)
    try:
        world.send(*(result(minute=minute) for minute in range(10)))
        world.feed.start()
        until(lambda: world.rows() == 10)
        world.store.clear()
        world.feed.stop()
        admin.delete_topics([name])[name].result(30)
        until(lambda: not topics.partitions(name, ANSWER_SECONDS))
        topics.ensure(name, timeout=ANSWER_SECONDS)
        world.producer = make_producer(world.settings, "test")
        world.send(*(result(minute=minute) for minute in range(100, 150)))
        world.feed = Feed(world.settings, world.store, look_seconds=0.3).start()
        until(lambda: world.feed.status.state == "live" and world.rows() == 50)
    finally:
        world.feed.stop()


def record(partition: int, offset: int, stamp: int, **of: Any) -> Any:
    return FeedRecord(partition, offset, stamp, encode(result(**of)))


def test_rows_of_a_recreated_topic_are_dropped_and_hide_nothing_of_the_new_one(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store()
    feed = Feed(settings, store)
    old = [record(0, at, 1000 + at, minute=at, revision=900, clicks=50) for at in range(5)]
    feed.take(old)
    feed.take(old[1:3])  # read once more: the same log
    assert store.snapshot().rows == 5
    new = [record(1, 0, 2000, minute=7), record(0, 0, 2000, minute=0, revision=1, clicks=3)]
    with pytest.raises(LogReplacedError):
        feed.take(new)
    assert store.snapshot().rows == 0
    assert "dropped all 5 rows" in caplog.text
    feed.take(new)
    assert store.snapshot().between(0, 2**40, 60)["clicks"].to_list() == [3, 1]
    assert store.undo() == 0


def test_what_was_cleared_stays_out_until_the_topic_is_recreated(settings: Settings) -> None:
    store = Store()
    old = [record(0, at, 1000 + at, minute=at) for at in range(5)]
    feed = Feed(settings, store)
    feed.take(old)
    store.clear()
    feed.take(old)
    assert store.snapshot().rows == 0
    with pytest.raises(LogReplacedError):
        feed.take([record(0, 2, 2000, minute=2)])
    feed.take([record(0, at, 2000 + at, minute=at) for at in range(3)])
    assert store.snapshot().rows == 3


@contextmanager
def ten_rows(brokers: str) -> Generator[World]:
    """A feed that holds ten rows of a topic with one partition on a real Kafka."""
    world = World(replace(own_names(brokers), partitions=1))
    Topics(world.settings).ensure(world.settings.results_topic, timeout=ANSWER_SECONDS)
    try:
        world.send(*(result(minute=minute, revision=900) for minute in range(10)))
        world.feed.start()
        until(lambda: world.rows() == 10)
        yield world
    finally:
        world.feed.stop()


def recreate(settings: Settings) -> None:
    """Delete the results topic of `settings` and create it again."""
    topics, admin, name = Topics(settings), AdminClient({"bootstrap.servers": settings.brokers}), settings.results_topic
    admin.delete_topics([name])[name].result(30)
    until(lambda: not topics.partitions(name, ANSWER_SECONDS))
    topics.ensure(name, timeout=ANSWER_SECONDS)


@pytest.mark.kafka
def test_the_rows_of_a_topic_that_was_deleted_and_recreated_leave_the_page(real_kafka: str) -> None:
    with ten_rows(real_kafka) as world:
        recreate(world.settings)
        world.producer = make_producer(world.settings, "test")
        world.send(*(result(minute=minute, clicks=7, revision=1) for minute in range(3)))
        until(lambda: world.feed.status.state == "live" and world.rows() == 3)
        assert world.store.snapshot().between(0, 2**40, 60)["clicks"].to_list() == [7, 7, 7]


@pytest.mark.parametrize("written", [0, 1, pytest.param(25, marks=pytest.mark.long)])
def test_rows_leave_the_store_after_the_broker_was_away_and_lost_its_log(written: int) -> None:
    with OwnBroker() as broker:
        world = broker.world
        broker.kill()
        until(lambda: world.feed.status.state == "down")
        assert world.rows() == 10
        broker.restart_empty()
        if written:
            world.send(*(result(minute=100 + minute, revision=1) for minute in range(written)))
        else:
            Topics(world.settings).ensure(world.settings.results_topic, timeout=ANSWER_SECONDS)
        until(lambda: world.rows() == written and world.feed.status.state == "live")
        assert world.store.undo() == 0


def test_rows_stay_after_a_broker_that_was_away_comes_back_with_its_log() -> None:
    with OwnBroker() as broker:
        world = broker.world
        broker.pause()
        until(lambda: world.feed.status.state == "down")
        broker.resume()
        world.send(result(minute=10))
        until(lambda: world.rows() == 11 and world.feed.status.state == "live")
        assert world.feed.status.records == 11


@pytest.mark.kafka
@pytest.mark.parametrize("change", ["recreate", "empty"])
def test_rows_of_a_topic_that_holds_nothing_any_more_leave_the_store_before_the_next_record(real_kafka: str, change: str) -> None:
    with ten_rows(real_kafka) as world:
        name = world.settings.results_topic
        if change == "recreate":
            recreate(world.settings)
        else:
            admin = AdminClient({"bootstrap.servers": real_kafka})
            deletable = ConfigEntry("cleanup.policy", "compact,delete", incremental_operation=AlterConfigOpType.SET)
            resource = ConfigResource("topic", name, incremental_configs=[deletable])
            admin.incremental_alter_configs([resource])[resource].result(30)
            everything = TopicPartition(name, 0, 10)
            admin.delete_records([everything])[everything].result(30)
        until(lambda: world.rows() == 0 and world.feed.status.state == "live")
