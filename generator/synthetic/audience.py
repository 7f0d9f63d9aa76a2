"""Who sees and clicks ads: users with a device and a country, in the shares of a channel and of the country of an account."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from generator.synthetic.ads import member

USERS = 25_000
"""Number of users of a currency; each has one device and one country."""

_SIZE = 2048
_WITHOUT_DEVICE, _WITHOUT_COUNTRY = 0.02, 0.03
"""Shares of users whose user agent or address can't be resolved."""

_MIXES = {
    "search": {"mobile": 0.60, "desktop": 0.35, "tablet": 0.05},
    "social": {"mobile": 0.86, "desktop": 0.11, "tablet": 0.03},
    "display": {"mobile": 0.64, "desktop": 0.30, "tablet": 0.06},
    "video": {"mobile": 0.50, "tv": 0.24, "desktop": 0.20, "tablet": 0.06},
    "email": {"mobile": 0.52, "desktop": 0.44, "tablet": 0.04},
}
_OTHER_MIX = {"mobile": 0.55, "desktop": 0.40, "tablet": 0.05}
_CLICKS = {"mobile": 1.15, "desktop": 0.90, "tablet": 1.0, "tv": 0.08}
_CONVERTS = {"mobile": 0.5, "desktop": 1.0, "tablet": 0.75, "tv": 0.3}

_USERS_BY_DEVICE = {"mobile": 0.62, "desktop": 0.30, "tablet": 0.05, "tv": 0.03}

_COUNTRIES = {
    "EUR": {"DE": 0.38, "FR": 0.22, "AT": 0.11, "IT": 0.10, "ES": 0.09, "NL": 0.07, "IE": 0.03},
    "USD": {"US": 0.74, "CA": 0.14, "MX": 0.05, "BR": 0.04, "AU": 0.03},
    "GBP": {"GB": 0.88, "IE": 0.07, "US": 0.05},
}
_OTHER_COUNTRIES = {"US": 0.40, "GB": 0.20, "DE": 0.15, "FR": 0.10, "JP": 0.10, "AU": 0.05}
_ABROAD_CONVERTS = 0.7
"""Rate of conversion outside of the largest country of a currency, relative to that in it."""


class Person(NamedTuple):
    """A user as text of an event: JSON members with a leading comma; `converts` is the rate of conversion of the clicks, 1.0 at most."""

    members: str
    converts: float


class Audience(NamedTuple):
    """Users as often as their share of the impressions (as text), and of the clicks."""

    shown: Sequence[str]
    clicked: Sequence[Person]


@lru_cache(8)
def _users(currency: str, region: int) -> dict[tuple[str, str], list[Person]]:
    """Return the users of accounts in `currency` by device and country."""
    seeded = random.Random(f"users {currency}")  # noqa: S311 - traffic to look at, no secret
    countries = _COUNTRIES.get(currency, _OTHER_COUNTRIES)
    home = next(iter(countries))
    number, unknown = region * USERS, _WITHOUT_DEVICE + _WITHOUT_COUNTRY
    users: dict[tuple[str, str], list[Person]] = {}
    for country, share in countries.items():
        for device, part in _USERS_BY_DEVICE.items():
            converts = _CONVERTS[device] * (1.0 if country == home else _ABROAD_CONVERTS)
            on, of = member("device", device), member("country", country)
            group = users[device, country] = []
            for _ in range(max(1, round(share * part * USERS))):
                chance = seeded.random()
                shown = on + of if chance >= unknown else of if chance < _WITHOUT_DEVICE else on
                group.append(Person(f'{shown},"user_id":"user-{number}"', converts))
                number += 1
    return users


def audience_of(channel: str, currency: str, region: int) -> Audience:
    """Return the audience of `channel` for accounts in `currency`; its users have numbers from `region` times `USERS` on."""
    return _audience(channel if channel in _MIXES else "", currency, region)


@lru_cache(256)
def _audience(channel: str, currency: str, region: int) -> Audience:
    seeded = random.Random(f"audience {channel} {currency}")  # noqa: S311 - traffic to look at, no secret
    users, countries = _users(currency, region), _COUNTRIES.get(currency, _OTHER_COUNTRIES)
    devices = _MIXES.get(channel, _OTHER_MIX)
    shown = [devices.get(device, 0.0) * countries[country] for device, country in users]
    clicked = [share * _CLICKS[device] for share, (device, _) in zip(shown, users, strict=True)]
    groups = list(users.values())
    seen = [person.members for person in _drawn(groups, shown, seeded)]
    return Audience(seen, _drawn(groups, clicked, seeded))


def _drawn(groups: Sequence[list[Person]], weights: Sequence[float], seeded: random.Random) -> list[Person]:
    draw = seeded.random
    return [group[int(draw() * len(group))] for group in seeded.choices(groups, weights, k=_SIZE)]
