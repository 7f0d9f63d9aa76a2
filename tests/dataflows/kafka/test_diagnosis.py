"""What is said of a broker that does not let a client in, without a broker: sockets that behave like one."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from confluent_kafka import KafkaError
from msgspec.structs import replace

from dataflows.contract.errors import BrokerError, RefusedError
from dataflows.contract.settings import Settings
from dataflows.kafka.diagnosis import Complaints, is_refusal, plain_words
from dataflows.kafka.topics import Topics

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


@pytest.fixture
def listen() -> Iterator[Callable[[bytes | None], Settings]]:
    """Listen on a free port and answer each connection's first words with bytes; with none of them hang up, with None keep silent."""
    listeners: list[socket.socket] = []
    kept: list[socket.socket] = []

    def serve(listener: socket.socket, answer: bytes | None) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                kept.append(connection)
                if answer is not None:
                    connection.recv(64)
                    connection.sendall(answer)
                    connection.close()

    def start(answer: bytes | None) -> Settings:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        threading.Thread(target=serve, args=(listener, answer), daemon=True).start()
        return Settings(brokers=f"127.0.0.1:{listener.getsockname()[1]}")

    yield start
    for one in listeners + kept:
        one.close()


def heard(settings: Settings, *errors: KafkaError) -> Complaints:
    made = Complaints(settings)
    for error in errors:
        made.heed(error)
    return made


def test_a_refusal_by_one_broker_is_none_while_another_may_answer() -> None:
    settings = Settings(brokers="127.0.0.1:1")
    assert heard(settings, WRONG).refusal() is None
    refusal = heard(settings, WRONG, DOWN).refusal()
    assert refusal
    assert "kafka-1.example:9093 does not let this client in (SASL authentication error: Authentication failed" in str(refusal)


def test_what_was_met_before_a_broker_answered_is_forgotten() -> None:
    complaints = heard(Settings(brokers="127.0.0.1:1"), WRONG, DOWN)
    complaints.clear()
    assert complaints.refusal() is None


def test_a_broker_that_is_away_is_no_refusal() -> None:
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


def test_a_listener_that_answers_by_tls_is_one_that_speaks_it(listen: Callable[[bytes | None], Settings]) -> None:
    settings = listen(bytes.fromhex("15030300020250"))
    with pytest.raises(RefusedError, match="speaks TLS; set ADTALLY_KAFKA_SECURITY_PROTOCOL=SSL"):
        Topics(settings).partitions("logs", timeout=20)


def test_a_broker_that_names_its_mechanisms_wants_a_login(listen: Callable[[bytes | None], Settings]) -> None:
    settings = listen(bytes.fromhex("0000000e 00000001 0021 00000001 0005 504c41494e"))
    refusal = heard(settings, DOWN).refusal()
    assert "wants a login; set ADTALLY_KAFKA_SECURITY_PROTOCOL=SASL_PLAINTEXT" in str(refusal)
    # Who comes with a login, by whatever mechanism, is told by what the login meets.
    assert heard(replace(settings, client={"security.protocol": "SASL_PLAINTEXT"}), DOWN).refusal() is None


def test_a_listener_that_hangs_up_may_be_a_proxy_whose_broker_is_away(listen: Callable[[bytes | None], Settings]) -> None:
    with pytest.raises(BrokerError, match="hangs up at once: it may want another ADTALLY_KAFKA_SECURITY_PROTOCOL") as caught:
        Topics(listen(b"")).partitions("logs", timeout=0.5)
    assert not isinstance(caught.value, RefusedError)


def test_a_broker_that_is_frozen_is_one_that_does_not_answer(
    listen: Callable[[bytes | None], Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dataflows.kafka.diagnosis.PROBE_SECONDS", 0.1)
    with pytest.raises(BrokerError, match="no Kafka broker answers"):
        Topics(listen(None)).partitions("logs", timeout=0.1)


def test_words_are_shown_without_where_and_when() -> None:
    assert plain_words(WRONG) == "SASL authentication error: Authentication failed: Invalid username or password"
    assert plain_words(KafkaError(KafkaError._SSL, "something else")) == "something else"
