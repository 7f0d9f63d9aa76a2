"""Client properties and secrets: from the environment, from files, and never in words."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from dataflows.contract.client_properties import LARGEST, client_properties, client_variable, redact
from dataflows.contract.errors import SettingsError
from dataflows.contract.settings import Settings
from dataflows.kafka.clients import make_producer

PASSWORD = "hunter2-hunter2"
VARIABLE = "ADTALLY_KAFKA_SASL_PASSWORD"


def test_client_properties_pass_through_with_dots() -> None:
    given = {"ADTALLY_KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "ADTALLY_KAFKA_SASL_USERNAME": "ada", "ADTALLY_KAFKA_ACKS": ""}
    assert client_properties(given) == {"security.protocol": "SASL_SSL", "sasl.username": "ada"}
    assert all(client_variable(name) in given for name in client_properties(given))


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_property_may_stand_in_a_file_and_only_the_end_of_its_line_is_taken_off(tmp_path: Path, ending: str) -> None:
    file = tmp_path / "password"
    file.write_bytes(f" {PASSWORD} {ending}".encode())
    assert client_properties({f"{VARIABLE}_FILE": str(file)}) == {"sasl.password": f" {PASSWORD} "}


def test_a_property_whose_own_name_ends_in_file_is_itself() -> None:
    given = {"ADTALLY_KAFKA_SASL_OAUTHBEARER_ASSERTION_PRIVATE_KEY_FILE": "/a/key"}
    assert client_properties(given) == {"sasl.oauthbearer.assertion.private.key.file": "/a/key"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such file"),
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"\xff\xfe", "UTF-8"),
        (b"a\0b", "not text"),
        (b"x" * (LARGEST + 1), "larger than any value"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line_with_the_variable_and_the_path(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=words) as caught:
        client_properties({f"{VARIABLE}_FILE": str(file)})
    assert str(caught.value).startswith(f"{VARIABLE}_FILE={file} ")
    assert "\n" not in str(caught.value)


def test_a_value_and_a_file_for_one_property_are_refused_without_the_value(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=f"{VARIABLE} and {VARIABLE}_FILE are both set") as caught:
        client_properties({VARIABLE: PASSWORD, f"{VARIABLE}_FILE": str(tmp_path)})
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("name", ["ssl.ca.location", "ssl.certificate.location", "ssl.key.location", "ssl.keystore.location"])
def test_a_file_of_tls_that_is_not_there_is_named_by_its_variable(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=rf"^{client_variable(name)}={tmp_path}/none can't be read \(no such file"):
        client_properties({client_variable(name): f"{tmp_path}/none"})


def test_an_authority_may_be_a_folder_or_left_to_librdkafka(tmp_path: Path) -> None:
    for where in (str(tmp_path), "probe"):
        assert client_properties({"ADTALLY_KAFKA_SSL_CA_LOCATION": where}) == {"ssl.ca.location": where}


def test_no_way_to_show_the_settings_shows_the_value_of_a_property() -> None:
    settings = Settings.from_environment({VARIABLE: PASSWORD, "ADTALLY_KAFKA_SASL_USERNAME": "ada"})
    assert settings.client["sasl.password"] == PASSWORD
    for shown in (repr(settings), str(settings), f"{settings}", f"{settings!r}", repr([settings])):
        assert PASSWORD not in shown
        assert "sasl.password" in shown
        assert "brokers='127.0.0.1:9092'" in shown


def test_settings_that_differ_only_in_a_secret_are_still_different() -> None:
    one = Settings.from_environment({VARIABLE: PASSWORD})
    assert one != msgspec.structs.replace(one, client={})


@pytest.mark.parametrize(
    "given",
    [
        {"ADTALLY_BROKERS": f"https://ada:{PASSWORD}@kafka/path"},
        {"ADTALLY_BROKERS": f"ada:{PASSWORD}@kafka"},
        {"ADTALLY_BROKERS": f"ada:{PASSWORD}@kafka:9092,b:1"},
    ],
)
def test_a_password_in_the_address_is_not_repeated(given: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="ADTALLY_BROKERS") as caught:
        Settings.from_environment(given)
    assert PASSWORD not in str(caught.value)


def test_what_librdkafka_repeats_of_a_secret_is_taken_out() -> None:
    secret = {"sasl.oauthbearer.config": f"principal=ada scope={PASSWORD}", "sasl.password": "x y"}
    assert redact(f"invalid: beginning at: scope={PASSWORD}", secret) == "invalid: beginning at: …=…"
    assert redact("ssl.ca.location failed", {"ssl.ca.location": "/a/ca.pem"}) == "ssl.ca.location failed"


@pytest.mark.parametrize(
    "name", ["sasl.oauthbearer.config", "ssl.key.pem", "ssl.keystore.password", "sasl.oauthbearer.client.secret"]
)
def test_a_client_that_cannot_be_set_up_tells_no_secret(name: str, settings: Settings) -> None:
    client = {"security.protocol": "SASL_SSL", "sasl.mechanism": "OAUTHBEARER", "sasl.oauthbearer.method": "oidc", name: PASSWORD}
    with pytest.raises(Exception, match="ADTALLY_KAFKA_") as caught:
        make_producer(msgspec.structs.replace(settings, client=client), "test")
    assert PASSWORD not in str(caught.value)
