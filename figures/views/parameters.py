"""The parameters of a URL's query, read the same way for every page, the API and the export.

A page applies a parameter completely, or says in a note that it does not; the API and the export refuse it. In a query a plus means a
space, as in every HTML form.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TypeVar
from urllib.parse import parse_qs

from dataflows.contract.errors import InputError
from figures.calendar.calendar import WEEKS
from figures.calendar.zones import UTC, zone_name
from figures.views.breakdown_filter import FieldFilter, parse

T = TypeVar("T")
LONGEST = 2**20
"""Longest query in characters, enough for 10,000 names."""

NATIVE = "native"
"""Value of `currency` for money as it is."""

_CURRENCY = re.compile(r"[A-Z]{3}")
FILTERS = ("campaign", "channel")
TASTE: dict[str, tuple[str, ...]] = {
    "theme": ("light", "dark"),
    "every": ("5", "10", "30", "60", "off"),
    "paused": ("0", "1"),
    "embed": ("0", "1"),
}
"""Display options of every page, and their values."""

_ADDRESS = "page"
"""Parameter that selects the page under `panel serve`."""

_OTHERS = re.compile(r"bokeh-.*|utm_\w+|\w*clid|code|state")
"""Parameters that Bokeh, a login or a link in an e-mail adds; they are ignored without a note."""

_SHOWN = re.compile(r"[\w.\[\]-]{1,40}", re.ASCII)
_NO_NAME = ""
"""A value that can't be a name is read as the empty name, which no event can have, so it matches nothing."""


def parsed(query: str, *, strict: bool = False) -> dict[str, list[str]]:
    """Return values by name, in their order; a byte that is not UTF-8 becomes a lone surrogate, which no name contains.

    Raises `InputError` if the query is longer than `LONGEST` or, with `strict`, contains something other than ``name=value``.
    """
    query = query.removeprefix("?")
    if len(query) > LONGEST:
        raise InputError(f"the query is longer than {LONGEST:,} characters.")
    try:
        return parse_qs(query, keep_blank_values=True, strict_parsing=strict and bool(query), errors="surrogateescape")
    except ValueError:
        raise InputError("the query can't be read: give name=value, joined by &.") from None


def once(given: Mapping[str, Sequence[str]], name: str, default: str = "") -> str:
    """Return the value of a parameter, or `default`; raises `InputError` if it is given more than once."""
    values = given.get(name, ())
    if len(values) > 1:
        raise InputError(f"`{name}` may be given only once.")
    return values[0] if values else default


def names(given: Mapping[str, Sequence[str]], dimension: str) -> tuple[str, ...]:
    """Return the names in the filter on `dimension`, each once; empty for all.

    Raises `InputError` if one of them is empty or not UTF-8: no event can have such a name.
    """
    values = tuple(dict.fromkeys(given.get(dimension, ())))
    if why := _not_a_name(dimension, values):
        raise InputError(f"{why}; leave `{dimension}` out for all of them.")
    return values


def currency_name(text: str) -> str:
    """Return `text`; raises `InputError` unless it is the code of a currency, `NATIVE`, or empty."""
    if text and text != NATIVE and not _CURRENCY.fullmatch(text):
        raise InputError(f"`currency` must be {NATIVE}, or the code of a currency in capital letters, such as EUR.")
    return text


def unknown(given: Iterable[str], known: Collection[str]) -> str:
    """Return a line that names the parameters that are not `known`, with a suggestion; empty if all are known."""
    others = [name for name in given if name not in known]
    if not others:
        return ""
    shown = [
        f"`{name}`" if _SHOWN.fullmatch(name) else "one with characters other than letters and digits" for name in others[:5]
    ]
    meant = difflib.get_close_matches(others[0].lower(), known, n=1)
    more = f"; was `{meant[0]}` meant?" if len(others) == 1 and meant else "."
    plural = "s" if len(others) > 1 else ""
    rest = f" and {len(others) - 5:,} more" if len(others) > 5 else ""
    return f"unknown parameter{plural} {', '.join(dict.fromkeys(shown))}{rest}{more}"


def _not_a_name(dimension: str, values: Sequence[str]) -> str:
    if "" in values:
        return f"`{dimension}` is given without a name"
    try:
        "".join(values).encode()
    except UnicodeEncodeError:
        return f"`{dimension}` is given a name that is not UTF-8"
    return ""


