"""Spelling of names: what a search treats as equal, and which different names look alike.

Everywhere else names are compared exactly: in filters, keys of results, and the choice of colours.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from itertools import takewhile

import msgspec

_KEPT = 2**14
_ACCENTS = re.compile(
    "[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f\u0591-\u05bd\u05bf\u05c1-\u05c7\u064b-\u065f\u0670]"
)
"""Combining marks that a search ignores: accents of Latin, Greek and Cyrillic letters, and vowel marks of Hebrew and Arabic.

Marks of Kana, Devanagari or Thai are kept, because they change the letter.
"""

_PLAIN = str.maketrans({"ı": "i", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "æ": "ae", "œ": "oe", "þ": "th"})
"""Letters that Unicode normalisation does not decompose, and their usual ASCII spelling."""

_ALIKE = str.maketrans(
    "авекмнорстухіјѕԁһԛԝѵӏ" + "αβεζηικμνορτυχ",
    "abekmhopctyxijsdhqwvl" + "abezhikmnoptyx",
)
"""Cyrillic and Greek letters, in lower case, that look like Latin ones in either case."""

_LONGEST = 3


def _unseen(character: str) -> bool:
    """Return whether a character is invisible: zero-width characters, direction marks, variation selectors, controls."""
    return unicodedata.category(character) in ("Cf", "Cc") or "\ufe00" <= character <= "\ufe0f"


def _seen(text: str) -> str:
    return (
        text
        if text.isascii() and text.isprintable()
        else "".join(character for character in text if character.isspace() or not _unseen(character))
    )


@lru_cache(_KEPT)
def folded(text: str) -> str:
    """Return `text` as a search compares it: without case, accents, invisible characters, and compatibility forms such as full width."""
    if text.isascii() and text.isprintable():
        return text.lower()
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", _seen(text)).casefold())
    plain = unicodedata.normalize("NFKC", _ACCENTS.sub("", apart)).translate(_PLAIN)
    return re.sub(r"\s", " ", plain)


def matches(name: str, wanted: str) -> bool:
    """Return whether a search for `wanted` finds `name`."""
    sought = folded(wanted)
    return sought in folded(name) if sought else wanted in name


@lru_cache(_KEPT)
def skeleton(name: str) -> str:
    """Return the skeleton of `name`, without differences that are hard to see; names that look alike have the same one."""
    if name.isascii() and name.isprintable():
        return " ".join(name.lower().split())
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", _seen(name)).casefold())
    return " ".join(unicodedata.normalize("NFKC", apart.translate(_ALIKE)).split())


class SpellingMark(msgspec.Struct, frozen=True):
    """How a name differs from another that looks like it: `short` as a visible label, `long` with the names of the characters."""

    short: str
    long: str


@lru_cache(_KEPT)
def mark(name: str, others: tuple[str, ...]) -> SpellingMark:
    """Return how `name` differs from the most similar one of `others`, which have the same skeleton."""
    own, theirs = min((_parts(name, candidate) for candidate in others), key=lambda parts: (len(parts[0]) + len(parts[1]), parts))
    other = next(candidate for candidate in others if _parts(name, candidate) == (own, theirs))
    difference = f"{_spelled(own)} where the other has {_spelled(theirs)}"
    if name.lower() == other.lower():
        return SpellingMark("", f"Another name differs from this one in upper and lower case only: {difference}.")
    return SpellingMark(_short(name, other, own, theirs), f"Another name looks like this one. This one has {difference}.")


def _shared(name: Iterable[str], other: Iterable[str]) -> int:
    """Return the length of the common prefix."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(name, other, strict=False)))


def _parts(name: str, other: str) -> tuple[str, str]:
    """Return both names without their common prefix and suffix."""
    begin = _shared(name, other)
    name, other = name[begin:], other[begin:]
    end = _shared(reversed(name), reversed(other))
    return name[: len(name) - end], other[: len(other) - end]


def _spelled(text: str) -> str:
    """Return the first characters of `text` by code point and name."""
    if not text:
        return "nothing"
    rest = f" and {len(text) - _LONGEST} more" if len(text) > _LONGEST else ""
    return ", ".join(f"U+{ord(character):04X} {unicodedata.name(character, '')}".rstrip() for character in text[:_LONGEST]) + rest


def _short(name: str, other: str, own: str, others: str) -> str:
    if unicodedata.normalize("NFC", name) == unicodedata.normalize("NFC", other):
        return "composed" if unicodedata.is_normalized("NFC", name) else "decomposed"
    if not own:
        return ""
    if own.isspace() and not others:
        return "space"
    if all(_unseen(character) for character in own):
        return "invisible"
    scripts = [unicodedata.name(text[:1], "").partition(" ")[0].capitalize() for text in (own, others)]
    if own.isalpha() and others.isalpha() and scripts[0] != scripts[1]:
        return scripts[0]
    return next((f"U+{ord(character):04X}" for character in own if not character.isascii()), "")
