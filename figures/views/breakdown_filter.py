"""Filters on the values of a breakdown's fields, as the URLs of pages, the API and the export have them.

Include `f.<field>=<value>` (several of one field: any of them) and exclude `x.<field>=<value>`. "(not set)" is `f.<field>.null=1`, and
"(other)", the rows that sum what was not admitted, is `f.<field>.other=1`, so that a value whose text is "(other)" is filtered as a text.
`<field>=<value>` is a short form of `f.<field>=<value>` where the field does not have the name of another parameter. Filters on several
fields must all match.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec
import numpy as np

from dataflows.contract.breakdowns import Breakdown, Value
from dataflows.contract.errors import InputError
from figures.store.names import Mask, Names

KINDS: dict[str, Value] = {"null": None, "other": True}
"""Values that are not texts, by the ending of their parameter."""

_SIGNS = ("f", "x")
_LONGEST_VALUE = 256


class FieldFilter(msgspec.Struct, frozen=True):
    """A filter on one field: a value passes if it is in `include`, where that is not empty, and not in `exclude`."""

    field: str
    include: tuple[Value, ...] = ()
    exclude: tuple[Value, ...] = ()

    def takes(self, value: Value) -> bool:
        """Return whether `value` passes."""
        return (not self.include or value in self.include) and value not in self.exclude


class ParsedFilters(msgspec.Struct, frozen=True):
    """The `filters` in a query; the names of the parameters that were `read` for them; a line for each that can't be applied."""

    filters: tuple[FieldFilter, ...] = ()
    read: frozenset[str] = frozenset()
    problems: tuple[str, ...] = ()

    def strict(self) -> tuple[FieldFilter, ...]:
        """Return the filters; raises `InputError` with the first problem if there is any."""
        if self.problems:
            raise InputError(self.problems[0])
        return self.filters


def parse(given: Mapping[str, Sequence[str]], fields: Collection[str], parameters: Collection[str] = ()) -> ParsedFilters:
    """Return the filters on `fields` in the values of a query by name (`parameters.parsed`), in the order of the fields.

    `parameters` are the names that have another meaning. A value that no event can have (empty, not UTF-8, longer than 256 characters)
    stays in its filter, where it matches nothing. A problem names the parameter, and never repeats a value.
    """
    found: dict[str, dict[str, dict[Value, None]]] = {field: {sign: {} for sign in _SIGNS} for field in fields}
    read: set[str] = set()
    problems: list[str] = []
    for name, values in given.items():
        target = _target(name, fields, parameters)
        if target is None:
            continue
        read.add(name)
        sign, field, kind = target
        if kind is None:
            problems += _value_problems(name, values)
            found[field][sign].update(dict.fromkeys(values))
        elif set(values) == {"1"}:
            found[field][sign][KINDS[kind]] = None
        else:
            problems.append(f"`{name}` is not applied: it takes 1.")
    filters = (FieldFilter(field, tuple(signs["f"]), tuple(signs["x"])) for field, signs in found.items())
    return ParsedFilters(tuple(one for one in filters if one.include or one.exclude), frozenset(read), tuple(problems))


def _target(name: str, fields: Collection[str], parameters: Collection[str]) -> tuple[str, str, str | None] | None:
    """Return the sign (f or x), the field and the kind (a key of `KINDS`, None for a text) of a parameter; None if it is not a filter."""
    sign, dot, rest = name.partition(".")
    if dot and sign in _SIGNS:
        if rest in fields:  # first, because the name of a field may end like a kind
            return sign, rest, None
        field, _, kind = rest.rpartition(".")
        if kind in KINDS and field in fields:
            return sign, field, kind
    return ("f", name, None) if name in fields and name not in parameters else None


def _value_problems(name: str, values: Sequence[str]) -> list[str]:
    shown = f"`{name}`"
    if "" in values:
        return [f"{shown} is given without a value, which nothing can match; `{name}.null=1` is for events without one."]
    if any(len(value) > _LONGEST_VALUE for value in values):
        return [f"{shown} is given a value longer than {_LONGEST_VALUE} characters, which nothing can match."]
    try:
        "".join(values).encode()
    except UnicodeEncodeError:
        return [f"{shown} is given a value that is not UTF-8, which nothing can match."]
    return []


def breakdown_for(breakdowns: Sequence[Breakdown], name: str, filters: Sequence[FieldFilter]) -> Breakdown | None:
    """Return the breakdown called `name`, or the first one with all fields of `filters` if `name` is empty; None if neither is given.

    Raises `InputError`, which names the parameter, if there is no such breakdown or it lacks a filtered field.
    """
    fields = [one.field for one in filters]
    if name:
        named = next((one for one in breakdowns if one.name == name), None)
        if named is None:
            known = ", ".join(one.name for one in breakdowns)
            raise InputError(
                f"`breakdown` must be one of {known}." if known else "`breakdown`: ADTALLY_BREAKDOWNS declares none."
            )
        missing = next((field for field in fields if field not in named.fields), None)
        if missing is not None:
            raise InputError(f"`{missing}` needs a breakdown with that field; {named.name} has {', '.join(named.fields)}.")
        return named
    if not fields:
        return None
    fitting = next((one for one in breakdowns if set(fields) <= set(one.fields)), None)
    if fitting is None:
        both = " and ".join(f"`{field}`" for field in fields)
        raise InputError(f"no breakdown has {both} together; ADTALLY_BREAKDOWNS can declare one.")
    return fitting


def passing(one: FieldFilter, names: Names) -> Mask:
    """Return, at the number of each of `names`, whether its value passes the filter."""
    passes = names.mask(one.include) if one.include else np.ones(len(names.names), bool)
    passes[names.known(one.exclude)] = False
    return passes
