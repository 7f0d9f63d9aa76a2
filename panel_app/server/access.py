"""Who may see the dashboard: a password, or a login elsewhere (OAuth), both Panel's own; without either only this machine.

Settings are environment variables, `TABLE`; a secret may be in a file: ``ADTALLY_DASHBOARD_PASSWORD_FILE``.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import os
import re
import secrets
from collections.abc import Mapping
from typing import Any

import msgspec
from typing_extensions import override

from dataflows.contract.client_properties import FILE, secret_file
from dataflows.contract.errors import SettingsError

PREFIX = "ADTALLY_DASHBOARD_"

TABLE = {
    "PASSWORD": "one password for everyone; a user name is not asked for",
    "USERS": "user names and passwords, as a JSON object",
    "COOKIE_SECRET": "key that signs the login cookies; by default a new one at each start, which ends all logins",
    "OAUTH_PROVIDER": "OAuth provider, by Panel's name for it: google, github, azure, okta, auth0, generic …",
    "OAUTH_KEY": "client id of the dashboard at the provider",
    "OAUTH_SECRET": "client secret of the dashboard at the provider",
    "OAUTH_REDIRECT_URI": "address of the dashboard, as registered at the provider",
    "OAUTH_EXTRA": "further parameters of the provider, as a JSON object: TOKEN_URL, AUTHORIZE_URL and USER_URL for generic",
    "OAUTH_ALLOW": "users of the provider who may see the dashboard: names or @domain, separated by commas; * for all",
    "OPEN_TO_EVERYONE": "true: everyone who can reach the port may see the dashboard, without a login",
}
"""Each variable without `PREFIX`, and what it sets; `adtally dashboard --help` points to docs/security.md, which has it."""


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """The login that visitors need; empty without one."""

    password: str = ""
    users: dict[str, str] = {}
    cookie_secret: str = ""
    oauth_provider: str = ""
    oauth_key: str = ""
    oauth_secret: str = ""
    oauth_redirect_uri: str = ""
    oauth_extra: dict[str, str] = {}
    oauth_allow: tuple[str, ...] = ()
    open_to_everyone: bool = False

    def __repr__(self) -> str:
        """Return a text without any value."""
        return f"Access(login={self.wants_login}, open_to_everyone={self.open_to_everyone})"

    @property
    def wants_login(self) -> bool:
        """Whether a visitor must log in."""
        return bool(self.password or self.users or self.oauth_provider)

    @property
    def by_password(self) -> bool:
        """Whether that login is Panel's own form, not an OAuth provider."""
        return self.wants_login and not self.oauth_provider

    def secrets(self) -> dict[str, str]:
        """Return the values that no log line may show, by name."""
        users = {f"password of {name}": password for name, password in self.users.items()}
        return {"password": self.password, "cookie secret": self.cookie_secret, "oauth secret": self.oauth_secret, **users}

    def of_panel(self) -> dict[str, Any]:
        """Return the options of `panel.serve` for this login."""
        if not self.wants_login:
            return {}
        secret = {"cookie_secret": self.cookie_secret or secrets.token_hex(32)}
        if self.by_password:
            # Panel reads a string that is the path of a file as a file of users; a dictionary is used unchanged.
            return {**secret, "basic_auth": _Users(self.users) if self.users else _Users({_ANY: self.password})}
        return {
            **secret,
            "oauth_provider": self.oauth_provider,
            "oauth_key": self.oauth_key,
            "oauth_secret": self.oauth_secret,
            "oauth_redirect_uri": self.oauth_redirect_uri or None,
            "oauth_extra_params": self.oauth_extra,
        }

    def allows(self, user: str | None) -> bool:
        """Return whether a visitor who has logged in as `user` has access."""
        if not user:
            return False
        if not self.oauth_provider or "*" in self.oauth_allow:
            return True
        domain = "@" + user.rpartition("@")[2].lower() if "@" in user else ""
        return any(entry == user or (entry.startswith("@") and entry.lower() == domain) for entry in self.oauth_allow)


