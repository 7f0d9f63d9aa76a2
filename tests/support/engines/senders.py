"""The two senders, driven through all that befalls them, so that what becomes of it can be compared; and brokers that refuse."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from ctypes import c_char_p, c_int, c_int16, c_size_t, c_void_p
from itertools import islice
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition
from msgspec.structs import replace

from dataflows.contract.settings import Settings
from dataflows.flow.engines import Engine
from dataflows.kafka.clients import make_consumer, make_producer
from dataflows.kafka.produce import PythonSender, RecordSender
from dataflows.native import client, why_not
from dataflows.native.client import ClientHandle
from dataflows.native.sender import NativeSender
from dataflows.wire.records import Records
from tests.support.flows import wait_for

HEADERS = [("one", b"1"), ("two", b"2\0002"), ("three", b""), ("four", "ü".encode())]
RECORDS = Records.of([(f"key {number}".encode(), b"" if number == 3 else b"value" * number) for number in range(50)])
ONE = Records.of([(b"a", b"1")])
NO_BROKER = replace(Settings(), brokers="127.0.0.1:9")
"""Where no broker answers."""

LARGE = Records.of([(b"a", b"1"), (b"b", b"2" * 2000), (b"c", b"3")])
"""Of which the second can't be sent with a `message.max.bytes` of 1000."""

REFUSALS: tuple[tuple[Records, list[int]], ...] = (
    (RECORDS, []),
    (ONE, [KafkaError.INVALID_RECORD]),
    (RECORDS, [KafkaError.TOPIC_AUTHORIZATION_FAILED] * 50),  # however many requests the records go in
)
"""Records, and the answers to the requests with which they leave: all of them are taken, one is not, all of them are not."""

PATIENT = {"linger.ms": 60_000}
"""Of a producer that keeps what it has until it is flushed."""

BLUNT = {"enable.idempotence": False, "retries": 0, "max.in.flight": 1}
"""Of one that takes no for an answer."""


def start_of(place: int) -> int:
    """Where in `RECORDS` one of them begins."""
    return next(islice(RECORDS.starts(), place, None))


class SendingCarrier(NamedTuple):
    """A producer for the sender that ``ADTALLY_NATIVE`` gives, and its handle where the native engine is there."""

    choice: str
    producer: Producer
    handle: ClientHandle | None


def producer_of(choice: str, settings: Settings, **more: Any) -> SendingCarrier:
    """A producer for the sender that ``ADTALLY_NATIVE`` gives."""

    def make(own: dict[str, str]) -> Producer:
        return make_producer(settings, "test", **{"delivery.report.only.error": True, "log_level": 0, **more, **own})

    return SendingCarrier(choice, make({}), None) if why_not() else SendingCarrier(choice, *ClientHandle.capture(make))


def sender_of(sending: SendingCarrier, topic: str, headers: Sequence[tuple[str, bytes]] = HEADERS) -> RecordSender:
    """That sender."""
    if sending.choice == "on":
        assert sending.handle is not None
        return NativeSender(sending.producer, sending.handle, topic, headers)
    return PythonSender(sending.producer, topic, headers)


def with_cluster(choice: str, **more: Any) -> tuple[SendingCarrier, Settings]:
    """A producer with a cluster inside, and the settings by which others reach that."""
    sending = producer_of(choice, Settings(), **{"test.mock.num.brokers": 1, **more})
    (broker,) = sending.producer.list_topics(timeout=30).brokers.values()
    return sending, replace(Settings(), brokers=f"127.0.0.1:{broker.port}")


def refuse(sending: SendingCarrier, codes: Sequence[int]) -> None:
    """Let the cluster inside of a producer answer to the next requests to write with `codes`, one each."""
    assert sending.handle is not None
    found, _ = client.client_library()
    push, cluster = found.rd_kafka_mock_push_request_errors_array, found.rd_kafka_handle_mock_cluster
    push.restype, push.argtypes = None, (c_void_p, c_int16, c_size_t, c_void_p)
    cluster.restype, cluster.argtypes = c_void_p, (c_void_p,)
    push(cluster(sending.handle.value), 0, len(codes), (c_int * len(codes))(*codes))


