"""Both fetchers return the same messages and report the same errors between them; the native one without an object for each."""

from __future__ import annotations

import gc
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from ctypes import c_char_p, c_int, c_size_t, c_void_p
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition

from dataflows import native
from dataflows.contract.settings import Settings
from dataflows.flow.engines import Engine
from dataflows.intake.partition import Counters
from dataflows.kafka.bell import Bell
from dataflows.kafka.clients import consumer_config, make_consumer
from dataflows.kafka.corruption import Fault
from dataflows.kafka.fetch import Fetcher, NativeFetcher, PythonFetcher
from dataflows.kafka.record import Record
from dataflows.native import client
from dataflows.native.client import ClientHandle
from dataflows.native.queue import Queue, no_queue_reason
from tests.support.flows import send, wait_for
from tests.support.readers import read, reader
from tests.support.records import payload

BOTH = [PythonFetcher, pytest.param(NativeFetcher, marks=pytest.mark.native)]


def consumer_maker(settings: Settings) -> Callable[[dict[str, str]], Consumer]:
    return lambda own: make_consumer(settings, "test", **own)


def captured(settings: Settings) -> tuple[Consumer, ClientHandle]:
    return ClientHandle.capture(consumer_maker(settings))


def engine_of(kind: type[Fetcher]) -> Engine:
    return Engine(Settings(native="on" if kind is NativeFetcher else "off"))


def fetcher(settings: Settings, kind: type[Fetcher], most: int = 100, begin: int = 0) -> Fetcher:
    one = engine_of(kind).make_fetcher(consumer_maker(settings), most)
    one.begin(settings.logs_topic, 0, begin)
    return one


Shown = tuple[bytes | None, int | None, tuple[int, int]]


def shown(records: Sequence[Record]) -> list[Shown]:
    return [(one.value(), one.offset(), one.timestamp()) for one in records]


def everything(one: Fetcher, count: int) -> tuple[list[Shown], list[tuple[int, int]]]:
    """What comes up to the end of the log after `count` messages, and the code and offset of each fault."""
    records: list[Shown] = []
    faults: list[tuple[int, int]] = []

    def done() -> bool:
        fetched = one.fetch()
        assert all(0 <= fault.place <= len(fetched.records) for fault in fetched.faults)
        records.extend(shown(fetched.records))
        faults.extend((fault.error.code(), fault.offset) for fault in fetched.faults)
        return len(records) >= count and any(code == KafkaError._PARTITION_EOF for code, _ in faults)

    wait_for(done, f"{count} messages and the end")
    return records, faults


@pytest.fixture
def filled(settings: Settings) -> Settings:
    """A partition with payloads of all kinds: none, an empty one, binary, long, more than one fetch takes."""
    send(settings, [payload(f"e{number}", number) for number in range(250)], partition=0)
    send(settings, [None, b"", b"\xff\x00", b"x" * 100_000], partition=0)
    return settings


@pytest.mark.native
def test_both_give_the_same_messages_in_the_same_order(filled: Settings) -> None:
    plain, fast = fetcher(filled, PythonFetcher), fetcher(filled, NativeFetcher)
    expected, _ = everything(plain, 254)
    found, _ = everything(fast, 254)
    assert found == expected
    assert [value for value, _, _ in found[-4:]] == [None, b"", b"\xff\x00", b"x" * 100_000]
    plain.close()
    fast.close()


@pytest.mark.parametrize("kind", BOTH)
def test_a_fetch_takes_no_more_than_it_may_and_says_where_there_is_more(filled: Settings, kind: type[Fetcher]) -> None:
    one = fetcher(filled, kind, most=40)
    sizes: list[int] = []

    def done() -> bool:
        records, faults, more = one.fetch()
        assert more == (len(records) + len(faults) == 40)
        sizes.append(len(records))
        return sum(sizes) == 254

    wait_for(done, "all messages")
    assert max(sizes) == 40
    one.close()


@pytest.mark.parametrize("kind", BOTH)
def test_the_end_of_the_log_is_a_fault_behind_its_last_message(filled: Settings, kind: type[Fetcher]) -> None:
    one = fetcher(filled, kind, begin=250)
    assert everything(one, 4)[1] == [(KafkaError._PARTITION_EOF, 254)]
    one.close()


@pytest.mark.parametrize("kind", BOTH)
def test_an_offset_that_is_not_there_is_a_fault_that_says_so(filled: Settings, kind: type[Fetcher]) -> None:
    one = fetcher(filled, kind, begin=1000)
    faults: list[Fault] = []

    def done() -> bool:
        faults.extend(one.fetch().faults)
        return bool(faults)

    wait_for(done, "the fault")
    assert faults[0].error.code() == KafkaError._AUTO_OFFSET_RESET
    assert "out of range" in faults[0].error.str()
    one.close()


