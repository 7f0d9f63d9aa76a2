"""The lag is what waits: no marker, no aborted message, nothing that is gone, and what an open transaction holds back."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient  # pyright: ignore[reportPrivateImportUsage]  # the documented place
from confluent_kafka.cimpl import NewTopic
from msgspec.structs import replace
from typing_extensions import override

from dataflows.commands.counters import Progress, progress
from dataflows.contract.schema import encode
from dataflows.contract.settings import Settings
from dataflows.flow.progress import CommittedCounters
from dataflows.kafka.clients import make_consumer
from dataflows.kafka.lag import Counted, LagRequests, OffsetRange, Waiting, Waits
from tests.support.flows import ANSWER_SECONDS, send, wait_for
from tests.support.readers import FakeTopology, read, reader
from tests.support.records import payload
from tests.support.settings import own_names

HUGE = 2**62


@pytest.mark.parametrize(
    ("log", "lag", "lost", "recreated"),
    [
        ((5, 0, 5), 0, 0, False),
        ((5, 0, 7), 2, 0, False),
        ((None, 3, 7), 4, 0, False),
        ((5, 9, 12), 3, 4, False),
        ((5, 9, 9), 0, 4, False),
        ((20, 0, 5), 5, 0, True),
        ((20, 2, 5), 3, 0, True),
        ((20, 0, 0), 0, 0, True),
        ((HUGE, 0, HUGE + 1), 1, 0, False),
        ((0, HUGE, HUGE), 0, HUGE, False),
    ],
)
def test_what_is_gone_does_not_wait_and_a_recreated_log_waits_as_a_whole(
    log: tuple[int | None, int, int], lag: int, lost: int, recreated: bool
) -> None:
    offset, begin, end = log
    row = Progress(0, offset, end, CommittedCounters(), begin)
    assert (row.lag, row.lost, row.is_recreated) == (lag, lost, recreated)
    words = " ".join(row.notes(Settings()))
    assert ("no longer on the broker" in words) == bool(lost)
    assert ("recreated or has lost data" in words) == recreated


def test_a_dataflow_that_begins_at_the_latest_event_leaves_nothing_waiting_before_its_first_commit() -> None:
    assert Progress(0, None, 7, CommittedCounters(), 3, skips=True).lag == 0
    assert Progress(0, 5, 7, CommittedCounters(), 3, skips=True).lag == 2


def test_a_lag_that_is_found_is_that_of_the_messages_and_says_what_an_open_transaction_holds_back() -> None:
    row = Progress(0, 5, 200, CommittedCounters(), waits=Waits(12, 10))
    assert row.lag == 12
    assert row.notes(Settings()) == [
        "10 messages wait behind a transaction that a producer has left open; Kafka releases them when it ends"
    ]
    assert "upper bound" in Progress(0, 5, 200, CommittedCounters(), waits=Waits(195, is_exact=False)).notes(Settings())[0]


def test_messages_are_counted_once_and_forgotten_once_they_were_read() -> None:
    part = Counted(10)
    for offset in (10, 11, 12, 20, 21, 40):
        part.add(offset)
    part.reach(50)
    assert (part.messages(50), part.messages(21), part.messages(5)) == (6, 4, 0)
    part.begin_at(12)
    assert part.messages(50) == 4
    part.begin_at(22)
    assert (part.messages(50), part.to) == (1, 50)
    part.begin_at(60)
    assert (part.messages(99), part.to) == (0, 60)
    part.add(60)
    part.begin_at(3)
    assert (part.messages(99), part.to) == (0, 3)


def test_without_an_answer_what_waits_is_bounded_by_the_offsets() -> None:
    waiting = Waiting(Settings(brokers="127.0.0.1:1"), "test")
    found = waiting.count({0: OffsetRange(5, 5), 1: OffsetRange(5, 30), 2: OffsetRange(0, HUGE)}, seconds=0.1)
    assert found == {0: Waits(0), 1: Waits(25, is_exact=False), 2: Waits(HUGE, is_exact=False)}


def test_what_waits_is_counted_on_from_where_it_was_counted_before(settings: Settings) -> None:
    send(settings, [payload(f"e{number}", number) for number in range(30)], partition=0)
    waiting = Waiting(settings, "test")
    wait_for(lambda: waiting.count({0: OffsetRange(10, 30)}) == {0: Waits(20)}, "the messages to be counted")
    send(settings, [payload("new", 1)], partition=0)
    wait_for(lambda: waiting.count({0: OffsetRange(25, 31)}) == {0: Waits(6)}, "the new message to be counted")
    assert waiting.count({0: OffsetRange(31, 31)}) == {0: Waits(0)}


def test_a_recreated_log_that_has_grown_past_the_offset_is_recognised_by_the_last_message(settings: Settings) -> None:
    send(settings, [payload(f"e{number}", number) for number in range(30)], partition=0)
    one = reader(settings)
    read(one, 30)
    send(settings, [payload("more", 1)], partition=0)
    wait_for(lambda: (one.commit_progress(), progress(settings, ANSWER_SECONDS)[0].offset == 30)[1], "the commit")
    row = progress(settings, ANSWER_SECONDS)[0]
    assert (row.is_recreated, row.lag) == (False, 1)
    one.close()
    # What was committed for it now accompanies the offset of another log.
    again = replace(settings, logs_topic=f"{settings.logs_topic}-again")
    send(again, [payload(f"new{number}", number) for number in range(40)], partition=0)
    consumer = make_consumer(again, "test")
    consumer.commit(offsets=[TopicPartition(again.logs_topic, 0, 30, metadata=encode(row.shown).decode())], asynchronous=False)
    consumer.close()
    row = progress(again, ANSWER_SECONDS)[0]
    assert (row.is_recreated, row.lag) == (True, 40)
    assert "holds a different message at the offset that was read last" in row.notes(settings)[0]


class OneMessage(Waiting):
    """Reads one message in each span, and no broker."""

    def __init__(self) -> None:
        super().__init__(Settings(), "test")
        self.reads: list[dict[int, OffsetRange]] = []

    @override
    def _read(self, isolation: str, parts: Mapping[int, Counted], spans: Mapping[int, OffsetRange], deadline: float) -> set[int]:
        if parts:
            self.reads.append(dict(spans))
        for number, part in parts.items():
            part.add(part.to)
            part.reach(spans[number].end)
        return set()


def test_an_event_on_its_way_is_not_taken_for_one_behind_a_transaction() -> None:
    waiting = OneMessage()
    behind = LagRequests(waiting)
    assert behind.messages(0, OffsetRange(5, 7)) == 2
    behind.count()
    assert behind.messages(0, OffsetRange(7, 9)) == 2
    behind.count()
    assert waiting.reads == []
    assert behind.messages(0, OffsetRange(7, 10)) == 3
    behind.count()
    assert waiting.reads == [{0: OffsetRange(7, 10)}]
    assert behind.messages(0, OffsetRange(7, 12)) == 1 + 2
    assert behind.messages(0, OffsetRange(12, 13)) == 1


class Logs:
    """A topic of logs with one partition on a real Kafka, its dataflow's reader, and its producers."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.admin = AdminClient({"bootstrap.servers": settings.brokers})
        self.create()
        self.around = FakeTopology()
        self.reader = reader(settings, around=self.around)
        self.numbers = iter(range(1_000_000))

    def create(self) -> None:
        self.admin.create_topics([NewTopic(self.settings.logs_topic, 1, 1)])[self.settings.logs_topic].result(ANSWER_SECONDS)

    def delete(self) -> None:
        self.admin.delete_topics([self.settings.logs_topic])[self.settings.logs_topic].result(ANSWER_SECONDS)

    def transactional(self) -> Producer:
        name = f"{self.settings.group}-{next(self.numbers)}"
        made = Producer({"bootstrap.servers": self.settings.brokers, "transactional.id": name, "log_level": 0})
        made.init_transactions(ANSWER_SECONDS)
        return made

    def put(self, count: int, producer: Producer | None = None) -> None:
        if producer is None:
            send(self.settings, [payload(f"e{next(self.numbers)}", 1) for _ in range(count)], partition=0)
            return
        for _ in range(count):
            producer.produce(self.settings.logs_topic, payload(f"e{next(self.numbers)}", 1), partition=0)
        assert producer.flush(ANSWER_SECONDS) == 0

    def transaction(self, producer: Producer, count: int, *, commit: bool) -> None:
        producer.begin_transaction()
        self.put(count, producer)
        (producer.commit_transaction if commit else producer.abort_transaction)(ANSWER_SECONDS)

    def row(self) -> Progress:
        (found,) = progress(self.settings, ANSWER_SECONDS)
        return found

    def shows(self, wanted: Callable[[Progress], bool]) -> Progress:
        """What `counters` shows once it is `wanted`; the reader goes on reading and committing meanwhile."""

        def look() -> Progress | None:
            self.reader.poll()
            self.reader.commit_progress()
            return row if wanted(row := self.row()) else None

        return wait_for(look, f"the lag, now {self.row()}")

    def lag(self) -> int | None:
        """What /metrics shows."""
        return self.reader.progress().lag


