"""Breakdowns: further dimensions by which results are split, each on a topic of its own, as ``ADTALLY_BREAKDOWNS`` declares them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from dataflows.contract.errors import SettingsError
from dataflows.contract.schema import Breakdown, Value, WindowResult

__all__ = ("NOT_SET", "OTHER", "Breakdown", "Value", "columns", "parse", "text_of", "topic_of")

NOT_SET = None
"""The value of a field that an event does not have."""

OTHER: Literal[True] = True
"""The value of every field in the row of the cells that were not admitted."""

MAX_BREAKDOWNS = 16
"""Number of breakdowns that a deployment may declare."""

MAX_FIELDS = 8
"""Number of fields that a breakdown may have."""

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_FIELD = re.compile(r'[^;,=\s"\\\x00-\x1f\ud800-\udfff]+')
_IN_EVERY_KEY = ("campaign_id", "channel", "currency")
_NOT_TEXT = ("timestamp", "cost_micros", "revenue_micros")
_FIELDS_OF_RESULTS = {*WindowResult.__struct_fields__, "counts"}
_VARIABLE = "ADTALLY_BREAKDOWNS"


def parse(text: str) -> tuple[Breakdown, ...]:
    """Return the breakdowns in `text`, such as ``ad=adgroup_id,ad_id;device``, in their order.

    Raises `SettingsError`, which names the part that can't be used.
    """
    breakdowns = tuple(_breakdown(part.strip()) for part in text.split(";")) if text.strip() else ()
    if repeated := _repeated([breakdown.name for breakdown in breakdowns]):
        raise SettingsError(f"{_VARIABLE} has two breakdowns of the name {repeated!r}; give one of them another name.")
    if len(breakdowns) > MAX_BREAKDOWNS:
        raise SettingsError(
            f"{_VARIABLE} has {len(breakdowns)} breakdowns, but at most {MAX_BREAKDOWNS} are possible; remove some."
        )
    return breakdowns


def text_of(breakdowns: Iterable[Breakdown]) -> str:
    """Return the text that `parse` reads as `breakdowns`."""
    return ";".join(f"{breakdown.name}={','.join(breakdown.fields)}" for breakdown in breakdowns)


def topic_of(results_topic: str, breakdown: Breakdown) -> str:
    """Return the topic of the results of `breakdown`."""
    return f"{results_topic}.{breakdown.name}"


def columns(breakdowns: Iterable[Breakdown]) -> tuple[str, ...]:
    """Return the distinct fields of all `breakdowns`, in the order in which they are first named."""
    return tuple(dict.fromkeys(field for breakdown in breakdowns for field in breakdown.fields))


def _breakdown(part: str) -> Breakdown:
    name, sign, listed = (word.strip() for word in part.partition("="))
    if not _NAME.fullmatch(name):
        advice = "" if sign or not name else f"; to name it: {re.sub('[^A-Za-z0-9_-]+', '_', name)}={name}"
        raise SettingsError(
            f"{_VARIABLE} has {name!r} as the name of a breakdown; a name has letters, digits, hyphens and underscores{advice}."
        )
    fields = tuple(field.strip() for field in listed.split(",")) if sign else (name,)
    for field in fields:
        if reason := _why_not(field):
            raise SettingsError(f"{_VARIABLE} names {field!r} in the breakdown {name!r}, but {reason}.")
    if repeated := _repeated(fields):
        raise SettingsError(f"{_VARIABLE} names {repeated!r} twice in the breakdown {name!r}; remove one of the two.")
    if len(fields) > MAX_FIELDS:
        raise SettingsError(
            f"{_VARIABLE} gives the breakdown {name!r} {len(fields)} fields, but at most {MAX_FIELDS} are possible; remove some."
        )
    return Breakdown(name, fields)


def _why_not(field: str) -> str | None:
    """Return why a breakdown can't have `field`; None if it can."""
    if not _FIELD.fullmatch(field):
        return 'a field has at least one character and neither a space, a control character, a byte outside UTF-8 nor any of ; , = " \\'
    if field in _IN_EVERY_KEY:
        return "that is in the key of every result already; leave it out"
    if field in _NOT_TEXT:
        return "that field of an event is not a text; leave it out"
    if field in _FIELDS_OF_RESULTS:
        return "a result has a field of that name already; send the value to adtally under another name"
    return None


def _repeated(names: Sequence[str]) -> str | None:
    return next((name for index, name in enumerate(names) if name in names[:index]), None)
