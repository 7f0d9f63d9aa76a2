from __future__ import annotations

import threading

import pytest
from msgspec.structs import replace

from dataflows.contract.errors import BrokerError, DeliveryError
from dataflows.contract.settings import Settings
from dataflows.kafka.clients import client_config, close_within, deliver, make_consumer, make_producer
from dataflows.kafka.scan import scan
from dataflows.kafka.topics import Topics
from tests.support.flows import ANSWER_SECONDS


def test_a_broker_that_does_not_answer_is_one_line_with_its_address_and_the_cure() -> None:
    with pytest.raises(BrokerError, match=r"no Kafka broker answers at 127\.0\.0\.1:1; .*ADTALLY_BROKERS") as caught:
        Topics(Settings(brokers="127.0.0.1:1")).ensure("logs", timeout=0.5)
    assert "\n" not in str(caught.value)


def test_a_client_property_that_does_not_exist_is_one_line_for_every_client(settings: Settings) -> None:
    wrong = replace(settings, client={"no.such.property": "1"})
    for make in (Topics, make_producer, make_consumer):
        with pytest.raises(BrokerError, match="ADTALLY_KAFKA_"):
            make(wrong, "test")


def test_what_the_operator_sets_wins(settings: Settings) -> None:
    mine = replace(settings, client={"client.id": "mine", "security.protocol": "SSL"})
    config = client_config(mine, "role")
    assert (config["client.id"], config["security.protocol"]) == ("mine", "SSL")


def test_waiting_for_a_broker_ends_on_request() -> None:
    stop = threading.Event()
    topics = Topics(Settings(brokers="127.0.0.1:1"))
    stop.set()
    assert not topics.wait("logs", give_up=stop.is_set)


def test_records_are_delivered_or_reported_missing(settings: Settings) -> None:
    Topics(settings).ensure(settings.results_topic, timeout=ANSWER_SECONDS)
    assert deliver(settings, "test", settings.results_topic, [(b"a", b"1"), ("b", b"2")]) == 2
    assert sorted(message.value() or b"" for message in scan(settings, settings.results_topic)) == [b"1", b"2"]
    with pytest.raises(
        DeliveryError, match=r"1 of 1 records of results-.* were not acknowledged \(the broker did not answer within 0.2 s\)"
    ):
        deliver(replace(settings, brokers="127.0.0.1:1"), "test", settings.results_topic, [(b"a", b"1")], timeout=0.2)


def test_a_record_that_is_refused_while_the_rest_is_awaited_is_reported_missing(settings: Settings) -> None:
    impatient = replace(settings, brokers="127.0.0.1:1", client={"message.timeout.ms": "300"})
    with pytest.raises(DeliveryError, match=r"2 of 2 records of results-.* were not acknowledged \(.*timed out.*\)"):
        deliver(impatient, "test", settings.results_topic, [(b"a", b"1"), (b"b", b"2")])


def test_a_consumer_that_never_closes_is_waited_for_only_for_a_while() -> None:
    begun, never = threading.Event(), threading.Event()

    def close() -> None:
        begun.set()
        never.wait()

    close_within(close, 0.01)
    assert begun.wait(120)
    never.set()
