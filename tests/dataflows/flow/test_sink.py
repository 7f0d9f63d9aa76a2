from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from prometheus_client import generate_latest

from dataflows.contract.errors import DeliveryError
from dataflows.contract.schema import HEADERS
from dataflows.flow.sink import Outbox, OutboxPart
from dataflows.flow.telemetry import Observed
from dataflows.kafka.clients import why_stopped
from dataflows.wire.records import Records
from tests.support.telemetries import samples, total

Headers = list[tuple[str, bytes]]


class FakeProducer:
    """A producer whose broker acknowledges on request; `room` records fit its buffer."""

    def __init__(self, room: int = 100) -> None:
        self.room = room
        self.waiting: list[tuple[bytes, Callable[..., None]]] = []
        self.acknowledged: list[bytes] = []
        self.answer: Callable[[], KafkaError | None] | None = lambda: None
        self.headers: dict[bytes, Headers] = {}

    def produce(self, _topic: str, *, key: bytes, value: bytes, headers: Headers, on_delivery: Callable[..., None]) -> None:
        assert HEADERS[0] in headers
        if len(self.waiting) >= self.room:
            raise BufferError
        self.headers[key] = headers
        self.waiting.append((key + value, on_delivery))

    def poll(self, timeout: float) -> int:
        if timeout and self.answer is not None and self.waiting:
            record, heard_in_snapshot = self.waiting.pop(0)
            error = self.answer()
            if error is None:
                self.acknowledged.append(record)
            else:  # "delivery.report.only.error"
                heard_in_snapshot(error, None)
        return 0

    flush = poll

    def __len__(self) -> int:
        return len(self.waiting)


def outbox(producer: Any, stopping: Callable[[], bool] = lambda: False, **given: Any) -> Outbox:
    return Outbox(producer, "results", stopping, **given)


def test_a_snapshot_waits_until_every_record_is_acknowledged() -> None:
    producer = FakeProducer()
    part = OutboxPart(outbox(producer))
    part.write_batch([Records.of([(b"a", b"1"), (b"b", b"2")])])
    assert producer.acknowledged == []
    part.snapshot()
    assert producer.acknowledged == [b"a1", b"b2"]


def test_a_full_buffer_is_waited_for_and_loses_nothing() -> None:
    producer = FakeProducer(room=2)
    part = OutboxPart(outbox(producer))
    part.write_batch([Records.of([(b"k", str(number).encode()) for number in range(50)])])
    part.snapshot()
    assert producer.acknowledged == [b"k" + str(number).encode() for number in range(50)]


class StoppedProducer(FakeProducer):
    """One that may write to no topic: the first call that serves its callbacks says so, as librdkafka does it, and no later one."""

    def __init__(self, by_callback: bool) -> None:
        super().__init__()
        self._by_callback = by_callback
        self._said = False

    def poll(self, timeout: float) -> int:
        if self._said:
            return super().poll(timeout)
        self._said = True
        met = KafkaException(KafkaError(KafkaError.CLUSTER_AUTHORIZATION_FAILED, "Failed to acquire idempotence PID", fatal=True))
        if self._by_callback:
            raise SystemError("a callback returned a result with an exception set") from met
        raise met

    flush = poll


@pytest.mark.parametrize("by_callback", [False, True])
@pytest.mark.parametrize("heard_in_snapshot", [False, True], ids=["in the snapshot", "between snapshots"])
def test_a_producer_that_may_write_nowhere_ends_the_run_with_the_right_that_it_lacks(
    by_callback: bool, heard_in_snapshot: bool
) -> None:
    box = outbox(StoppedProducer(by_callback))
    box.send(Records.of([(b"a", b"1")]))
    if heard_in_snapshot:
        box.check_reports()
    with pytest.raises(DeliveryError, match="lacks the right Write on topic results; grant it to its user"):
        box.flush()


def test_what_a_producer_does_not_say_is_not_taken_for_its_end() -> None:
    with pytest.raises(SystemError, match="something else"):
        why_stopped(SystemError("something else"))


def test_a_record_that_the_broker_refuses_ends_the_run_before_the_snapshot() -> None:
    producer = FakeProducer()
    producer.answer = lambda: KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    part = OutboxPart(outbox(producer))
    part.write_batch([Records.of([(b"a", b"1")])])
    with pytest.raises(DeliveryError, match="refused a record of results"):
        part.snapshot()


def test_a_refusal_that_a_wrong_clock_explains_says_so() -> None:
    producer = FakeProducer()
    producer.answer = lambda: KafkaError(KafkaError.INVALID_TIMESTAMP)
    box = outbox(producer)
    box.send(Records.of([(b"a", b"1")]))
    with pytest.raises(DeliveryError, match="check this machine's clock"):
        box.flush()


