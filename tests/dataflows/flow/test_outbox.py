"""The outbox with both senders and a real Kafka client; tests/dataflows/flow/test_sink.py has the same with a scripted one."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError
from prometheus_client import generate_latest

from dataflows.contract.errors import DeliveryError
from dataflows.contract.schema import HEADERS
from dataflows.flow.sink import Outbox, OutboxPart
from dataflows.flow.telemetry import Observed
from dataflows.wire.records import Records
from tests.support.engines.intakes import KINDS
from tests.support.engines.senders import BLUNT, PATIENT, RECORDS, arrived, refuse, sender_of, start_of, with_cluster
from tests.support.telemetries import samples, total

pytestmark = pytest.mark.native


@pytest.fixture(params=KINDS)
def choice(request: pytest.FixtureRequest) -> str:
    """What ADTALLY_NATIVE gives."""
    return request.param


def told(observed: Observed) -> list[float | None]:
    found = samples(generate_latest(observed.registry()).decode())
    return [total(found, f"adtally_{name}") for name in ("records_acknowledged_total", "event_to_result_seconds_count")]


def test_a_snapshot_waits_for_the_acknowledgements_and_the_record_that_is_measured_has_arrived_with_it(choice: str) -> None:
    observed = Observed(60, now=lambda: 1_000.0)
    sending, settings = with_cluster(choice, **PATIENT)
    sender = sender_of(sending, "results", HEADERS)
    part = OutboxPart(Outbox(sending.producer, "results", lambda: False, observed.outgoing("results"), sender))
    part.write_batch([Records(RECORDS.text, RECORDS.count, (start_of(7), 998_765_432))])
    assert told(observed) == [0, 0]
    part.snapshot()
    assert told(observed) == [50, 1]
    found = {message.key(): message for message in arrived(settings, "results", 50)}
    assert {key: message.value() for key, message in found.items()} == dict(RECORDS.pairs())
    measured = [*HEADERS, ("event_time", b"998765")]
    assert all(message.headers() == (measured if key == b"key 7" else HEADERS) for key, message in found.items())


def test_a_full_buffer_is_waited_for_and_loses_nothing(choice: str) -> None:
    sending, settings = with_cluster(choice, **{"queue.buffering.max.messages": 5})
    outbox = Outbox(sending.producer, "results", lambda: False, sender=sender_of(sending, "results", HEADERS))
    for _ in range(2):
        outbox.send(RECORDS)
    outbox.flush()
    found = [(message.key(), message.value()) for message in arrived(settings, "results", 100)]
    assert sorted(found, key=repr) == sorted([*RECORDS.pairs()] * 2, key=repr)


def test_a_record_that_the_broker_refuses_ends_the_run_before_the_snapshot(choice: str) -> None:
    observed = Observed(60, now=lambda: 1_000.0)
    sending, _ = with_cluster(choice, **BLUNT)
    sender = sender_of(sending, "results", HEADERS)
    part = OutboxPart(Outbox(sending.producer, "results", lambda: False, observed.outgoing("results"), sender))
    part.write_batch([RECORDS])
    part.snapshot()
    refuse(sending, [KafkaError.INVALID_TIMESTAMP] * 50)
    part.write_batch([Records(RECORDS.text, RECORDS.count, (start_of(0), 998_765_432))])
    with pytest.raises(DeliveryError, match=r"refused a record of results: .*check this machine's clock"):
        part.snapshot()
    with pytest.raises(DeliveryError, match="refused a record of results"):
        part.write_batch([RECORDS])
    assert told(observed) == [50, 0]
    assert sender.refused() == 50


def test_a_record_that_can_not_be_sent_ends_the_run_at_once(choice: str) -> None:
    sending, _ = with_cluster(choice, **{"message.max.bytes": 1000})
    outbox = Outbox(sending.producer, "results", lambda: False, sender=sender_of(sending, "results", HEADERS))
    with pytest.raises(DeliveryError, match=r"refused a record of results: .*too large"):
        outbox.send(Records.of([(b"a", b"1"), (b"b", b"2" * 2000)]))