def empty(producer: Producer) -> None:
    """Flush it, until it holds nothing any more."""
    wait_for(lambda: not producer.flush(0.1), "an empty buffer")


def arrived(settings: Settings, topic: str, count: int) -> list[Message]:
    """Return the records of a topic, by partition and offset, once there are `count`."""
    found: list[Message] = []
    consumer = make_consumer(settings, "test")
    consumer.assign([TopicPartition(topic, number, 0) for number in range(4)])

    def read() -> bool:
        found.extend(message for message in consumer.consume(100, 0.1) if not message.error())
        return len(found) >= count

    wait_for(read, f"{count} messages")
    consumer.close()
    return sorted(found, key=lambda one: (one.partition() or 0, one.offset() or 0))


def sent_by(choice: str) -> Iterator[object]:
    """All that becomes of what one kind of sender is given, step by step."""
    yield from _taken(choice)
    yield from _refused(choice)
    yield from _left(choice)
    yield _forgotten(choice)


def _taken(choice: str) -> Iterator[object]:
    sending, settings = with_cluster(choice, **PATIENT)
    other = producer_of(choice, NO_BROKER)  # which is younger, and has nothing to do with it
    sender, idle = sender_of(sending, "results"), sender_of(other, "results")
    text = bytes(bytearray(RECORDS.text))
    end = sender.send(Records(text, RECORDS.count), 0, start_of(7), ("more", b"3\0003"))
    ctypes.memset(ctypes.cast(c_char_p(text), c_void_p), 0, len(text))  # what was given is the producer's own by now
    empty(sending.producer)
    yield end, sender.sent(), sender.refused(), sender.refusal(), idle.sent()
    for one in arrived(settings, "results", 50):
        yield one.partition(), one.offset(), one.key(), one.value(), one.headers()
    for partition in range(4):
        yield _fetched(choice, settings, partition)


def _fetched(choice: str, settings: Settings, partition: int) -> tuple[list[tuple[int | None, bytes | None]], list[int]]:
    """Offsets and payloads of a partition, and where it was said to end."""
    fetcher = Engine(replace(settings, native=choice)).make_fetcher(lambda own: make_consumer(settings, "test", **own), 7)
    fetcher.begin("results", partition, 0)
    found: list[tuple[int | None, bytes | None]] = []
    ends: list[int] = []

    def ended() -> bool:
        records, faults, _ = fetcher.fetch()
        found.extend((one.offset(), one.value()) for one in records)
        ends.extend(fault.offset for fault in faults if fault.error.code() == KafkaError._PARTITION_EOF)
        return bool(ends)

    wait_for(ended, "the end of the log")
    fetcher.close()
    return found, ends


def _refused(choice: str) -> Iterator[object]:
    sending, _ = with_cluster(choice, **BLUNT)
    sender = sender_of(sending, "results")
    for records, codes in REFUSALS:
        refuse(sending, codes)
        sender.send(records, 0, -1, None)
        empty(sending.producer)
        yield sender.sent(), sender.refused(), (error := sender.refusal()) and error.code()


def _left(choice: str) -> Iterator[object]:
    small = producer_of(choice, NO_BROKER, **{"queue.buffering.max.messages": 20, "message.max.bytes": 1000})
    sender = sender_of(small, "results")
    yield sender.send(RECORDS, 0, -1, None), sender.sent()
    small.producer.purge()
    empty(small.producer)
    try:
        sender.send(LARGE, 0, -1, None)
    except KafkaException as error:
        yield error.args[0].code(), sender.sent()
    small.producer.purge()


def _forgotten(choice: str) -> bool:
    """Whether no handle is known any more of a producer that is gone, for another may be where it was."""
    if choice != "on":
        return True
    gone = producer_of(choice, NO_BROKER)
    handle = gone.handle
    assert handle is not None
    before = handle.value
    assert before
    del gone
    return handle.value != before
