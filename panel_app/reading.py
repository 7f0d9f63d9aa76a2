"""From the bytes of a record of `results` to a result that can be held."""

from __future__ import annotations

from operator import attrgetter

import msgspec

from dataflows.schema import RecordHeaders, WindowResult, decode_result, decode_result_key, foreign
from panel_app.deletion import Cell
from panel_app.measures import SUMS
from panel_app.store import parse_start

_HOUR = 3600
_BITS = 96
"""A thousand million sums of this size add up to less than the 38 digits that `measures.WIDE` has."""

_LARGEST = 2**_BITS
_sums = attrgetter(*SUMS)


class UnreadableError(ValueError):
    """The record is no result of this deployment; the message says why."""


def read_key(key: bytes | str | None) -> Cell:
    """The cell that a tombstone of topic `results` deletes; raises `UnreadableError` for a key that names none."""
    try:
        start, campaign, channel = decode_result_key(key or b"")
        return parse_start(start), campaign, channel
    except (msgspec.DecodeError, ValueError, RecursionError, OverflowError) as reason:
        raise UnreadableError(f"a record without a value, whose key names no result: {reason}") from None


def cell_of(result: WindowResult) -> Cell:
    """What `result` is kept under."""
    return parse_start(result.window_start), result.campaign_id, result.channel


def read_result(value: bytes, currency: str, now: float, headers: RecordHeaders = None) -> WindowResult:
    """The result in `value`; raises `UnreadableError` for what is none, or one in another currency.

    `headers` of its Kafka record may tell that it follows a later version of the contract, which this one can't read either.
    Nor is a result taken whose window starts more than an hour past `now` (seconds since 1970): it would push all the others out of
    the store.
    """
    if why := foreign(headers):
        raise UnreadableError(why)
    try:
        result = decode_result(value)
        start = parse_start(result.window_start)
    except (msgspec.DecodeError, ValueError, RecursionError, OverflowError) as reason:
        raise UnreadableError(str(reason)) from None
    if result.currency != currency:
        raise UnreadableError(f"it counts in {result.currency[:8]!r}, this dashboard in {currency} (ADTALLY_CURRENCY)")
    if max(sums := _sums(result)) >= _LARGEST or min(sums) <= -_LARGEST:
        name = next(name for name, value in zip(SUMS, sums, strict=True) if abs(value) >= _LARGEST)
        raise UnreadableError(f"its {name} is beyond {_BITS} bits, which is more than can be added up")
    if not 0 <= result.revision < 2**63:
        raise UnreadableError("its revision is not a whole number from 0 to 2^63 - 1")
    if start > now + _HOUR:
        raise UnreadableError(f"its window starts at {result.window_start}, which is in the future")
    return result
