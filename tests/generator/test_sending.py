"""Sending: by absolute deadlines, nothing lost, everything counted."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator

import msgspec
import pytest
from confluent_kafka import Consumer, TopicPartition

from dataflows.contract.errors import DeliveryError
from dataflows.contract.settings import Settings
from dataflows.kafka.clients import consumer_config
from generator.batches import Batch, Mark, Message, Stamps
from generator.delivery import KafkaSink, StreamSink
from generator.report import ProgressReporter, summary
from generator.sending import EventSender, StopRequest
from tests.support.flows import ANSWER_SECONDS


class FakeClock:
    """Time that passes only in `sleep`, and a little (`cost`) with each look at it."""

    def __init__(self, cost: int = 0) -> None:
        self.time = 1_000_000
        self.cost = cost

    def now(self) -> int:
        self.time += self.cost
        return self.time

    def sleep(self, seconds: float) -> None:
        # A real one oversleeps as well.
        self.time += int(seconds * 1_000_000) + 70


class Recorder:
    """A sink that notes when it got what; `at_once` seconds pass with each sending."""

    def __init__(self, clock: FakeClock, then: Callable[[], None] = lambda: None, error: Exception | None = None) -> None:
        self.sent = self.failed = 0
        self.reason = ""
        self.times: list[int] = []
        self.finished = False
        self._clock = clock
        self._then = then
        self._error = error

    def send(self, messages: Iterable[Message]) -> None:
        for _ in messages:
            self.times.append(self._clock.time)
            self.sent += 1
            if self._error:
                self.failed += 1
                raise self._error
            self._then()

    def pending(self) -> int:
        return 0

    def away(self) -> bool:
        return False

    def finish(self, give_up: Callable[[], bool]) -> None:
        self.finished = not give_up()


class Due:
    """A source of messages that are due at the given times, in one batch."""

    def __init__(self, due: list[int], count: int | None = None) -> None:
        self.total: int | None = None
        self._due = due
        self._count = len(due) if count is None else count

    def title(self) -> str:
        return "messages"

    def batches(self) -> Iterator[Batch]:
        marks: dict[int, Mark] = dict.fromkeys(range(0, self._count, 10), "late")
        yield Batch([(f"k{index}", "v") for index in range(self._count)], self._due, marks)


def sender(sink: object, clock: FakeClock, stop: StopRequest | None = None) -> tuple[EventSender, io.StringIO]:
    said = io.StringIO()
    return EventSender(sink, clock, stop or StopRequest(), ProgressReporter(said)), said  # pyright: ignore[reportArgumentType] - a sink by its shape


@pytest.mark.parametrize(("rate", "cost"), [(20, 0), (20, 900), (1_000, 50), (100_000, 3)])
def test_no_message_goes_out_before_its_time_and_no_delay_accumulates(rate: int, cost: int) -> None:
    clock = FakeClock(cost)
    sink = Recorder(clock)
    due = [1_000_000 + index * 1_000_000 // rate for index in range(2 * rate)]
    sender(sink, clock)[0].run(Due(due))
    late = [sent - wanted for sent, wanted in zip(sink.times, due, strict=True)]
    assert min(late) >= 0
    assert max(late) < 5_000
    assert max(late[-rate:]) < 5_000  # the second half is not later than the first


def test_after_a_pause_what_is_overdue_goes_out_at_once_and_the_grid_is_kept() -> None:
    clock = FakeClock()
    sink = Recorder(clock)
    sink._then = lambda: setattr(clock, "time", clock.time + 3_000_000) if sink.sent == 10 else None  # pyright: ignore[reportPrivateUsage]
    due = [1_000_000 + index * 50_000 for index in range(200)]
    sender(sink, clock)[0].run(Due(due))
    assert sink.times[-1] - due[-1] < 5_000
    assert sink.times[60] - sink.times[11] < 5_000


def test_messages_without_a_time_go_out_at_once() -> None:
    clock = FakeClock()
    counts = sender(Recorder(clock), clock)[0].run(Due([], 5_000))
    assert counts["sent"] == counts["acknowledged"] == 5_000
    assert clock.time == 1_000_000


def test_a_stop_ends_the_run_and_only_what_was_sent_is_counted() -> None:
    clock, stop = FakeClock(), StopRequest()
    sink = Recorder(clock)
    sink._then = lambda: stop.ask() if sink.sent == 31 else None  # pyright: ignore[reportPrivateUsage]
    counts = sender(sink, clock, stop)[0].run(Due([1_000_000 + index * 50_000 for index in range(200)]))
    assert counts["sent"] == 31
    assert counts["late"] == 4
    assert sink.finished


def test_a_second_stop_ends_it_at_once() -> None:
    clock, stop = FakeClock(), StopRequest()
    sink = Recorder(clock, lambda: (stop.ask(), stop.ask())[0])
    run, said = sender(sink, clock, stop)
    assert run.run(Due([], 100))["sent"] == 1
    assert "stopped at once" in said.getvalue()
    assert not sink.finished


def test_an_error_for_good_is_one_line_and_the_counts_stay() -> None:
    clock = FakeClock()
    run, said = sender(Recorder(clock, error=DeliveryError("Kafka takes no more events.")), clock)
    counts = run.run(Due([], 100))
    assert (counts["sent"], counts["acknowledged"], counts["failed"]) == (1, 0, 1)
    assert said.getvalue().count("\n") == 1


def test_an_error_after_which_no_refusal_is_reported_is_not_a_success() -> None:
    class Stopped(Recorder):
        def finish(self, give_up: Callable[[], bool]) -> None:
            del give_up
            raise DeliveryError("Kafka refuses events for topic logs.")

    clock = FakeClock()
    run, said = sender(Stopped(clock), clock)
    counts = run.run(Due([], 3))
    assert (counts["sent"], counts["failed"], run.has_failed) == (3, 0, True)
    assert "Kafka refuses events" in said.getvalue()


def test_the_summary_always_has_sent_acknowledged_and_failed() -> None:
    assert summary({"sent": 1000, "acknowledged": 1000, "failed": 0, "late": 0}) == "sent 1,000, acknowledged 1,000, failed 0"
    assert summary({"sent": 2, "acknowledged": 1, "failed": 1, "late": 3}).endswith("failed 1, late 3")


def test_a_stream_gets_a_line_for_each_message() -> None:
    stream = io.BytesIO()
    sink = StreamSink(stream)
    sink.send([("a", "{}"), ("b", b"\xff")])
    sink.send([])
    assert stream.getvalue() == b"{}\n\xff\n"
    assert sink.sent == 2


def topic(settings: Settings) -> list[tuple[bytes | None, bytes | None]]:
    """Key and value of everything on the logs topic."""
    consumer = Consumer(consumer_config(settings, "test"))
    partitions = consumer.list_topics(settings.logs_topic, timeout=ANSWER_SECONDS).topics[settings.logs_topic].partitions
    places = [TopicPartition(settings.logs_topic, number, 0) for number in partitions]
    total = sum(consumer.get_watermark_offsets(place, timeout=ANSWER_SECONDS)[1] for place in places)
    consumer.assign(places)
    found: list[tuple[bytes | None, bytes | None]] = []
    while len(found) < total:
        found += [(message.key(), message.value()) for message in consumer.consume(1000, 0.2) if not message.error()]
    consumer.close()
    return found


def test_what_kafka_acknowledges_is_there_under_its_key(settings: Settings) -> None:
    said: list[str] = []
    sink = KafkaSink(settings, said.append)
    sent: list[Message] = [(f"id-{index}", f'{{"n":{index}}}') for index in range(3_000)]
    sink.send(sent)
    sink.finish(lambda: False)
    assert (sink.sent, sink.failed, sink.pending(), said) == (3_000, 0, 0, [])
    assert sorted(topic(settings)) == sorted((key.encode(), str(value).encode()) for key, value in sent)


def test_a_message_that_is_too_large_fails_alone_and_is_counted(settings: Settings) -> None:
    sink = KafkaSink(settings, print)
    sink.send([("a", "{}"), ("b", "x" * 2_000_000), ("c", "{}")])
    sink.finish(lambda: False)
    assert (sink.sent, sink.failed, sink.pending()) == (3, 1, 0)
    assert "size" in sink.reason.lower()


def test_a_full_queue_makes_the_sender_wait_and_loses_nothing(settings: Settings) -> None:
    small = msgspec.structs.replace(settings, client={"queue.buffering.max.messages": "100", "linger.ms": "1"})
    sink = KafkaSink(small, print)
    sink.send((f"id-{index}", "{}") for index in range(500))
    sink.finish(lambda: False)
    assert (sink.sent, sink.failed, sink.pending()) == (500, 0, 0)
    assert len(topic(settings)) == 500


def test_a_stop_while_the_broker_is_away_leaves_the_rest_unsent_and_says_so() -> None:
    nowhere = Settings(brokers="127.0.0.1:9", client={"queue.buffering.max.messages": "10"})
    asked: list[bool] = []

    def interrupted() -> bool:
        asked.append(True)
        return len(asked) > 3

    sink = KafkaSink(nowhere, print, interrupted)
    sink.send((f"id-{index}", "{}") for index in range(50))
    sink.finish(lambda: True)
    assert (sink.sent, sink.pending()) == (10, 10)


def test_stamps_are_rfc_3339_in_utc_before_and_after_1970() -> None:
    stamps = Stamps()
    assert stamps.text(1_767_268_800_000_001) == "2026-01-01T12:00:00.000001Z"
    assert stamps.text(-1) == "1969-12-31T23:59:59.999999Z"
