"""TLS, client certificates and logins against a real Apache Kafka: who is let in, and what who is not gets to read."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from msgspec.structs import replace

from dataflows.commands.doctor.brokers import brokers
from dataflows.contract.client_properties import client_variable
from dataflows.contract.errors import RefusedError
from dataflows.contract.settings import Settings
from dataflows.kafka.clients import deliver
from dataflows.kafka.diagnosis import ConnectionErrors
from dataflows.kafka.scan import scan
from dataflows.kafka.topics import Topics
from tests.support.deploy.processes import ROOT
from tests.support.flows import ANSWER_SECONDS, counted, environment, free_port, recovery_folder, running, wait_for
from tests.support.secured import KEY_PASSWORD, PASSWORD, PLAIN_PASSWORD, PLAIN_USER, SECRETS, WRONG_PASSWORD, SecuredKafka

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("secured")]

Make = Callable[[SecuredKafka], dict[str, str]]

LET_IN: dict[str, tuple[str, Make]] = {
    "TLS": ("TLS", lambda kafka: kafka.tls()),
    "a client certificate": ("MUTUAL", lambda kafka: kafka.mutual(kafka.client)),
    "one with an encrypted key": ("MUTUAL", lambda kafka: kafka.mutual(kafka.locked, ssl_key_password=KEY_PASSWORD)),
    "SCRAM-SHA-512": ("LOGIN", lambda kafka: kafka.login()),
    "SCRAM-SHA-256": ("LOGIN", lambda kafka: kafka.login("SCRAM-SHA-256")),
    "PLAIN": ("LOGIN", lambda kafka: kafka.login("PLAIN", PLAIN_USER, PLAIN_PASSWORD)),
    "SCRAM without TLS": ("BARE", lambda kafka: {**kafka.login(), "security.protocol": "SASL_PLAINTEXT"}),
    "a certificate for another host, and no look at it": (
        "ELSEWHERE",
        lambda kafka: kafka.tls(ssl_endpoint_identification_algorithm="none"),
    ),
}

REFUSED: dict[str, tuple[str, Make, str]] = {
    "a wrong password": (
        "LOGIN",
        lambda kafka: kafka.login(password=WRONG_PASSWORD),
        r"invalid credentials.* ADTALLY_KAFKA_SASL_PASSWORD",
    ),
    "an unknown user": ("LOGIN", lambda kafka: kafka.login(user="stranger"), r"ADTALLY_KAFKA_SASL_USERNAME"),
    "a wrong password by PLAIN": (
        "LOGIN",
        lambda kafka: kafka.login("PLAIN", PLAIN_USER, WRONG_PASSWORD),
        r"Invalid username or password",
    ),
    "an unknown authority": (
        "TLS",
        lambda kafka: kafka.tls(ssl_ca_location=str(kafka.stranger.certificate)),
        r"not accepted \(.*(issuer|self.signed).*ADTALLY_KAFKA_SSL_CA_LOCATION",
    ),
    "no authority": ("TLS", lambda _: {"security.protocol": "SSL"}, r"not accepted .*ADTALLY_KAFKA_SSL_CA_LOCATION"),
    "an expired certificate": ("EXPIRED", lambda kafka: kafka.tls(), r"certificate has expired.*renew it"),
    "a certificate for another host": ("ELSEWHERE", lambda kafka: kafka.tls(), r"mismatch.*ADTALLY_BROKERS"),
    "no client certificate": ("MUTUAL", lambda kafka: kafka.tls(), r"mTLS.*ADTALLY_KAFKA_SSL_CERTIFICATE_LOCATION"),
    "a stranger's client certificate": (
        "MUTUAL",
        lambda kafka: kafka.mutual(kafka.unknown),
        r"mTLS.*ADTALLY_KAFKA_SSL_KEY_LOCATION",
    ),
    "a wrong key password": (
        "MUTUAL",
        lambda kafka: kafka.mutual(kafka.locked, ssl_key_password=WRONG_PASSWORD),
        r"ssl\.key\.location.*ADTALLY_KAFKA_SSL_KEY_PASSWORD",
    ),
    "another's key": (
        "MUTUAL",
        lambda kafka: kafka.mutual(kafka.client, ssl_key_location=str(kafka.unknown.key)),
        r"does not belong to the certificate",
    ),
    "a login that is not required": (
        "TLS",
        lambda kafka: kafka.login(),
        r"requires no login.*ADTALLY_KAFKA_SECURITY_PROTOCOL=SSL",
    ),
    "no password": (
        "LOGIN",
        lambda kafka: {name: value for name, value in kafka.login().items() if name != "sasl.password"},
        r"ADTALLY_KAFKA_SASL_PASSWORD_FILE",
    ),
    "Kerberos by mistake": (
        "LOGIN",
        lambda kafka: {name: value for name, value in kafka.login().items() if name != "sasl.mechanism"},
        r"ADTALLY_KAFKA_SASL_MECHANISM=SCRAM-SHA-512",
    ),
}


MISTAKEN: dict[str, tuple[str, Make, str]] = {
    "no TLS": ("TLS", lambda _: {}, r"speaks TLS; set ADTALLY_KAFKA_SECURITY_PROTOCOL=SSL"),
    "a login without TLS": (
        "LOGIN",
        lambda kafka: {**kafka.login(), "security.protocol": "SASL_PLAINTEXT"},
        r"speaks TLS; set ADTALLY_KAFKA_SECURITY_PROTOCOL=SASL_SSL",
    ),
    "no login": ("LOGIN", lambda kafka: kafka.tls(), r"requires a login; set ADTALLY_KAFKA_SECURITY_PROTOCOL=SASL_SSL"),
    "no login and no TLS": ("BARE", lambda _: {}, r"requires a login; set ADTALLY_KAFKA_SECURITY_PROTOCOL=SASL_PLAINTEXT"),
    "TLS on this side only": ("PLAINTEXT", lambda kafka: kafka.tls(), r"does not speak TLS|fails the TLS handshake"),
}
"""What looks to librdkafka like a broker that is away: the flow waits, and the doctor looks for the reason."""


@pytest.mark.parametrize("how", LET_IN)
def test_records_come_and_go_by(secured_kafka: SecuredKafka, settings: Settings, how: str) -> None:
    listener, client = LET_IN[how]
    mine = secured_kafka.settings(settings, listener, client(secured_kafka))
    Topics(mine).ensure(mine.results_topic, timeout=ANSWER_SECONDS)
    assert deliver(mine, "test", mine.results_topic, [(b"a", b"1")]) == 1
    assert [message.value() for message in scan(mine, mine.results_topic)] == [b"1"]


@pytest.mark.parametrize("with_what", REFUSED)
def test_a_client_with_the_wrong_security_gets_one_line_at_once(
    secured_kafka: SecuredKafka, settings: Settings, with_what: str
) -> None:
    listener, client, words = REFUSED[with_what]
    mine = secured_kafka.settings(settings, listener, client(secured_kafka))
    with pytest.raises(RefusedError, match=words) as caught:
        # However long a broker that is away would be waited for.
        Topics(mine).wait(mine.logs_topic)
    assert "\n" not in str(caught.value)
    assert not any(secret in str(caught.value) for secret in SECRETS)


@pytest.mark.parametrize("with_what", MISTAKEN)
def test_another_protocol_is_waited_for_and_the_doctor_names_the_variable(
    secured_kafka: SecuredKafka, settings: Settings, caplog: pytest.LogCaptureFixture, with_what: str
) -> None:
    listener, client, words = MISTAKEN[with_what]
    mine = secured_kafka.settings(settings, listener, client(secured_kafka))
    tries = iter([False, True])
    assert not Topics(mine).wait(mine.logs_topic, give_up=lambda: next(tries))
    assert "adtally doctor looks for the reason" in caplog.text
    (found,) = brokers(mine)
    assert found.level == "fail"
    assert re.search(words, found.words), found.words
    assert not any(secret in found.words for secret in SECRETS)


@pytest.mark.parametrize("with_what", [*LET_IN, *REFUSED])
def test_the_doctor_says_of_a_broker_whether_it_lets_this_client_in(
    secured_kafka: SecuredKafka, settings: Settings, with_what: str
) -> None:
    listener, client, *words = {**LET_IN, **REFUSED}[with_what]
    mine = secured_kafka.settings(settings, listener, client(secured_kafka))
    found = list(brokers(mine))
    assert found[0].level == ("fail" if words else "ok"), found
    assert not any(secret in one.words for one in found for secret in SECRETS)


def test_of_a_broker_that_is_slow_to_be_distrusted_it_is_not_said_that_it_speaks_no_tls(
    secured_kafka: SecuredKafka, settings: Settings
) -> None:
    client = secured_kafka.tls(ssl_ca_location=str(secured_kafka.stranger.certificate))
    mine = secured_kafka.settings(settings, "TLS", client)
    # Before librdkafka has said anything.
    assert str(ConnectionErrors(mine).unreachable()).startswith(f"no Kafka broker answers at {mine.brokers}")


PYTHON = [sys.executable, "-m"]
PAST = ("--from", "2026-01-01T00:00:00Z", "--to", "2026-01-01T01:00:00Z")
COMMANDS = {
    "dataflow": ["bytewax.run", "dataflows.marketing"],
    "generator": ["generator", "synthetic", "--count", "5"],
    "dashboard": ["panel_app", "--port", "{port}"],
    "rebuild": ["adtally", "rebuild", *PAST],
    "rejected": ["adtally", "rejected"],
    "counters": ["adtally", "counters"],
    "export": ["adtally", "export", "--out", "-"],
    "topics": ["adtally", "topics"],
    "demo": ["adtally", "demo"],
}


def run(command: list[str], given: dict[str, str], folder: Path) -> tuple[int, str]:
    """A command in `folder`: its exit code, and all that it said."""
    words = [*PYTHON, *(word.format(port=free_port()) for word in command)]
    done = subprocess.run(
        words, cwd=folder, env={**given, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode, done.stdout + done.stderr


BAD = {
    "a wrong password": {"sasl.password": WRONG_PASSWORD},
    "an unknown authority": {"ssl.ca.location": "{stranger}"},
    "a missing key file": {"ssl.certificate.location": "{client}", "ssl.key.location": "/no/such/{secret}.key"},
    "a misspelt property": {"sasl.pasword": PASSWORD},
    "a password in the address": {},
}


@pytest.mark.parametrize("what", BAD)
@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_ends_with_one_line_and_no_secret(
    secured_kafka: SecuredKafka, settings: Settings, tmp_path: Path, name: str, what: str
) -> None:
    files = {
        "stranger": str(secured_kafka.stranger.certificate),
        "client": str(secured_kafka.client.certificate),
        "secret": "client",
    }
    client = {**secured_kafka.login(), **{key: value.format(**files) for key, value in BAD[what].items()}}
    given = environment(secured_kafka.settings(settings, "LOGIN", client))
    if what == "a password in the address":
        given["ADTALLY_BROKERS"] = f"https://{PLAIN_USER}:{PLAIN_PASSWORD}@kafka/path"
    code, said = run(COMMANDS[name], given, tmp_path)
    assert code not in (0, None)
    assert "Traceback" not in said
    assert not any(secret in said for secret in SECRETS), said
    # A broker that takes longer than seconds to refuse is waited for before.
    others = ("no recovery folder", "waiting: no Kafka broker answers")
    told = [line for line in said.splitlines() if "ADTALLY_" in line and not any(other in line for other in others)]
    assert len(told) == 1, said


@pytest.mark.parametrize("password", [WRONG_PASSWORD, PASSWORD])
def test_the_oracle_comes_with_a_file_of_properties(
    secured_kafka: SecuredKafka, settings: Settings, tmp_path: Path, password: str
) -> None:
    mine = secured_kafka.settings(settings, "LOGIN", secured_kafka.login(password=password))
    Topics(secured_kafka.settings(settings, "PLAINTEXT", {})).ensure(
        mine.logs_topic, mine.results_topic, mine.rejected_topic, timeout=ANSWER_SECONDS
    )
    file = tmp_path / "client"
    file.write_text("# how to get in\n" + "".join(f"{name}={value}\n" for name, value in mine.client.items()))
    topics = ["--logs", mine.logs_topic, "--results", mine.results_topic, "--rejected", mine.rejected_topic]
    code, said = run(
        ["tests.system.oracle", "--brokers", mine.brokers, "--client", str(file), *topics], dict(os.environ), tmp_path
    )
    assert code == (0 if password == PASSWORD else 2)
    assert said.count("\n") == 1
    assert not any(secret in said for secret in SECRETS)
    file.write_text(f"sasl.password {password}\n")
    code, said = run(
        ["tests.system.oracle", "--brokers", mine.brokers, "--client", str(file), *topics], dict(os.environ), tmp_path
    )
    assert (code, "line 1" in said, password in said) == (2, True, False)


def test_the_whole_pipeline_runs_by_tls_and_a_password_from_a_file_and_shows_it_nowhere(
    secured_kafka: SecuredKafka, settings: Settings, tmp_path: Path
) -> None:
    secret = tmp_path / "password"
    secret.write_text(PASSWORD + "\n")
    client = secured_kafka.login()
    mine = secured_kafka.settings(settings, "LOGIN", client)
    by_file = replace(
        mine, client={**{k: v for k, v in client.items() if k != "sasl.password"}, "sasl.password.file": str(secret)}
    )
    given = environment(by_file)
    assert given[client_variable("sasl.password") + "_FILE"] == str(secret)
    code, sent = run(["generator", "synthetic", "--rate", "1000", "--count", "500"], given, tmp_path)
    assert code == 0, sent
    plain = secured_kafka.settings(settings, "PLAINTEXT", {})
    store = recovery_folder(tmp_path / "recovery")
    with running(by_file, tmp_path / "log", "-r", str(store), "-s", "1", "-b", "0") as flow:
        wait_for(lambda: counted(plain) == 500, "the events")
        shown = [" ".join(psutil.Process(process.pid).cmdline()) for process in flow.processes]
        assert flow.stop() == [0]
    code, exported = run(["adtally", "export", "--out", "-"], given, tmp_path)
    assert code == 0
    assert re.search(r"\n\d{4}-", exported)
    everything = [
        sent,
        exported,
        flow.output(),
        *shown,
        *(file.read_bytes().decode(errors="replace") for file in store.iterdir()),
    ]
    assert not any(PASSWORD in text for text in everything)