_ANY = "*"
_SERVICE_LINK = re.compile(r"SERVICE_HOST|(SERVICE_)?PORT(_\w+)?")
"""Variables that Kubernetes and Docker set in every container for a service named adtally-dashboard; they are not settings."""


class _Secret(str):
    """A text that is compared in constant time."""

    __hash__ = str.__hash__

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and hmac.compare_digest(self.encode(), other.encode())


class _Users(dict[str, str]):
    """Names and passwords as Panel takes them; `_ANY` has the password that is valid for any name."""

    @override
    def __contains__(self, name: object) -> bool:
        return super().__contains__(_ANY) or super().__contains__(name)

    @override
    def __getitem__(self, name: str) -> str:
        return _Secret(self.get(_ANY) or super().__getitem__(name))


def from_environment(environment: Mapping[str, str] | None = None) -> Access:
    """Return the settings in the variables of `TABLE`; raises `SettingsError`, which repeats no secret."""
    variables = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    for key, text in variables.items():
        if not key.startswith(PREFIX) or not text:
            continue
        name = key[len(PREFIX) :]
        plain = name.removesuffix(FILE)
        if _SERVICE_LINK.fullmatch(name):
            continue
        if plain not in TABLE:
            raise SettingsError(
                f"{key} is not a setting of the dashboard; its settings are {', '.join(PREFIX + setting for setting in TABLE)}."
            )
        if plain.lower() in values:
            raise SettingsError(f"{PREFIX}{plain} and {PREFIX}{plain}{FILE} are both set; unset one of them.")
        values[plain.lower()] = _read(key, plain, secret_file(key, text) if name.endswith(FILE) else text)
    access = Access(**values)
    _check(access)
    return access


def _read(key: str, name: str, text: str) -> Any:
    if name in ("USERS", "OAUTH_EXTRA"):
        try:
            return msgspec.convert(json.loads(text), dict[str, str])
        except ValueError:
            raise SettingsError(f'{key} must be a JSON object of texts, such as {{"name": "value"}}.') from None
    if name == "OAUTH_ALLOW":
        return tuple(filter(None, (part.strip() for part in text.split(","))))
    if name == "OPEN_TO_EVERYONE":
        if text not in ("true", "false"):
            raise SettingsError(f"{key} must be true or false.")
        return text == "true"
    return text


def _check(access: Access) -> None:
    ways = [
        PREFIX + name
        for name, value in (
            ("PASSWORD", access.password),
            ("USERS", access.users),
            ("OAUTH_PROVIDER", access.oauth_provider),
        )
        if value
    ]
    if len(ways) > 1:
        raise SettingsError(f"{' and '.join(ways)} are different ways to log in; set only one of them.")
    if _ANY in access.users or not all(access.users.values()):
        raise SettingsError(f"{PREFIX}USERS must give each name a password, and {_ANY} is not a name.")
    if not access.oauth_provider:
        return
    from panel.auth import AUTH_PROVIDERS  # noqa: PLC0415 - Panel takes a second to import

    if access.oauth_provider not in AUTH_PROVIDERS:
        raise SettingsError(f"{PREFIX}OAUTH_PROVIDER must be one of {', '.join(sorted(AUTH_PROVIDERS))}.")
    for name, value in (("OAUTH_KEY", access.oauth_key), ("OAUTH_SECRET", access.oauth_secret)):
        if not value:
            raise SettingsError(f"{PREFIX}{name} is missing; {PREFIX}OAUTH_PROVIDER needs it.")
    if not access.oauth_allow:
        raise SettingsError(
            f"{PREFIX}OAUTH_ALLOW is missing, so anyone with an account there could log in; set it to names, @domain, or * for all."
        )


def is_loopback(host: str) -> bool:
    """Return whether `host`, a name or an address, can only be reached from this machine."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