@pytest.fixture
def batch(filled: Settings) -> Iterator[native.MessageBatch]:
    """Some messages in librdkafka."""
    consumer, handle = captured(filled)
    one = Queue(consumer, handle, filled.logs_topic, 0, 100)
    consumer.assign([TopicPartition(filled.logs_topic, 0, 0)])
    waiting = client.client_library()[0].rd_kafka_queue_length
    waiting.restype, waiting.argtypes = c_size_t, (c_void_p,)
    # However they come: a fetch takes what is there, which need not be a full batch, and may never be one.
    wait_for(lambda: waiting(one._queue) >= 100, "a full batch")  # pyright: ignore[reportPrivateUsage]  # only the test asks for its length
    yield one.fetch()[0]
    one.close()
    consumer.close()


@pytest.mark.native
def test_a_batch_is_a_sequence(batch: native.MessageBatch) -> None:
    offsets = [one.offset() or 0 for one in batch]
    start = offsets[0]
    assert offsets == list(range(start, start + 100))
    assert batch[-1].offset() == offsets[-1]
    assert [one.offset() for one in batch[10:20][3:5]] == offsets[13:15]
    assert len(batch[5:2]) == len(batch[100:]) == 0
    assert len(batch[:200]) == 100
    assert bisect_left(batch, offsets[40], key=lambda one: one.offset() or 0) == 40
    assert batch[20:30].least_time() == min(one.timestamp()[1] for one in batch[20:30])
    assert batch.least_time() == min(one.timestamp()[1] for one in batch)
    with pytest.raises(ValueError, match="no steps"):
        batch[::2]
    for beyond in (100, -101):
        with pytest.raises(IndexError):
            batch[beyond]


@pytest.mark.native
def test_a_consumer_that_is_dropped_with_its_queue_ends_and_one_that_is_closed_gives_nothing_more(filled: Settings) -> None:
    one = fetcher(filled, NativeFetcher)
    wait_for(lambda: one.fetch().records, "messages")
    dropped = threading.Event()

    def drop() -> None:
        nonlocal one
        del one
        gc.collect()
        dropped.set()

    threading.Thread(target=drop, daemon=True).start()
    assert dropped.wait(30), "librdkafka waits for what is held of it"
    consumer, handle = captured(filled)
    closed = Queue(consumer, handle, filled.logs_topic, 0, 10)
    closed.close()
    closed.close()
    closed.release()
    with pytest.raises(ValueError, match="closed"):
        closed.fetch()
    consumer.close()


def test_closing_does_not_wait_for_a_broker_that_does_not_answer(settings: Settings) -> None:
    heard, ended = threading.Event(), threading.Event()

    class Unheard(Consumer):
        def close(self) -> None:
            heard.wait()
            super().close()
            ended.set()

    one = PythonFetcher(Unheard(consumer_config(settings, "test")), 10)
    one.begin(settings.logs_topic, 0, 0)
    one.close(0.05)
    assert not ended.is_set()
    heard.set()
    assert ended.wait(30)


class Cluster:
    """A cluster inside of a consumer, whose topic can go wrong."""

    def __init__(self, handle: ClientHandle) -> None:
        self._client, _ = client.client_library()
        for name, result, arguments in (
            ("rd_kafka_handle_mock_cluster", c_void_p, (c_void_p,)),
            ("rd_kafka_mock_topic_create", c_int, (c_void_p, c_char_p, c_int, c_int)),
            ("rd_kafka_mock_topic_set_error", None, (c_void_p, c_char_p, c_int)),
        ):
            function = getattr(self._client, name)
            function.restype, function.argtypes = result, arguments
        self._cluster = self._client.rd_kafka_handle_mock_cluster(handle.value)
        assert self._client.rd_kafka_mock_topic_create(self._cluster, b"logs", 1, 1) == 0

    def fail(self, code: int) -> None:
        self._client.rd_kafka_mock_topic_set_error(self._cluster, b"logs", code)


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize(
    ("partition", "code", "reported"),
    [
        (0, KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.TOPIC_AUTHORIZATION_FAILED),
        (0, KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.UNKNOWN_TOPIC_OR_PART),
        (5, KafkaError.NO_ERROR, KafkaError._UNKNOWN_PARTITION),
    ],
)
def test_an_error_of_the_topic_is_reported_and_ends_no_process(
    settings: Settings, kind: type[Fetcher], partition: int, code: int, reported: int
) -> None:
    """librdkafka reports it by a callback; confluent-kafka aborts if it is called where it expects none."""
    found: list[int] = []
    config = consumer_config(settings, "test") | {
        "test.mock.num.brokers": 1,
        "topic.metadata.refresh.interval.ms": 50,
        "topic.metadata.propagation.max.ms": 0,
        "error_cb": lambda error: found.append(error.code()),
    }
    consumer, handle = ClientHandle.capture(lambda own: Consumer({**config, **own}))
    cluster = Cluster(handle)
    one = NativeFetcher(consumer, handle, 10) if kind is NativeFetcher else PythonFetcher(consumer, 10)
    one.begin("logs", partition, 0)

    def heard(wanted: int) -> bool:
        found.extend(fault.error.code() for fault in one.fetch().faults)
        return wanted in found

    if code:
        wait_for(lambda: heard(KafkaError._PARTITION_EOF), "the end of the log")
        cluster.fail(code)
    wait_for(lambda: heard(reported), "the error")
    one.close()