@pytest.fixture
def logs(real_kafka: str) -> Logs:
    return Logs(own_names(real_kafka))


@pytest.mark.kafka
@pytest.mark.xdist_group("faults")
def test_what_waits_counts_whatever_transactions_do(logs: Logs) -> None:
    logs.put(5)
    logs.shows(lambda row: (row.offset, row.lag) == (5, 0))
    behind = LagRequests(Waiting(logs.settings, "test"))
    logs.around.behind = behind.messages
    other, left_open = logs.transactional(), logs.transactional()
    # Held back: its own message, a hundred without a transaction, and those of a transaction that is committed behind it; but not
    # that one's marker.
    left_open.begin_transaction()
    logs.put(1, left_open)
    logs.put(100)
    logs.transaction(other, 3, commit=True)
    row = logs.shows(lambda row: row.lag == 104)
    assert (row.waits, row.end - (row.offset or 0)) == (Waits(104, 104), 105)

    def counted() -> bool:
        logs.reader.poll()
        found = logs.lag()
        behind.count()
        return found == 104

    wait_for(counted, "the metric to leave the marker out")
    left_open.abort_transaction(ANSWER_SECONDS)
    row = logs.shows(lambda row: row.shown.read == 108)
    assert (row.lag, row.offset, logs.lag()) == (0, row.end, 0)
    # The log ends in aborted messages and markers: nothing waits, and the offset is that of the end.
    logs.transaction(other, 500, commit=False)
    row = logs.shows(lambda row: row.offset == row.end)
    assert (row.shown.read, row.lag, logs.lag()) == (108, 0, 0)
    # While there is no reader, neither markers nor aborted messages wait, behind an open transaction or not.
    for _ in range(7):
        logs.transaction(other, 1, commit=True)
    logs.transaction(other, 50, commit=False)
    assert (logs.row().lag, logs.row().end) == (7, row.end + 14 + 51)
    left_open.begin_transaction()
    logs.put(2, left_open)
    assert logs.row().waits == Waits(9, 2)
    left_open.commit_transaction(ANSWER_SECONDS)
    assert logs.row().waits == Waits(9)
    # A flow that ended there goes on behind the markers, and has not read anything twice.
    state = logs.reader.snapshot()
    logs.reader.close()
    logs.reader = reader(logs.settings, state)
    assert logs.shows(lambda row: row.lag == 0).shown.read == 117