def test_a_refusal_is_raised_at_the_next_record_too() -> None:
    producer = FakeProducer()
    producer.answer = lambda: KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
    box = outbox(producer)
    box.send(Records.of([(b"a", b"1")]))
    producer.poll(1)
    with pytest.raises(DeliveryError):
        box.send(Records.of([(b"b", b"2")]))


def test_a_stop_gives_up_on_a_broker_that_is_away_and_takes_no_snapshot() -> None:
    producer = FakeProducer()
    producer.answer = None
    part = OutboxPart(outbox(producer, stopping=lambda: True, give_up_seconds=0.0))
    part.write_batch([Records.of([(b"a", b"1")])])
    with pytest.raises(DeliveryError, match="the next run sends them again"):
        part.snapshot()


def test_a_stop_after_a_long_wait_still_gives_the_broker_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    producer, stopped = FakeProducer(), [False]
    box = outbox(producer, stopping=lambda: stopped[0], monotonic=lambda: clock[0])
    box.send(Records.of([(b"a", b"1")]))
    polls = [0]

    def away(timeout: float) -> int:
        polls[0] += bool(timeout)
        clock[0] += 5.0 if not stopped[0] else 0.1
        stopped[0] = polls[0] >= 10
        if polls[0] == 15:
            producer.waiting.clear()
        return 0

    monkeypatch.setattr(producer, "flush", away)
    box.flush()
    assert polls[0] == 15


def test_a_record_that_is_measured_carries_the_time_of_its_event_and_its_age_counts_from_the_acknowledgement() -> None:
    now = [1_000.0]
    observed = Observed(60, now=lambda: now[0])
    producer = FakeProducer()
    part = OutboxPart(Outbox(producer, "results", lambda: False, observed.outgoing("results")))  # pyright: ignore[reportArgumentType]  # a producer by its shape
    part.write_batch([Records.of([(b"a", b"1"), (b"b", b"2"), (b"c", b"3")], (1, 998_765_432))])
    assert producer.headers == {b"a": HEADERS, b"b": [*HEADERS, ("event_time", b"998765")], b"c": HEADERS}
    now[0] = 1_001.5
    part.snapshot()
    assert producer.acknowledged == [b"a1", b"b2", b"c3"]
    found = samples(generate_latest(observed.registry()).decode())
    assert total(found, "adtally_event_to_result_seconds_count") == 1
    assert total(found, "adtally_event_to_result_seconds_sum") == pytest.approx(1_001.5 - 998.765432)
    assert total(found, "adtally_records_acknowledged_total") == 3


def test_what_is_sent_acknowledged_refused_and_on_its_way_adds_up_over_all_parts() -> None:
    observed = Observed(60)
    producer = FakeProducer()
    box = Outbox(producer, "results", lambda: False, observed.outgoing("results"))  # pyright: ignore[reportArgumentType]  # a producer by its shape
    first, second = OutboxPart(box), OutboxPart(box)
    first.write_batch([Records.of([(b"a", b"1"), (b"b", b"2")])])
    second.write_batch([Records.of([(b"c", b"3")])])

    def told() -> list[float | None]:
        found = samples(generate_latest(observed.registry()).decode())
        return [
            total(found, f"adtally_{name}")
            for name in ("records_acknowledged_total", "records_pending", "delivery_failures_total")
        ]

    assert told() == [0, 3, 0]
    producer.poll(1)
    assert told() == [1, 2, 0]
    producer.answer = lambda: KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
    producer.poll(1)
    assert told() == [1, 1, 1]
    with pytest.raises(DeliveryError):
        first.snapshot()


def test_a_record_that_is_refused_has_not_arrived() -> None:
    observed = Observed(60, now=lambda: 1_000.0)
    producer = FakeProducer()
    producer.answer = lambda: KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
    box = Outbox(producer, "results", lambda: False, observed.outgoing("results"))  # pyright: ignore[reportArgumentType]  # a producer by its shape
    box.send(Records.of([(b"a", b"1")], (0, 999_000_000)))
    with pytest.raises(DeliveryError):
        box.flush()
    found = samples(generate_latest(observed.registry()).decode())
    assert total(found, "adtally_event_to_result_seconds_count") == 0


def test_a_wait_for_the_broker_is_a_sign_of_life() -> None:
    observed = Observed(60)
    producer = FakeProducer()
    part = OutboxPart(Outbox(producer, "results", lambda: False, observed.outgoing("results")))  # pyright: ignore[reportArgumentType]  # a producer by its shape
    part.write_batch([Records.of([(b"a", b"1")])])
    assert not observed.pulse.turned()
    part.snapshot()
    assert observed.pulse.turned()
