"""Diagnosis of refused connections: a wrong password, an untrusted certificate, TLS on one side only; in words, with the cure.

librdkafka retries without end, whatever the error, and requests only fail with "no broker answered". The errors of its connections go to
an error callback, and for a certificate say only that it was not accepted, so its reason is determined here by another handshake.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import msgspec
from confluent_kafka import KafkaError

from dataflows.contract.client_properties import client_variable
from dataflows.contract.errors import BrokerError, RefusedError
from dataflows.contract.settings import Settings

PROBE_SECONDS = 2.0
"""Time limit of a check of a broker's certificate."""

_PLACE = re.compile(r"(?:\w+://)?(?P<host>\[[^\]]+\]|[^\s/:]+):(?P<port>\d+)/\S*: (?P<words>.*)")
_AFTER = re.compile(r" \(after .*?\)$")
_ALERT = re.compile(
    r"alert (?:bad certificate|certificate required|unknown ca|certificate unknown|handshake failure|access denied)"
)
_EXPIRED, _NOT_YET, _HOSTNAME, _ADDRESS = 10, 9, 62, 64
"""OpenSSL's numbers (X509_V_ERR_…)."""

_PROTOCOL = client_variable("security.protocol")


class BrokerAddress(msgspec.Struct, frozen=True):
    """Host and port of a broker."""

    host: str
    port: int


class ConnectionErrors:
    """Errors of the connections of one client; `on_error` is that client's ``error_cb``."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._met: KafkaError | None = None
        self._all_down = False

    def on_error(self, error: KafkaError) -> None:
        """Take note of `error`."""
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._all_down = True
        elif is_refusal(error):
            self._met = error

    def clear(self) -> None:
        """Forget it: a broker has answered."""
        self._met, self._all_down = None, False

    def refusal(self) -> RefusedError | None:
        """Return why no broker accepts this client, if that is certain: a broker that is only unreachable may come back."""
        if not self._all_down:
            return None  # another broker may answer
        if self._met is None:
            return None
        return RefusedError(f"{_who(self._settings, self._met)} {_why(self._settings, self._met)}.")

    def unreachable(self) -> BrokerError:
        """Return the error for a broker that does not answer, for any reason."""
        return self.refusal() or unreachable(self._settings)


def unreachable(settings: Settings) -> BrokerError:
    """Return the error for a broker that does not answer."""
    return BrokerError(
        f"no Kafka broker answers at {settings.brokers}; start one (`adtally demo` brings its own) or set ADTALLY_BROKERS=host:port. "
        "adtally doctor looks for the reason."
    )


FORBIDDEN = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,  # of a producer: it may write to no topic at all
}
"""Error codes of the broker's authorizer for a client that lacks a right."""


def lack(right: str, what: str) -> str:
    """Return which right a client lacks, and the cure, as the end of a line; `what`: for example ``topic logs``."""
    return f"this client lacks the right {right} on {what}; grant it to its user (docs/security.md)"


def forbidden(settings: Settings, right: str, what: str) -> RefusedError:
    """Return the error for a right that this client lacks (`lack`)."""
    return RefusedError(f"the broker at {settings.brokers} refuses: {lack(right, what)}.")


def is_forbidden(error: KafkaError) -> bool:
    """Whether `error` reports a missing permission; a fatal error of a producer may contain that only in its text."""
    return error.code() in FORBIDDEN or (error.fatal() and "authorization failed" in error.str())


def unreadable(settings: Settings, topic: str, partition: int, error: KafkaError) -> BrokerError:
    """Return the error for a partition that can't be read, or whose progress can't be shown to the group."""
    if is_forbidden(error):
        group = error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED
        return forbidden(settings, "Read", f"group {settings.group}" if group else f"topic {topic}")
    return BrokerError(f"partition {partition} of {topic} can't be read from {settings.brokers}: {error.str().rstrip('.')}.")


def is_refusal(error: KafkaError) -> bool:
    """Whether trying again does not help: the broker, or this client, does not trust the other."""
    if error.code() in (KafkaError._AUTHENTICATION, KafkaError._SSL):
        return True
    return error.code() == KafkaError._TRANSPORT and _ALERT.search(error.str()) is not None


def hint(words: str) -> str:
    """Return the cure for librdkafka's set-up error `words`; empty if the error says enough itself."""
    for pattern, cure in _HINTS:
        if re.search(pattern, words):
            return cure
    return ""


