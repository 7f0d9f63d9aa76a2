"""From the bytes of a record of `results` to a result that can be held."""

from __future__ import annotations

import struct
from operator import attrgetter

import msgspec

from dataflows.contract.metrics import SUMS
from dataflows.contract.schema import RecordHeaders, WindowResult, decode_result, decode_result_key, foreign
from figures.store.content import Cell
from figures.store.rows import parse_start

_HOUR = 3600
_SUM_BITS, _REVISION_BITS = 96, 63
"""A billion sums of this size add up to less than the 38 digits of `measures.WIDE`."""

_NUMBERS = (*SUMS, "revision")
_numbers = attrgetter(*_NUMBERS)
_packed = struct.Struct(f"{len(_NUMBERS)}q").pack
"""Raises for any number beyond 64 bits; one fast call, because it runs for every record."""


class UnreadableError(ValueError):
    """The record is not a result of this deployment; the message says why."""


def read_key(key: bytes | str | None) -> Cell:
    """Return the cell that a tombstone of topic `results` deletes; raises `UnreadableError` if the key is not that of a result."""
    try:
        start, campaign, channel, _ = decode_result_key(key or b"")
        return parse_start(start), campaign, channel
    except (msgspec.DecodeError, ValueError, RecursionError, OverflowError) as reason:
        raise UnreadableError(f"a tombstone whose key is not that of a result: {reason}") from None


def cell_of(result: WindowResult) -> Cell:
    """Return the key of `result` in the store."""
    return parse_start(result.window_start), result.campaign_id, result.channel


def read_result(value: bytes, currency: str, now: float, headers: RecordHeaders = None) -> WindowResult:
    """Return the result in `value`; raises `UnreadableError` if it is not a result, or is in another currency.

    The same applies if the `headers` of its Kafka record name a later version of the contract, and if its window starts more than an
    hour after `now` (seconds since 1970): such a result would evict all others from the store.
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
    try:
        _packed(*_numbers(result))
    except struct.error:  # one of them is beyond 64 bits
        for name, number in zip(_NUMBERS, _numbers(result), strict=True):
            bits = _SUM_BITS if name in SUMS else _REVISION_BITS
            if number.bit_length() > bits:
                raise UnreadableError(f"its {name} is beyond {bits} bits, the largest size that can be held") from None
    if start > now + _HOUR:
        raise UnreadableError(f"its window starts at {result.window_start}, which is in the future")
    return result
