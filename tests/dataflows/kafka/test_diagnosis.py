"""What is said of a broker that does not let a client in, by what librdkafka reports of it."""

from __future__ import annotations

from confluent_kafka import KafkaError

from dataflows.contract.errors import RefusedError
from dataflows.contract.settings import Settings
from dataflows.kafka.diagnosis import ConnectionErrors, is_refusal, plain_words

DOWN = KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down")
WRONG = KafkaError(
    KafkaError._AUTHENTICATION,
    "sasl_ssl://kafka-1.example:9093/bootstrap: SASL authentication error: Authentication failed: Invalid username or password "
    "(after 301ms in state AUTH_REQ)",
)
NO_CERTIFICATE = KafkaError(
    KafkaError._TRANSPORT,
    "ssl://kafka-1.example:9093/1: Receive failed: error:0A00045C:SSL routines::tlsv13 alert certificate required: SSL alert number 116",
)


def heard(settings: Settings, *errors: KafkaError) -> ConnectionErrors:
    made = ConnectionErrors(settings)
    for error in errors:
        made.on_error(error)
    return made


def test_a_refusal_by_one_broker_is_none_while_another_may_answer() -> None:
    settings = Settings(brokers="127.0.0.1:1")
    assert heard(settings, WRONG).refusal() is None
    refusal = heard(settings, WRONG, DOWN).refusal()
    assert refusal
    assert "kafka-1.example:9093 rejects this client's credentials (SASL authentication error: Authentication failed" in str(
        refusal
    )


def test_what_was_met_before_a_broker_answered_is_forgotten() -> None:
    complaints = heard(Settings(brokers="127.0.0.1:1"), WRONG, DOWN)
    complaints.clear()
    assert complaints.refusal() is None


def test_a_broker_that_is_away_does_not_refuse() -> None:
    away = KafkaError(KafkaError._TRANSPORT, "127.0.0.1:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused")
    complaints = heard(Settings(brokers="127.0.0.1:1"), away, DOWN)
    assert complaints.refusal() is None
    found = complaints.unreachable()
    assert not isinstance(found, RefusedError)
    assert "no Kafka broker answers at 127.0.0.1:1" in str(found)


def test_a_broker_that_misses_the_clients_certificate_says_so_by_an_alert() -> None:
    assert is_refusal(NO_CERTIFICATE)
    refusal = heard(Settings(brokers="127.0.0.1:1"), NO_CERTIFICATE, DOWN).refusal()
    assert "mTLS" in str(refusal)
    assert "ADTALLY_KAFKA_SSL_CERTIFICATE_LOCATION" in str(refusal)


def test_words_are_shown_without_where_and_when() -> None:
    assert plain_words(WRONG) == "SASL authentication error: Authentication failed: Invalid username or password"
    assert plain_words(KafkaError(KafkaError._SSL, "something else")) == "something else"
