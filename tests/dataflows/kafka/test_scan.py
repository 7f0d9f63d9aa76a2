"""A scan reads a whole topic, and waits for a leader that is only being found."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from confluent_kafka import Consumer, KafkaError

from dataflows.contract.errors import BrokerError
from dataflows.contract.settings import Settings
from dataflows.kafka.clients import consumer_config
from dataflows.kafka.scan import scan
from tests.support.flows import send, stumbling
from tests.support.records import payload


def maker(kind: type[Consumer]) -> Callable[..., Consumer]:
    """What makes consumers of this `kind`."""
    return lambda settings, role, **_: kind(consumer_config(settings, role))


def test_a_leader_that_is_only_being_found_is_waited_for(settings: Settings) -> None:
    send(settings, [payload("a", 0), payload("b", 1)], partition=0)
    make = maker(stumbling(KafkaError.NOT_LEADER_FOR_PARTITION, 3))
    assert [message.offset() for message in scan(settings, settings.logs_topic, make=make)] == [0, 1]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (KafkaError.INVALID_REQUEST, r"can't be read .*Invalid request"),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, "this client lacks the right Read on topic logs-"),
    ],
)
def test_what_does_not_pass_by_itself_is_said_at_once(settings: Settings, code: int, words: str) -> None:
    send(settings, [payload("a", 0)], partition=0)
    make = maker(stumbling(code, 1))
    with pytest.raises(BrokerError, match=words):
        list(scan(settings, settings.logs_topic, make=make))


def test_a_leader_that_is_not_found_in_time_is_said(settings: Settings) -> None:
    send(settings, [payload("a", 0)], partition=0)
    make = maker(stumbling(KafkaError.NOT_LEADER_FOR_PARTITION, 10**9))
    with pytest.raises(BrokerError, match="Not leader for partition"):
        list(scan(settings, settings.logs_topic, timeout=2, make=make))