@pytest.mark.native
def test_a_bell_is_rung_for_the_partition_when_a_message_comes_and_no_more_once_it_is_closed(settings: Settings) -> None:
    bell = Bell()
    send(settings, [payload("a", 1)], partition=3)
    one = engine_of(NativeFetcher).make_fetcher(consumer_maker(settings), 10, bell)
    assert not one.rings
    one.begin(settings.logs_topic, 3, 0)
    assert one.rings

    def rung() -> list[int]:
        bell.wait(1)
        return list(bell.rung())

    for number in range(2):
        assert wait_for(rung, "the bell") == [3]
        wait_for(lambda: one.fetch().records, "the message")
        send(settings, [payload(f"b{number}", 1)], partition=3)
    one.close()
    bell.rung()
    send(settings, [payload("c", 1)], partition=3)
    assert rung() == []


@pytest.mark.native
def test_what_has_come_into_the_queue_of_the_consumer_is_not_lost(filled: Settings) -> None:
    class Stubborn(Consumer):
        def assign(self, partitions: Any) -> None:
            """It stays as it was assigned before."""

    consumer, handle = ClientHandle.capture(lambda own: Stubborn(consumer_config(filled, "test") | own))
    Consumer.assign(consumer, [TopicPartition(filled.logs_topic, 0, 0)])
    first: list[Any] = []
    wait_for(lambda: first.extend(consumer.consume(1, 0.1)) or first, "the consumer's own queue to fill")
    one = NativeFetcher(consumer, handle, 100)
    one.begin(filled.logs_topic, 0, 0)
    found, _ = everything(one, 253)
    assert [offset for _, offset, _ in found] == list(range(1, 254))
    one.close()


@pytest.mark.native
@pytest.mark.usefixtures("asked_anew")
def test_with_a_librdkafka_of_another_major_version_the_messages_come_by_the_client(
    filled: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer, handle = captured(filled)
    client.client_library.cache_clear()
    no_queue_reason.cache_clear()
    monkeypatch.setattr(client, "_MAJOR", 3)
    assert no_queue_reason() == "librdkafka 2 is not the 3 that it is written for"
    with pytest.raises(RuntimeError, match="librdkafka 2 is not"):
        Queue(consumer, handle, filled.logs_topic, 0, 10)
    consumer.close()
    one = reader(filled)
    read(one, 254)
    assert one.counters == Counters(read=254, counted=250, malformed=4, oversize=1)
    one.close()


@pytest.mark.native
def test_the_faster_one_is_taken_where_it_is_wanted(settings: Settings) -> None:
    for kind in (NativeFetcher, PythonFetcher):
        one = engine_of(kind).make_fetcher(consumer_maker(settings), 10)
        assert type(one) is kind
        one.consumer.close()


@pytest.mark.native
def test_each_client_gets_its_own_handle_in_whichever_thread_it_is_made(settings: Settings) -> None:
    """librdkafka confirms whose a handle is: the names of its clients differ."""
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _number: captured(settings), range(24)))
    name_of = client.client_library()[0].rd_kafka_name
    name_of.restype, name_of.argtypes = c_char_p, (c_void_p,)
    assert len({name_of(handle.value) for _, handle in made}) == 24
    list(map(Consumer.close, [consumer for consumer, _ in made]))
    handles = [handle for _, handle in made]
    made.clear()
    gc.collect()
    assert [handle.value for handle in handles] == [None] * 24  # they are gone, and another client may have their addresses


@pytest.mark.native
def test_a_handle_belongs_to_the_client_that_was_made_for_it_and_not_to_another_of_the_same_time(settings: Settings) -> None:
    first, handle = captured(settings)
    before = handle.value
    other = Consumer(consumer_config(settings, "test") | client.plugin_properties())  # nothing is waiting for its handle
    assert handle.value == before
    other.close()
    with pytest.raises(RuntimeError, match="without the plug-in"):
        ClientHandle.capture(lambda _own: Consumer(consumer_config(settings, "test")))
    with pytest.raises(ZeroDivisionError):
        ClientHandle.capture(lambda _own: Consumer({"group.id": str(1 // 0)}))
    first.close()


@pytest.mark.native
def test_a_handle_may_outlive_its_client_and_a_client_its_handle(settings: Settings) -> None:
    consumer, handle = captured(settings)
    consumer.close()
    del consumer
    gc.collect()
    assert (handle.value, handle.sent(), handle.refused(), handle.refusal()) == (None, 0, 0, None)
    consumer, handle = captured(settings)
    del handle
    gc.collect()
    consumer.close()
    del consumer
    gc.collect()
