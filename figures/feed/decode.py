"""From the bytes of a record of `results`, or of a breakdown's topic, to a result that can be held."""

from __future__ import annotations

import re
import struct
from operator import attrgetter

import msgspec

from dataflows.contract.breakdowns import Breakdown
from dataflows.contract.metrics import SUMS
from dataflows.contract.schema import RecordHeaders, WindowResult, breakdown_codec, decode_result, decode_result_key, foreign
from figures.store.content import Cell
from figures.store.rows import Values, parse_start

_HOUR = 3600
_CURRENCY = re.compile(r"[A-Z]{3}")
_SUM_BITS, _REVISION_BITS = 96, 63
"""A billion sums of this size add up to less than the 38 digits of `measures.WIDE`."""

_NUMBERS = (*SUMS, "revision")
_numbers = attrgetter(*_NUMBERS)
_packed = struct.Struct(f"{len(_NUMBERS)}q").pack
"""Raises for any number beyond 64 bits; one fast call, because it runs for every record."""


class UnreadableError(ValueError):
    """The record is not a result of this deployment; the message says why."""


class Codec:
    """Decodes the records of `results`, or of the topic of `breakdown`."""

    def __init__(self, breakdown: Breakdown | None = None) -> None:
        self._codec = None if breakdown is None else breakdown_codec(breakdown)

    def read_key(self, key: bytes | str | None) -> Cell:
        """Return the cell that a tombstone deletes; raises `UnreadableError` if the key is not that of a result."""
        try:
            start, *names = self._decode_key(key.encode() if isinstance(key, str) else key or b"")
            return parse_start(start), *names
        except (msgspec.DecodeError, ValueError, RecursionError, OverflowError) as reason:
            raise UnreadableError(f"a tombstone whose key is not that of a result: {reason}") from None

    def read(self, value: bytes, now: float, headers: RecordHeaders = None) -> tuple[WindowResult, Values]:
        """Return the result in `value` and the values of the breakdown's fields; raises `UnreadableError` if it is not a result.

        The same applies if the `headers` of its Kafka record name another version of the contract, and if its window starts more than an
        hour after `now` (seconds since 1970): such a result would evict all others from the store.
        """
        if why := foreign(headers):
            raise UnreadableError(why)
        try:
            result, values = self._decode(value)
            start = parse_start(result.window_start)
        except (msgspec.DecodeError, ValueError, RecursionError, OverflowError) as reason:
            raise UnreadableError(str(reason)) from None
        if not _CURRENCY.fullmatch(result.currency):
            raise UnreadableError(f"its currency is {result.currency[:8]!r}, not a code of three capital letters")
        _check_size(result)
        if start > now + _HOUR:
            raise UnreadableError(f"its window starts at {result.window_start}, which is in the future")
        return result, values

    def _decode(self, value: bytes) -> tuple[WindowResult, Values]:
        return (decode_result(value), ()) if self._codec is None else self._codec.decode(value)

    def _decode_key(self, key: bytes) -> tuple[str, *Values]:
        if self._codec is not None:
            start, campaign, channel, values, currency = self._codec.decode_key(key)
            return start, campaign, channel, *values, currency
        return decode_result_key(key)


def cell_of(result: WindowResult, values: Values = ()) -> Cell:
    """Return the key of `result` in a store."""
    return parse_start(result.window_start), result.campaign_id, result.channel, *values, result.currency


def _check_size(result: WindowResult) -> None:
    """Raise `UnreadableError` if a number of `result` is too large to be held."""
    try:
        _packed(*_numbers(result))
    except struct.error:  # one of them is beyond 64 bits
        for name, number in zip(_NUMBERS, _numbers(result), strict=True):
            bits = _SUM_BITS if name in SUMS else _REVISION_BITS
            if number.bit_length() > bits:
                raise UnreadableError(f"its {name} is beyond {bits} bits, the largest size that can be held") from None
    if any(count.bit_length() > _SUM_BITS for count in result.counts.values()):
        raise UnreadableError(f"one of its counts is beyond {_SUM_BITS} bits, the largest size that can be held")
