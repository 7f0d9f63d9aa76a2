"""Both ways into a producer's buffer: what is sent arrives as it is, what is refused is known, and a full buffer takes the rest later."""

from __future__ import annotations

from collections.abc import Callable
from ctypes import c_int, c_int16, c_size_t, c_void_p
from itertools import islice
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition
from msgspec.structs import replace

from dataflows.carrier import Carrier, PlainCarrier
from dataflows.kafka import Topics, make_consumer, make_producer
from dataflows.native import client
from dataflows.native.sender import Sender, sender_config
from dataflows.records import Records
from dataflows.settings import Settings
from tests.conftest import own_names
from tests.flows import wait_for

KINDS = [pytest.param(PlainCarrier, id="plain"), pytest.param(Sender, id="native", marks=pytest.mark.native)]
HEADERS = [("one", b"1"), ("two", b"2\0002"), ("three", b""), ("four", "ü".encode())]
RECORDS = Records.of([(f"key {number}".encode(), b"" if number == 3 else b"value" * number) for number in range(50)])

New = Callable[..., tuple[Producer, Carrier]]


@pytest.fixture(params=KINDS)
def new(request: pytest.FixtureRequest) -> New:
    """Makes a producer, given settings and further properties, and a carrier for its results."""

    def made(settings: Settings, **more: Any) -> tuple[Producer, Carrier]:
        own = sender_config() if request.param is Sender else {}
        producer = make_producer(settings, "test", **{"delivery.report.only.error": True, **more, **own})
        return producer, request.param(producer, settings.results_topic, HEADERS)

    return made


def start_of(place: int) -> int:
    return next(islice(RECORDS.starts(), place, None))


def test_what_is_sent_arrives_in_its_order_with_its_headers(embedded_broker: str, new: New) -> None:
    settings = own_names(embedded_broker)
    Topics(settings).ensure(settings.results_topic)
    producer, carrier = new(settings)
    assert carrier.send(RECORDS, 0, start_of(7), ("more", b"333")) == len(RECORDS.text)
    assert carrier.sent() == 50
    assert producer.flush(30) == 0
    assert (carrier.refused(), carrier.refusal()) == (0, None)
    consumer = make_consumer(settings, "test")
    consumer.assign([TopicPartition(settings.results_topic, number, 0) for number in range(4)])
    found: dict[bytes, Message] = {}

    def read() -> bool:
        found.update((message.key() or b"", message) for message in consumer.consume(100, 0.1) if not message.error())
        return len(found) == 50

    wait_for(read, "all records")
    consumer.close()
    assert {key: message.value() for key, message in found.items()} == dict(RECORDS.pairs())
    assert found[b"key 7"].headers() == [*HEADERS, ("more", b"333")]
    assert all(message.headers() == HEADERS for key, message in found.items() if key != b"key 7")
    last: dict[int | None, int] = {}
    for key, _ in RECORDS.pairs():
        message = found[key]
        assert (message.offset() or 0) > last.get(message.partition(), -1)
        last[message.partition()] = message.offset() or 0


def test_a_full_buffer_takes_the_rest_when_there_is_room_again(new: New) -> None:
    producer, carrier = new(replace(Settings(), brokers="127.0.0.1:9"), **{"queue.buffering.max.messages": 20, "log_level": 0})
    place = carrier.send(RECORDS, 0, -1, None)
    assert (place, carrier.sent()) == (start_of(20), 20)
    assert carrier.send(RECORDS, place, -1, None) == place
    producer.purge()
    wait_for(lambda: not producer.flush(0.1), "an empty buffer")
    assert carrier.send(RECORDS, place, -1, None) == start_of(40)
    assert carrier.sent() == 40
    producer.purge()


def test_a_record_that_can_not_be_sent_is_told_at_once(new: New) -> None:
    _, carrier = new(replace(Settings(), brokers="127.0.0.1:9"), **{"message.max.bytes": 1000, "log_level": 0})
    with pytest.raises(KafkaException) as caught:
        carrier.send(Records.of([(b"a", b"1"), (b"b", b"2" * 2000), (b"c", b"3")]), 0, -1, None)
    assert caught.value.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE
    assert carrier.sent() == 1


@pytest.mark.native
def test_what_the_broker_refuses_is_counted_and_its_first_reason_kept(new: New) -> None:
    """By a cluster inside of the producer, which is told to refuse."""
    producer, carrier = new(Settings(), **{"test.mock.num.brokers": 1, "log_level": 0, "enable.idempotence": False, "retries": 0})
    found, _ = client.client_library()
    refuse = found.rd_kafka_mock_push_request_errors_array
    refuse.restype, refuse.argtypes = None, (c_void_p, c_int16, c_size_t, c_void_p)
    found.rd_kafka_handle_mock_cluster.restype, found.rd_kafka_handle_mock_cluster.argtypes = c_void_p, (c_void_p,)
    cluster = found.rd_kafka_handle_mock_cluster(client.handle_of(found, producer))
    assert carrier.send(RECORDS, 0, -1, None) == len(RECORDS.text)
    assert producer.flush(30) == 0
    assert carrier.refused() == 0
    codes = [KafkaError.TOPIC_AUTHORIZATION_FAILED] * 10
    refuse(cluster, 0, len(codes), (c_int * len(codes))(*codes))
    carrier.send(RECORDS, 0, -1, None)
    wait_for(lambda: not producer.flush(0.1), "an empty buffer")
    error = carrier.refusal()
    assert error is not None
    assert (carrier.refused(), error.code(), carrier.sent()) == (50, KafkaError.TOPIC_AUTHORIZATION_FAILED, 100)


@pytest.mark.native
def test_more_headers_than_c_has_room_for_are_refused_and_none_of_the_records_is_sent() -> None:
    producer = make_producer(replace(Settings(), brokers="127.0.0.1:9"), "test", **{"log_level": 0, **sender_config()})
    carrier = Sender(producer, "results", [*HEADERS, ("five", b"5")])
    with pytest.raises(KafkaException) as caught:
        carrier.send(RECORDS, 0, -1, None)
    assert (caught.value.args[0].code(), carrier.sent()) == (KafkaError._INVALID_ARG, 0)


@pytest.mark.native
def test_a_producer_that_was_made_without_the_plug_in_is_refused() -> None:
    with pytest.raises(RuntimeError, match="without the plug-in"):
        Sender(Producer({"log_level": 0}), "results", HEADERS)
