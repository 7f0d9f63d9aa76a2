"""Decoding of the bytes of a message to an `Event`, or to the reason in words why it is not an event."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
from collections.abc import Iterable
from typing import Any

import msgspec

from dataflows.contract.breakdowns import columns
from dataflows.contract.schema import (
    KEPT_PAYLOAD_BYTES,
    MAX_DEPTH,
    MAX_PAYLOAD_BYTES,
    Event,
    Reason,
    Rejected,
    event_decoder,
    to_micros,
)
from dataflows.contract.settings import Settings
from dataflows.intake.leap_seconds import without_leap_second
from dataflows.intake.malformed import explain, framing

DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""Exceptions of the decoder for bytes that are not an event."""

_MICROSECOND = dt.timedelta(microseconds=1)


class NotAnEvent(Exception):  # noqa: N818 - it carries a verdict to its handler, not an error of the program
    """A message that can't be counted: the reason of the contract and its detail in words."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason: Reason = reason
        self.detail = detail


class EventDecoder:
    """Decoder of one payload at a time, by the whole contract."""

    def __init__(self, types: Iterable[str] = (), columns: Iterable[str] = ()) -> None:
        """`types`: the declared event types; `columns`: the fields that breakdowns name. An event of another type is malformed."""
        self._types = tuple(types)
        decoder = event_decoder(self._types, columns)
        self._decode = decoder.decode
        self._names = tuple(field.encode_name for field in msgspec.structs.fields(decoder.type))

    @classmethod
    def of(cls, settings: Settings) -> EventDecoder:
        """Return the decoder of a deployment."""
        return cls([declared.name for declared in settings.declared_types], columns(settings.breakdown_list))

    def __call__(self, value: bytes | None) -> Event:
        """Return the event in `value`; raises `NotAnEvent`."""
        if value is None:
            raise NotAnEvent("malformed", "the message has no value")
        if len(value) > MAX_PAYLOAD_BYTES:
            raise NotAnEvent("oversize", f"{len(value):,} bytes are more than the {MAX_PAYLOAD_BYTES:,} that an event may have")
        if not value.isascii():
            self._check_utf8(value)
        if depth(value) > MAX_DEPTH:
            raise NotAnEvent("malformed", f"JSON nested deeper than {MAX_DEPTH} levels")
        try:
            return self._decode(value)
        except msgspec.ValidationError as error:
            return self._with_last_values(value, error)
        except DECODE_ERRORS as error:
            return self._without_ignored_texts(value, error)

    @staticmethod
    def _check_utf8(value: bytes) -> None:
        try:
            value.decode()
        except UnicodeDecodeError as error:
            raise NotAnEvent("malformed", framing(value) or f"not UTF-8: {error.reason} at byte {error.start}") from None

    def _with_last_values(self, value: bytes, error: Exception) -> Event:
        # Of a key given twice the last value counts: a wrong one before it must not condemn the event. A dict keeps the last, undecoded: in
        # a field that is not read, a number of any size is right.
        try:
            fields = msgspec.json.decode(value, type=dict[str, msgspec.Raw])
            if before := _before_leap_second(fields.get("timestamp")):
                fields["timestamp"] = msgspec.Raw(before)
            return self._decode(msgspec.json.encode(fields))
        except msgspec.ValidationError as last:
            raise NotAnEvent("malformed", self._words(value, last)) from None
        except DECODE_ERRORS:
            return self._without_ignored_texts(value, error)

    def _without_ignored_texts(self, value: bytes, error: Exception) -> Event:
        if b"\\ud" not in value.lower():
            raise NotAnEvent("malformed", self._words(value, error)) from None
        # Half a pair of surrogates is JSON, but msgspec refuses it even in a text that is not read, such as a title that was cut off in
        # the middle of an emoji: that must not condemn the event.
        try:
            fields = _json_object(value)
            read = msgspec.json.encode({name: fields[name] for name in self._names if name in fields})
        except (ValueError, RecursionError):
            raise NotAnEvent("malformed", self._words(value, error)) from None
        return self(read)

    def _words(self, value: bytes, error: Exception) -> str:
        return explain(value, error, self._types)[:500]


def _json_object(value: bytes) -> dict[str, Any]:
    """Return the object in `value`, in which strings may contain half a pair of surrogates; raises `ValueError` if it is not one."""
    document = json.loads(value.decode(), parse_int=_as_sent, parse_float=_as_sent, parse_constant=_refuse)
    if not isinstance(document, dict):
        raise ValueError("not an object")  # noqa: TRY004 - of the same kind as what is not JSON
    return document


def _as_sent(number: str) -> msgspec.Raw:
    return msgspec.Raw(number)


def _refuse(constant: str) -> Any:
    raise ValueError(constant)  # NaN and Infinity are not JSON


def _before_leap_second(timestamp: msgspec.Raw | None) -> bytes | None:
    try:
        before = without_leap_second(msgspec.json.decode(timestamp or b"", type=str))
    except DECODE_ERRORS:
        return None
    return msgspec.json.encode(before) if before else None


def depth(value: bytes) -> int:
    """Return how deep the brackets of a JSON text nest, except those in strings; 0 where they are too few to exceed `MAX_DEPTH`."""
    if value.count(b"[") + value.count(b"{") <= MAX_DEPTH:
        return 0
    deepest = level = 0
    quoted = escaped = False
    for byte in value:
        if quoted:
            quoted = escaped or byte != 0x22
            escaped = byte == 0x5C and not escaped
        elif byte == 0x22:
            quoted = True
        elif byte in b"[{":
            level += 1
            deepest = max(deepest, level)
        elif byte in b"]}":
            level -= 1
    return deepest


class _Time(msgspec.Struct):
    timestamp: msgspec.Raw
    """As it came: one that is given twice, and first as no text, must not stop the flow."""


_decode_time = msgspec.json.Decoder(_Time).decode


def in_own_window(event: Event, value: bytes, window: int) -> Event:
    """Return `event`, decoded from `value`, with the time that decoding has rounded up into the next window back in its own.

    `window`: the length of a window in microseconds.
    """
    time = event.timestamp
    if time.microsecond or to_micros(time) % window or not rounds_up(value):
        return event
    return msgspec.structs.replace(event, timestamp=time - _MICROSECOND)


def rounds_up(value: bytes) -> bool:
    """Return whether the time in an event's payload has digits beyond the microsecond that round it up to a whole second."""
    if b".999999" not in value and b"\\u003" not in value:
        return False
    digits = _timestamp(value).partition(".")[2]
    return digits[:6] == "999999" and digits[6:7].isdigit()


def _timestamp(value: bytes) -> str:
    """Return the timestamp in an event's payload, as it was sent."""
    try:
        return msgspec.json.decode(_decode_time(value).timestamp, type=str)
    except msgspec.DecodeError:  # half a pair of surrogates in a text that is not read
        return _json_object(value)["timestamp"]


def rejected(reason: Reason, detail: str, *, value: bytes | None, topic: str, partition: int, offset: int, at: str) -> Rejected:
    """Return the record of a message that was not counted, with its payload as it came.

    `at`: RFC 3339; `topic`, `partition`, `offset`: position of the message.
    """
    size = sha256 = None
    if value is not None and len(value) > MAX_PAYLOAD_BYTES:
        size, sha256 = len(value), hashlib.sha256(value).hexdigest()
        value = value[:KEPT_PAYLOAD_BYTES]
    text = encoded = None
    try:
        text = value.decode() if value is not None else None
    except UnicodeDecodeError:
        encoded = base64.b64encode(value or b"").decode()
    return Rejected(
        reason=reason,
        detail=detail,
        topic=topic,
        partition=partition,
        offset=offset,
        rejected_at=at,
        payload=text,
        payload_base64=encoded,
        size=size,
        sha256=sha256,
    )
