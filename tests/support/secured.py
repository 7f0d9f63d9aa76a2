"""A real Apache Kafka that trusts no one: listeners with TLS, with client certificates, with logins, and with wrong certificates."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AclBinding,  # pyright: ignore[reportPrivateImportUsage]  # the documented place, as of all others here
    AclBindingFilter,  # pyright: ignore[reportPrivateImportUsage]
    AclOperation,  # pyright: ignore[reportPrivateImportUsage]
    AclPermissionType,  # pyright: ignore[reportPrivateImportUsage]
    AdminClient,
    ResourcePatternType,  # pyright: ignore[reportPrivateImportUsage]
    ResourceType,  # pyright: ignore[reportPrivateImportUsage]
    ScramCredentialInfo,  # pyright: ignore[reportPrivateImportUsage]
    ScramMechanism,  # pyright: ignore[reportPrivateImportUsage]
    UserScramCredentialUpsertion,  # pyright: ignore[reportPrivateImportUsage]
)
from msgspec.structs import replace

from dataflows.contract.settings import Settings
from deploy.kafka.local import LocalKafka
from deploy.kafka.server_properties import Listener
from tests.support.certificates import PAST, Authority, Issued
from tests.support.flows import wait_for

USER, PASSWORD = "alice", "scram-pass-4711"
PLAIN_USER, PLAIN_PASSWORD = "bob", "plain-pass-4712"
WRONG_PASSWORD = "wrong-pass-4713"
KEY_PASSWORD = "key-pass-4714"
SECRETS = (PASSWORD, PLAIN_PASSWORD, WRONG_PASSWORD, KEY_PASSWORD)

_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
_PLAIN = f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{PLAIN_USER}="{PLAIN_PASSWORD}";'
_LOGIN = {
    "sasl.enabled.mechanisms": "SCRAM-SHA-512,SCRAM-SHA-256,PLAIN",
    "scram-sha-512.sasl.jaas.config": _SCRAM,
    "scram-sha-256.sasl.jaas.config": _SCRAM,
    "plain.sasl.jaas.config": _PLAIN,
}


_AUTHORIZER = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    # Users of tests about other things than rights have all of them; the users of `SecuredKafka.user` have none.
    "super.users": ";".join(f"User:{name}" for name in ("ANONYMOUS", USER, PLAIN_USER, "CN=client", "CN=locked")),
}


class Right(NamedTuple):
    """What a user may do: ``Read`` on ``topic`` ``logs``, say."""

    operation: str
    kind: str
    name: str


class SecuredKafka:
    """Its listeners: TLS, MUTUAL (wants a client certificate), LOGIN (TLS and SASL), BARE (SASL alone), EXPIRED, ELSEWHERE (for
    another host)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority(folder / "ca")
        self.stranger = Authority(folder / "stranger")
        server = self._tls(self.authority.issue("server"))
        listeners = [
            Listener("TLS", "SSL", server),
            Listener("MUTUAL", "SSL", {**server, "ssl.client.auth": "required"}),
            Listener("LOGIN", "SASL_SSL", {**server, **_LOGIN}),
            Listener("BARE", "SASL_PLAINTEXT", _LOGIN),
            Listener("EXPIRED", "SSL", self._tls(self.authority.issue("expired", between=PAST))),
            Listener("ELSEWHERE", "SSL", self._tls(self.authority.issue("elsewhere", host="DNS:kafka.example"))),
        ]
        self.client = self.authority.issue("client")
        self.locked = self.authority.issue("locked", password=KEY_PASSWORD)
        self.unknown = self.stranger.issue("unknown")
        self.kafka = LocalKafka(folder / "kafka", listeners=listeners, properties=_AUTHORIZER)

    def __enter__(self) -> Self:
        """Start it, and let `USER` log in by SCRAM."""
        self.kafka.__enter__()
        self._admin = AdminClient({"bootstrap.servers": self.kafka.bootstrap})
        self._let_in(USER)
        return self

    def _let_in(self, user: str) -> None:
        for mechanism in (ScramMechanism.SCRAM_SHA_512, ScramMechanism.SCRAM_SHA_256):
            wish = UserScramCredentialUpsertion(user, ScramCredentialInfo(mechanism, 4096), PASSWORD.encode())
            for done in self._admin.alter_user_scram_credentials([wish]).values():
                done.result(30)
        # The controller has it; the broker, which is who lets in, hears of it a moment later, and of the first before the second.
        there = AdminClient(
            {**self.login("SCRAM-SHA-256", user), "bootstrap.servers": self.kafka.address("LOGIN"), "log_level": 0}
        )

        def knows() -> bool:
            with suppress(KafkaException):
                return bool(there.list_topics(timeout=1.0).brokers)
            return False

        wait_for(knows, "the broker to let the user in")

    def user(self, rights: Iterable[Right]) -> dict[str, str]:
        """Client properties of a new user, who may log in, and has these rights and no others."""
        name = f"user-{uuid.uuid4().hex[:8]}"
        self._let_in(name)
        self.grant(name, rights)
        return self.login(user=name)

    def grant(self, user: str, rights: Iterable[Right]) -> None:
        """Give `user` further rights, and wait until the broker knows them."""
        wanted = [
            AclBinding(
                ResourceType[right.kind.upper()],
                right.name,
                ResourcePatternType.LITERAL,
                f"User:{user}",
                "*",
                AclOperation[right.operation.upper()],
                AclPermissionType.ALLOW,
            )
            for right in rights
        ]
        for done in self._admin.create_acls(wanted).values() if wanted else ():
            done.result(30)
        # Any name and any host are None, which the types do not know.
        anywhere: Any = None
        own = AclBindingFilter(
            ResourceType.ANY, anywhere, ResourcePatternType.ANY, f"User:{user}", anywhere, AclOperation.ANY, AclPermissionType.ANY
        )
        wait_for(lambda: {*wanted} <= {*self._admin.describe_acls(own).result(30)}, "the broker to know the rights")

    def __exit__(self, *_error: object) -> None:
        """Stop it."""
        self.kafka.close()

    def _tls(self, issued: Issued) -> dict[str, str]:
        stores = {"keystore": issued.both, "truststore": self.authority.certificate}
        return {
            f"ssl.{store}.{name}": value
            for store, file in stores.items()
            for name, value in (("type", "PEM"), ("location", str(file)))
        }

    def tls(self, **more: str) -> dict[str, str]:
        """Client properties for TLS, and `more` of them, with underscores for dots."""
        return {
            "security.protocol": "SSL",
            "ssl.ca.location": str(self.authority.certificate),
            **{name.replace("_", "."): value for name, value in more.items()},
        }

    def mutual(self, issued: Issued, **more: str) -> dict[str, str]:
        """The same with a client certificate."""
        files = {"ssl.certificate.location": str(issued.certificate), "ssl.key.location": str(issued.key)}
        return {**files, **self.tls(**more)}

    def login(self, mechanism: str = "SCRAM-SHA-512", user: str = USER, password: str = PASSWORD) -> dict[str, str]:
        """The same with a login in place of it."""
        return self.tls(security_protocol="SASL_SSL", sasl_mechanism=mechanism, sasl_username=user, sasl_password=password)

    def settings(self, base: Settings, listener: str, client: dict[str, str]) -> Settings:
        """`base` on one of the listeners."""
        at = self.kafka.bootstrap if listener == "PLAINTEXT" else self.kafka.address(listener)
        return replace(base, brokers=at, client=client)
