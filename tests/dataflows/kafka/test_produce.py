"""Both ways into a producer's buffer: what is sent arrives as it is, what is refused is known, and a full buffer takes the rest later."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from dataflows.kafka.topics import Topics
from tests.support.engines.intakes import KINDS
from tests.support.engines.senders import (
    BLUNT,
    HEADERS,
    LARGE,
    NO_BROKER,
    RECORDS,
    REFUSALS,
    arrived,
    empty,
    producer_of,
    refuse,
    sender_of,
    sent_by,
    start_of,
    with_cluster,
)
from tests.support.flows import ANSWER_SECONDS
from tests.support.settings import own_names


@pytest.fixture(params=KINDS)
def choice(request: pytest.FixtureRequest) -> str:
    """What ADTALLY_NATIVE gives."""
    return request.param


def test_what_is_sent_arrives_in_its_order_with_its_headers(embedded_broker: str, choice: str) -> None:
    settings = own_names(embedded_broker)
    Topics(settings).ensure(settings.results_topic, timeout=ANSWER_SECONDS)
    sending = producer_of(choice, settings)
    sender = sender_of(sending, settings.results_topic)
    assert sender.send(RECORDS, 0, start_of(7), ("more", b"333")) == len(RECORDS.text)
    assert sender.sent() == 50
    empty(sending.producer)
    assert (sender.refused(), sender.refusal()) == (0, None)
    found = {message.key(): message for message in arrived(settings, settings.results_topic, 50)}
    assert {key: message.value() for key, message in found.items()} == dict(RECORDS.pairs())
    assert found[b"key 7"].headers() == [*HEADERS, ("more", b"333")]
    assert all(message.headers() == HEADERS for key, message in found.items() if key != b"key 7")
    last: dict[int | None, int] = {}
    for key, _ in RECORDS.pairs():
        message = found[key]
        assert (message.offset() or 0) > last.get(message.partition(), -1)
        last[message.partition()] = message.offset() or 0


def test_a_full_buffer_takes_the_rest_when_there_is_room_again(choice: str) -> None:
    sending = producer_of(choice, NO_BROKER, **{"queue.buffering.max.messages": 20})
    sender = sender_of(sending, "results")
    place = sender.send(RECORDS, 0, -1, None)
    assert (place, sender.sent()) == (start_of(20), 20)
    assert sender.send(RECORDS, place, -1, None) == place
    sending.producer.purge()
    empty(sending.producer)
    assert sender.send(RECORDS, place, -1, None) == start_of(40)
    assert sender.sent() == 40
    sending.producer.purge()


def test_a_record_that_can_not_be_sent_is_reported_at_once(choice: str) -> None:
    sending = producer_of(choice, NO_BROKER, **{"message.max.bytes": 1000})
    sender = sender_of(sending, "results")
    with pytest.raises(KafkaException) as caught:
        sender.send(LARGE, 0, -1, None)
    assert caught.value.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE
    assert sender.sent() == 1
    sending.producer.purge()


@pytest.mark.native
def test_what_the_broker_refuses_is_counted_and_its_first_reason_kept(choice: str) -> None:
    sending, _ = with_cluster(choice, **BLUNT)
    sender = sender_of(sending, "results")
    counted: list[tuple[int, int]] = []
    for records, codes in REFUSALS:
        refuse(sending, codes)
        assert sender.send(records, 0, -1, None) == len(records.text)
        empty(sending.producer)
        counted.append((sender.sent(), sender.refused()))
    assert counted == [(50, 0), (51, 1), (101, 51)]
    error = sender.refusal()
    assert error is not None
    assert error.code() == KafkaError.INVALID_RECORD


@pytest.mark.native
def test_both_senders_do_the_same_with_everything_that_befalls_them() -> None:
    for one, other in zip(sent_by("off"), sent_by("on"), strict=True):
        assert one == other


@pytest.mark.native
def test_more_headers_than_c_has_room_for_are_refused_and_none_of_the_records_is_sent() -> None:
    sending = producer_of("on", NO_BROKER)
    sender = sender_of(sending, "results", [*HEADERS, ("five", b"5")])
    with pytest.raises(KafkaException) as caught:
        sender.send(RECORDS, 0, -1, None)
    assert (caught.value.args[0].code(), sender.sent()) == (KafkaError._INVALID_ARG, 0)
