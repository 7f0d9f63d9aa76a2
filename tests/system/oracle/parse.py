"""The contract's strict reading of one message, in plain Python."""

from __future__ import annotations

import calendar
import json
import re
import time
from typing import Any

from tests.system.oracle.terms import DIMENSIONS, Terms

REQUIRED = ("event_id", "event_type", "timestamp", "campaign_id", "channel")
NAMES = ("event_id", "campaign_id", "channel", "user_id", "order_id", *DIMENSIONS)
MONEY = ("cost_micros", "revenue_micros")
CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
RFC3339 = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:([Zz])|([+-])(\d\d):?(\d\d))", re.ASCII)


class BadError(Exception):
    """The message is not an event."""


def _no_constant(name: str) -> Any:
    raise BadError(name)


def _integer(digits: str) -> int:
    return int(digits) if len(digits) < 100 else 10**100


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with all that it was given, also what a later pair of the same key replaces."""


def _check_depth(value: Any) -> None:
    """Brackets are at most 100 deep; raises `BadError`."""
    depth, level = 0, [value]
    while level:
        nested = [item for item in level if isinstance(item, list)]
        depth += bool(nested)
        if depth > 100:
            raise BadError("too deep")
        level = [one for item in nested for entry in item for one in (entry if isinstance(item, _Pairs) else (entry,))]


def _is_unicode(text: str) -> bool:
    return not any(0xD800 <= ord(character) <= 0xDFFF for character in text)


class Parser:
    """The contract's reading in a deployment."""

    def __init__(self, terms: Terms | None = None) -> None:
        terms = terms or Terms()
        self._types = set(terms.types())
        self._currency = terms.currency
        self._names = {*NAMES, *(field for fields in terms.tables().values() for field in fields)} - {"event_type"}

    def __call__(self, payload: bytes | None) -> dict[str, Any]:
        """The event in `payload`, with its currency, its time in microseconds under ``micros`` (rounded) and ``floor`` (cut off).

        Raises `BadError`.
        """
        event = _object(payload)
        for name in REQUIRED:
            if not isinstance(event.get(name), str):
                raise BadError(name)
        for name in self._names:
            value = event.get(name)
            if value is not None and not (isinstance(value, str) and 1 <= len(value) <= 256 and _is_unicode(value)):
                raise BadError(name)
        for name in MONEY:
            value = event.get(name)
            if value is not None and (type(value) is not int or not -(2**63) <= value < 2**63):
                raise BadError(name)
        if event["event_type"] not in self._types:
            raise BadError("type")
        currency = event.get("currency")
        if currency is None:
            currency = self._currency
        elif not isinstance(currency, str) or not CURRENCY.fullmatch(currency):
            raise BadError("currency")
        floor, rounded = micros(event["timestamp"])
        return {**event, "currency": currency, "micros": rounded, "floor": floor}


def _object(payload: bytes | None) -> dict[str, Any]:
    if payload is None or len(payload) > 64 * 1024:
        raise BadError("nothing, or too much")
    try:
        given = json.loads(payload.decode(), parse_constant=_no_constant, parse_int=_integer, object_pairs_hook=_Pairs)
        _check_depth(given)
    except (ValueError, RecursionError) as error:
        raise BadError(str(error)) from None
    if not isinstance(given, _Pairs):
        raise BadError("no object")
    return dict(given)  # of a key given twice the last counts


def micros(text: str) -> tuple[int, int]:
    """Microseconds since 1970 of an RFC 3339 time with a zone, further digits cut off, and rounded by the seventh; raises `BadError`."""
    found = RFC3339.fullmatch(text)
    if found is None:
        raise BadError("time")
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    if not (year >= 1 and 1 <= month <= 12 and 1 <= day <= calendar.monthrange(max(year, 1), month)[1]):
        raise BadError("date")
    if hour > 23 or minute > 59 or second > 60:
        raise BadError("time of day")
    offset = 0
    if found[9]:
        if int(found[10]) > 23 or int(found[11]) > 59:
            raise BadError("zone")
        offset = (int(found[10]) * 60 + int(found[11])) * (1 if found[9] == "+" else -1)
    seconds = calendar.timegm((year, month, day, hour, minute, second)) - offset * 60
    digits = found[7] or "0"
    if second == 60:
        # It counts with the last microsecond of its minute; a leap second ends a month of UTC, and nothing else has one.
        moment = time.gmtime(seconds)
        if seconds % 86_400 or moment.tm_mday != 1:
            raise BadError("leap second")
        seconds, digits = seconds - 1, "999999"
    floor = seconds * 1_000_000 + int(digits[:6].ljust(6, "0"))
    rounded = floor + (digits[6:7] >= "5")
    if not -62_135_510_400_000_000 <= floor <= rounded <= 253_402_128_000_000_000:
        raise BadError("no window can be named")
    return floor, rounded
