"""Checks of the brokers: whether each can be reached, speaks the protocol that is set, is trusted, and lets this client in."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

from confluent_kafka.admin import ClusterMetadata  # pyright: ignore[reportPrivateImportUsage]  # the documented place
from msgspec.structs import replace

from dataflows.commands.doctor.check_result import CheckResult, fail, ok
from dataflows.contract.client_properties import client_variable
from dataflows.contract.errors import BrokerError, RefusedError
from dataflows.contract.settings import Settings
from dataflows.kafka.diagnosis import BrokerAddress, distrust, logs_in, places, tls_context, uses_tls
from dataflows.kafka.topics import Topics

PROBE_SECONDS = 3.0
"""Seconds that a broker may take to accept a connection and to answer on it."""

CLIENT_SECONDS = 5.0
"""Default number of seconds that a client may take to log in and to list the topics."""

_PROTOCOL = client_variable("security.protocol")

_HANDSHAKE = bytes.fromhex("0000000c 0011 0001 00000001 ffff 0000")
"""Kafka's SaslHandshake request, version 1, for a mechanism without a name: every broker answers it, each in its own way."""

_NO_SUCH_MECHANISM = (33).to_bytes(2, "big")
_TLS_ALERT = b"\x15\x03"


def brokers(settings: Settings, patience: float = CLIENT_SECONDS) -> Iterator[CheckResult]:
    """Check each address of ``ADTALLY_BROKERS``, and each further broker of the cluster that these name.

    `patience`: seconds that a client may take to log in and to list the topics.
    """
    known: dict[tuple[str, int], None] = {}
    advertised: dict[tuple[str, int], None] = {}
    for address in places(settings):
        known[address.host, address.port] = None
        problem, metadata = _look(settings, address, patience)
        yield problem
        for broker in metadata.brokers.values() if metadata else ():
            advertised[str(broker.host), broker.port] = None
    for host, port in advertised:
        # A broker may advertise another name than the one that was used to connect to it.
        if (host, port) not in known and not _same(BrokerAddress(host, port), known):
            yield _reachable(BrokerAddress(host, port)) or ok("broker", f"{host}:{port}, named by the others: reachable")


def _look(settings: Settings, address: BrokerAddress, patience: float) -> tuple[CheckResult, ClusterMetadata | None]:
    at = f"{address.host}:{address.port}"
    if problem := _reachable(address):
        return problem, None
    try:
        metadata = Topics(replace(settings, brokers=at), "doctor").metadata(patience)
    except RefusedError as error:
        return fail("broker", str(error).removeprefix("the broker at ").rstrip(".")), None
    except BrokerError as error:
        return _protocol_problem(settings, address) or fail("broker", str(error).rstrip(".")), None
    user = settings.client.get("sasl.username")
    login = f"logged in as {user}" if logs_in(settings) and user else "logged in" if logs_in(settings) else "no login"
    return ok("broker", f"{at}: reachable, {_tls_version(settings, address)}, {login}"), metadata


def _reachable(address: BrokerAddress) -> CheckResult | None:
    try:
        socket.create_connection((address.host, address.port), timeout=PROBE_SECONDS).close()
    except OSError as error:
        reason = "no answer" if isinstance(error, TimeoutError) else error.strerror or str(error)
        return fail(
            "broker", f"{address.host}:{address.port} can't be reached ({reason}); start that broker, or correct ADTALLY_BROKERS"
        )
    return None


def _protocol_problem(settings: Settings, address: BrokerAddress) -> CheckResult | None:
    """Return what the broker at `address` makes of the protocol that is set, if it is not that."""
    at = f"{address.host}:{address.port}"
    try:
        answer = _ask(settings, address)
    except TimeoutError:
        return fail("broker", f"{at} accepts connections but does not answer; check the broker, or correct ADTALLY_BROKERS")
    except ssl.SSLCertVerificationError:
        reason = distrust(settings, address)
        return fail("broker", f"{at} {reason}") if reason else None
    except (OSError, ValueError):
        answer = b""
    if not answer and uses_tls(settings):
        return fail(
            "broker",
            f"{at} does not speak TLS, or closes the connection at once; set {_PROTOCOL} to the protocol of that listener",
        )
    if not answer:
        return fail("broker", f"{at} closes the connection at once: it may require another {_PROTOCOL}, or its broker is down")
    if answer.startswith(_TLS_ALERT):
        cure = "SASL_SSL" if logs_in(settings) else "SSL, or SASL_SSL if it also requires a login"
        return fail("broker", f"{at} speaks TLS; set {_PROTOCOL}={cure}")
    if answer[8:10] == _NO_SUCH_MECHANISM and not logs_in(settings):
        protocol = "SASL_SSL" if uses_tls(settings) else "SASL_PLAINTEXT"
        rest = ", ".join(client_variable(name) for name in ("sasl.mechanism", "sasl.username", "sasl.password"))
        return fail("broker", f"{at} requires a login; set {_PROTOCOL}={protocol}, {rest}")
    return None


def _ask(settings: Settings, address: BrokerAddress) -> bytes:
    with socket.create_connection((address.host, address.port), timeout=PROBE_SECONDS) as plain:
        connection = tls_context(settings).wrap_socket(plain, server_hostname=address.host) if uses_tls(settings) else plain
        with connection:
            connection.sendall(_HANDSHAKE)
            return connection.recv(64)


def _tls_version(settings: Settings, address: BrokerAddress) -> str:
    if not uses_tls(settings):
        return "no TLS"
    try:
        with (
            socket.create_connection((address.host, address.port), timeout=PROBE_SECONDS) as plain,
            tls_context(settings).wrap_socket(plain, server_hostname=address.host) as connection,
        ):
            return connection.version() or "TLS"
    except (OSError, ValueError):  # it wants a certificate of the client, which librdkafka has shown it
        return "TLS"


def _same(address: BrokerAddress, known: dict[tuple[str, int], None]) -> bool:
    """Whether `address` is one of `known` by another name."""
    try:
        endpoints = {info[4][:2] for info in socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)}
        return any(
            endpoints & {info[4][:2] for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)} for host, port in known
        )
    except OSError:
        return False