class Parameters:
    """The query of a page's URL. `notes` has a line for each parameter that is not applied; it never repeats a value of the query."""

    def __init__(self, query: str) -> None:
        self.notes: list[str] = []
        self._read: set[str] = set()
        self._too_long = False
        try:
            self._given = parsed(query)
        except InputError as error:
            self._given, self._too_long = {}, True
            self.notes.append(f"The URL is not applied: {error} No figures are shown, because its filters are not known.")

    def one(self, name: str, allowed: Collection[str], default: str = "") -> str:
        """Return the value of a parameter that takes one of `allowed`, or `default`; the last one if there are several."""
        value = self._last(name)
        if value is None or value in allowed:
            return default if value is None else value
        self.notes.append(f"`{name}` is not applied: it takes {', '.join(allowed)}.")
        return default

    def checked(self, name: str, check: Callable[[str], T], default: T) -> T:
        """Return what `check` makes of the value of a parameter, or `default` if there is none or `check` raises an `InputError`."""
        value = self._last(name)
        if value is None:
            return default
        try:
            return check(value)
        except InputError as error:
            self.notes.append(f"`{name}` is not applied: it {str(error).removeprefix(f'`{name}` ')}")
            return default

    def zone(self) -> str:
        """Return the IANA name of the time zone in `tz`; UTC for `local`, because only the browser knows what that is."""
        return self.checked("tz", lambda text: UTC if text == "local" else zone_name(text), UTC)

    def week(self) -> str:
        """Return the day on which weeks begin, in `week`."""
        return self.one("week", WEEKS, WEEKS[0])

    def currency(self) -> str:
        """Return the currency of amounts in `currency`: a code, `NATIVE`, or empty for the reporting currency."""
        return self.checked("currency", currency_name, "")

    def _last(self, name: str) -> str | None:
        """Return the last value of a parameter that takes one; None if it is not given."""
        self._read.add(name)
        values = self._given.get(name, [])
        if len(set(values)) > 1:
            self.notes.append(f"`{name}` is given {len(values):,} times; all but the last are not applied.")
        return values[-1] if values else None

    def several(self, name: str, allowed: Collection[str], most: int) -> tuple[str, ...]:
        """Return the first `most` values of a parameter that takes several of `allowed`."""
        self._read.add(name)
        values = tuple(dict.fromkeys(self._given.get(name, [])))
        known = tuple(value for value in values if value in allowed)
        if known != values:
            self.notes.append(f"A value of `{name}` is not applied: it takes {', '.join(allowed)}.")
        if len(known) > most:
            self.notes.append(f"`{name}` is given {len(known)} values; those after the first {most} are not applied.")
        return known[:most]

    def text(self, name: str, most: int) -> str:
        """Return the text of a parameter, at most `most` characters."""
        text = (self._last(name) or "").encode(errors="replace").decode()
        if len(text) > most:
            self.notes.append(f"`{name}` is longer than {most} characters; the rest is not applied.")
        return text[:most]

    def names(self, dimension: str) -> tuple[str, ...]:
        """Return the names in the filter on `dimension`, each once; empty for all.

        A value that can't be a name matches nothing, and a note says so.
        """
        self._read.add(dimension)
        if self._too_long:
            return (_NO_NAME,)
        values = self._given.get(dimension, ())
        if not (why := _not_a_name(dimension, values)):
            return tuple(dict.fromkeys(values))
        self.notes.append(f"{why[:1].upper()}{why[1:]}, which nothing can match; take it out of the URL to see all {dimension}s.")
        return tuple(dict.fromkeys(_NO_NAME if _not_a_name(dimension, [value]) else value for value in values))

    def filters(self, fields: Collection[str]) -> tuple[FieldFilter, ...]:
        """Return the filters on `fields` of breakdowns; to be called after all parameters that a page reads by name."""
        others = self._read | {*TASTE, *FILTERS, _ADDRESS}
        parsed_filters = parse(self._given, fields, others)
        self._read |= parsed_filters.read
        self.notes += parsed_filters.problems
        return parsed_filters.filters

    def ended(self) -> tuple[str, ...]:
        """Return all notes, including those on parameters that were not read: filters the page does not apply, and unknown names."""
        for name, allowed in TASTE.items():
            self.one(name, allowed)
        if "tz" not in self._read:
            self.zone()
        if "week" not in self._read:
            self.week()
        if "currency" not in self._read:
            self.currency()
        self._read.add(_ADDRESS)
        left = [name for name in self._given if name not in self._read and not _OTHERS.fullmatch(name)]
        self.notes += [f"`{name}` is not applied: this page shows all {name}s." for name in FILTERS if name in left]
        if line := unknown((name for name in left if name not in FILTERS), self._read - {_ADDRESS}):
            self.notes.append(f"Not applied: {line}")
        return tuple(self.notes)
