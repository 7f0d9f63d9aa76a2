"""Ad groups, ads, keywords, placements and landing pages of a campaign on a channel: how each is called, shown, clicked and converts.

They depend on the names of campaign and channel alone, so that a campaign has the same ads in every run, whatever its seed.
"""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec

PRODUCTS = (
    *("garden chair", "running shoes", "coffee machine", "desk lamp", "winter jacket", "wireless headphones"),
    *("yoga mat", "office chair", "travel suitcase", "kids bike", "phone case", "espresso beans"),
)
THEMES = {
    "search": ("brand", "generic", "competitor", "dynamic"),
    "social": ("prospecting", "lookalike", "interest", "retargeting"),
    "display": ("contextual", "prospecting", "retargeting"),
    "video": ("in-stream", "bumper", "shorts"),
    "email": ("weekly", "welcome", "win-back"),
    "affiliate": ("coupon", "cashback", "content"),
}
"""Names of ad groups by channel; `dynamic` search ads have no keyword."""

ADS_PER_GROUP = 3
_BEFORE = ("", "best", "cheap", "buy", "new", "small", "white", "used", "compare", "order")
_AFTER = ("", "online", "sale", "price", "review", "near me", "shop", "delivery", "with warranty", "gift", "set", "for two")
_SITES = (
    "news",
    "weather",
    "recipes",
    "sports",
    "travel",
    "finance",
    "games",
    "tech",
    "music",
    "maps",
    "cars",
    "parents",
    "homes",
)
_FIRMS = {"brand": "acme ", "competitor": "globex "}
_ROTATION = 64
_TERMS = 128
_WITHOUT_PLACEMENT = 0.08
_SKEW = 0.8
"""Exponent of the long tail of ads: the ad of rank r is shown r ** -0.8 times as often as the first."""


class Ad(NamedTuple):
    """An ad as text of a click: JSON members with a leading comma, `page` among them, and one of `terms` (keyword, placement or none).

    `converts` is the rate of conversion of its clicks, 1.0 at most.
    """

    members: str
    terms: Sequence[str]
    converts: float


class Rotation(NamedTuple):
    """The ads of a campaign on a channel, as often as their share of the impressions (as text, with a term), and of the clicks."""

    shown: Sequence[str]
    clicked: Sequence[Ad]


def member(name: str, value: str) -> str:
    """Return a member of a JSON object, with a leading comma."""
    return f',"{name}":{msgspec.json.encode(value).decode()}'


def repeated(weights: Sequence[float], size: int) -> list[int]:
    """Return each index of `weights` about as often as its share of `size`, and at least once."""
    total = sum(weights)
    return [index for index, weight in enumerate(weights) for _ in range(max(1, round(weight / total * size)))]


def rotation_of(campaign: str, channel: str, terms: str, *, ads: int, keywords: int, size: int) -> Rotation:
    """Return `ads` ads in ad groups of three; `terms` is the field of the `keywords` keywords of each group, or is empty.

    Of impressions it has about `size`, or four for each ad if that is more.
    """
    seeded = random.Random(f"ads {campaign} {channel}")  # noqa: S311 - traffic to look at, no secret
    code = hashlib.blake2b(f"{campaign}\0{channel}".encode(), digest_size=3).hexdigest()
    product = PRODUCTS[hashlib.blake2b(campaign.encode(), digest_size=1).digest()[0] % len(PRODUCTS)]
    themes = THEMES.get(channel, ("main", "test"))
    groups = [_group(themes, index) for index in range(-(-ads // ADS_PER_GROUP))]
    texts = [_terms(terms, themes[index % len(themes)], product, keywords) for index in range(len(groups))]
    names, made, shown, clicked = list[str](), list[Ad](), list[float](), list[float]()
    for index in range(ads):
        group = f"{groups[index % len(groups)]}-{code}"
        names.append(member("adgroup_id", group) + member("ad_id", f"{group}-{index // len(groups) + 1}"))
        page = member("landing_page", f"https://shop.example/{product.replace(' ', '-')}{('', '/sale', '/new')[index % 3]}")
        made.append(Ad(names[-1] + page, texts[index % len(groups)], seeded.uniform(0.4, 1.0)))
        shown.append((index + 1) ** -_SKEW)
        clicked.append(shown[-1] * seeded.uniform(0.5, 1.8))
    seen = [sys.intern(names[index] + seeded.choice(made[index].terms)) for index in repeated(shown, max(size, 4 * ads))]
    return Rotation(seen, [made[index] for index in repeated(clicked, max(_ROTATION, 4 * ads))])


def _group(themes: Sequence[str], index: int) -> str:
    return f"{themes[index % len(themes)]}{f'-{index // len(themes) + 1}' * (index >= len(themes))}"


@lru_cache(1_000)
def _terms(field: str, theme: str, product: str, number: int) -> Sequence[str]:
    """Return a sample of the long tail of `number` keywords or placements, as members; an empty text where there is none.

    Ad groups of one theme and product share it, so that thousands of campaigns need little memory.
    """
    if not field or theme == "dynamic":
        return ("",)
    seeded = random.Random(f"terms {field} {theme} {product}")  # noqa: S311 - traffic to look at, no secret
    names = list(_keywords(_FIRMS.get(theme, "") + product, number) if field == "keyword" else _placements(number))
    seeded.shuffle(names)
    texts = [member(field, name) for name in names]
    weights = [1 / (rank + 1) for rank in range(number)]
    if field == "placement":
        texts.append("")
        weights.append(sum(weights) * _WITHOUT_PLACEMENT)
    return seeded.choices(texts, weights, k=max(_TERMS, 2 * number))


def _keywords(subject: str, number: int) -> Iterator[str]:
    combinations = len(_BEFORE) * len(_AFTER)
    for index in range(number):
        # 7 has no factor in common with the number of combinations: each comes once before one is repeated with a number.
        before, after = divmod(index * 7 % combinations, len(_AFTER))
        repetition = f" {index // combinations + 1}" * (index >= combinations)
        yield f"{_BEFORE[before]} {subject} {_AFTER[after]}".strip() + repetition


def _placements(number: int) -> Iterator[str]:
    for index in range(number):
        yield f"{_SITES[index % len(_SITES)]}{index // len(_SITES) + 1 if index >= len(_SITES) else ''}.example"