@pytest.mark.kafka
@pytest.mark.xdist_group("faults")
def test_what_was_deleted_does_not_wait_and_a_recreated_topic_waits_as_a_whole(logs: Logs) -> None:
    topic = logs.settings.logs_topic
    logs.put(20)
    assert (logs.row().offset, logs.row().lag) == (None, 20)
    logs.shows(lambda row: row.lag == 0)
    logs.put(10)
    deleting = logs.admin.delete_records([TopicPartition(topic, 0, 24)])
    for deleted in deleting.values():
        deleted.result(ANSWER_SECONDS)
    row = logs.row()
    assert (row.lag, row.lost) == (6, 4)
    assert "the offsets 20 to 23 are no longer on the broker" in row.notes(logs.settings)[0]
    logs.reader.close()
    logs.delete()
    wait_for(lambda: topic not in logs.admin.list_topics(timeout=ANSWER_SECONDS).topics, "the topic to be gone")
    logs.create()
    logs.put(5)
    # As a flow does that has not noticed yet.
    consumer = make_consumer(logs.settings, "test")
    consumer.commit(offsets=[TopicPartition(topic, 0, 20)], asynchronous=False)
    consumer.close()
    row = logs.row()
    assert (row.lag, row.is_recreated) == (5, True)
    assert logs.row().lag == progress(replace(logs.settings, start="latest"), ANSWER_SECONDS)[0].lag