_HINTS = (
    (r"key values mismatch", "the private key does not belong to the certificate"),
    (
        r"ssl\.key\.(location|pem) failed",
        f"it must be a PEM key, and {client_variable('ssl.key.password')} (or …_FILE) its password if it has one",
    ),
    (r"ssl\.ca\.location failed", "it must hold certificates in PEM"),
    (r"GSSAPI", f"set {client_variable('sasl.mechanism')}=SCRAM-SHA-512 or PLAIN; SASL's own default, Kerberos, is not built in"),
    (r"sasl\.username and sasl\.password", f"set {client_variable('sasl.username')} and {client_variable('sasl.password')}_FILE"),
)


def plain_words(error: KafkaError) -> str:
    """Return the message of `error`, without broker address and time."""
    match = _PLACE.fullmatch(error.str())
    return _AFTER.sub("", match["words"] if match else error.str()).rstrip(".")


def _who(settings: Settings, met: KafkaError) -> str:
    address = _place(met)
    return f"the broker at {f'{address.host}:{address.port}' if address else settings.brokers}"


def _place(met: KafkaError) -> BrokerAddress | None:
    match = _PLACE.fullmatch(met.str())
    return BrokerAddress(match["host"].strip("[]"), int(match["port"])) if match else None


def _why(settings: Settings, met: KafkaError) -> str:
    words = plain_words(met)
    if met.code() == KafkaError._AUTHENTICATION:
        if "current SASL state" in words:
            without = "SSL" if uses_tls(settings) else "PLAINTEXT"
            return f"requires no login on this port; set {_PROTOCOL}={without}, or use the port of a listener that requires one"
        names = ", ".join(client_variable(name) for name in ("sasl.username", "sasl.password", "sasl.mechanism"))
        return f"rejects this client's credentials ({words}); check {names}"
    if _ALERT.search(words):
        location, key = client_variable("ssl.certificate.location"), client_variable("ssl.key.location")
        return f"requires a client certificate that it trusts (mTLS); check {location} and {key}"
    address = _place(met)
    reason = distrust(settings, address) if address else None
    return reason or f"fails the TLS handshake ({words}); check the {client_variable('ssl')}_… variables"


def distrust(settings: Settings, address: BrokerAddress) -> str | None:
    """Return what is wrong with the certificate of the broker at `address`; None if no problem is visible."""
    try:
        with socket.create_connection((address.host, address.port), timeout=PROBE_SECONDS) as plain:
            tls_context(settings).wrap_socket(plain, server_hostname=address.host).close()
    except ssl.SSLCertVerificationError as error:
        words = error.verify_message.rstrip(".")
        cures = {
            _EXPIRED: "renew it, or check this machine's clock",
            _NOT_YET: "check this machine's clock",
            _HOSTNAME: "use a name in ADTALLY_BROKERS that the certificate contains",
            _ADDRESS: "use a name or an address in ADTALLY_BROKERS that the certificate contains",
        }
        authority = f"set {client_variable('ssl.ca.location')} to the certificate of its authority"
        return f"has a certificate that is not accepted ({words}); {cures.get(error.verify_code, authority)}"
    except (OSError, ValueError):
        return None
    return None


def tls_context(settings: Settings) -> ssl.SSLContext:
    """Return what Python needs to trust a broker as this client does; raises `OSError` or `ValueError` for files that can't be used."""
    client = settings.client
    location = client.get("ssl.ca.location", "probe")
    if Path(location).is_dir():
        context = ssl.create_default_context(capath=location)
    else:
        context = ssl.create_default_context(cafile=None if location == "probe" else location, cadata=client.get("ssl.ca.pem"))
    context.check_hostname = client.get("ssl.endpoint.identification.algorithm", "https") != "none"
    return context


def uses_tls(settings: Settings) -> bool:
    """Whether this client speaks TLS."""
    return settings.client.get("security.protocol", "plaintext").lower() in ("ssl", "sasl_ssl")


def logs_in(settings: Settings) -> bool:
    """Whether this client logs in by SASL."""
    return settings.client.get("security.protocol", "plaintext").lower().startswith("sasl")


def places(settings: Settings) -> Iterator[BrokerAddress]:
    """Yield the addresses of ``ADTALLY_BROKERS``."""
    for server in settings.brokers.split(","):
        host, _, port = server.rpartition(":")
        yield BrokerAddress(host.strip("[]"), int(port))
