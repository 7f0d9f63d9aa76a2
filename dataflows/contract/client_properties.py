"""Client properties from the environment: ``ADTALLY_KAFKA_<NAME>``, or ``ADTALLY_KAFKA_<NAME>_FILE`` for a value in a file.

No error of this module repeats a value: it may be a password.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from dataflows.contract.errors import SettingsError

CLIENT_PREFIX = "ADTALLY_KAFKA_"
FILE = "_FILE"
LARGEST = 1 << 20
"""Maximum size in bytes of a file that holds a property."""

_OWN_FILES = {"sasl.oauthbearer.assertion.private.key.file", "sasl.oauthbearer.assertion.jwt.template.file"}
"""Properties of librdkafka whose own name ends in that suffix."""

_READ = ("ssl.ca.location", "ssl.certificate.location", "ssl.key.location", "ssl.keystore.location", "ssl.crl.location")
"""Files that librdkafka reads; it does not say which of them is missing."""

_SECRET = re.compile(r"password|secret|token|passphrase|\.pem$|oauthbearer\.config|assertion|jaas")


def client_variable(name: str) -> str:
    """Return the environment variable of the client property `name`: ``sasl.username`` gives ``ADTALLY_KAFKA_SASL_USERNAME``."""
    return CLIENT_PREFIX + name.upper().replace(".", "_")


def client_properties(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the properties for every Kafka client: ``ADTALLY_KAFKA_SASL_USERNAME=x`` gives ``{"sasl.username": "x"}``.

    Raises `SettingsError` for a file that can't be read, and for a property that is given twice.
    """
    properties: dict[str, str] = {}
    for key, text in environment.items():
        if not key.startswith(CLIENT_PREFIX) or not text:
            continue
        name = key[len(CLIENT_PREFIX) :].lower().replace("_", ".")
        if key.endswith(FILE) and name not in _OWN_FILES:
            if environment.get(key.removesuffix(FILE)):
                raise SettingsError(f"{key.removesuffix(FILE)} and {key} are both set; unset one of them.")
            properties[name.removesuffix(".file")] = secret_file(key, text)
        else:
            properties[name] = text
    for name in _READ:
        if name in properties and not (name == "ssl.ca.location" and properties[name] == "probe"):
            _check_readable(client_variable(name), Path(properties[name]))
    return properties


def secret_file(variable: str, path: str) -> str:
    """Return the content of the file `path`, named by the environment variable `variable`, without the end of its last line.

    Raises `SettingsError`, which never shows the content.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(LARGEST + 1)
        text = content.decode()
    except OSError as error:
        raise SettingsError(f"{variable}={path} can't be read ({_reason(error)}); use a file that this user may read.") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{variable}={path} is not UTF-8 text; use a file that holds only the value.") from None
    text = text.rstrip("\r\n")
    if not text or len(content) > LARGEST or "\0" in text:
        why = "is empty" if not text else "is larger than any value may be" if len(content) > LARGEST else "is not text"
        raise SettingsError(f"{variable}={path} {why}; use a file that holds only the value.")
    return text


def redact(text: str, client: Mapping[str, str]) -> str:
    """Return `text` without the values, or words of the values, of the secret properties of `client`."""
    for name, value in client.items():
        if _SECRET.search(name):
            for word in sorted({value, *re.split(r"[\s=,;]+", value)}, key=len, reverse=True):
                text = text.replace(word, "…") if len(word) > 3 else text
    return text


def _check_readable(variable: str, path: Path) -> None:
    try:
        if path.is_dir():
            next(path.iterdir(), None)
        else:
            path.open("rb").close()
    except OSError as error:
        raise SettingsError(f"{variable}={path} can't be read ({_reason(error)}); use a file that this user may read.") from None


def _reason(error: OSError) -> str:
    words = error.strerror or "it can't be opened"
    return words[0].lower() + words[1:]
