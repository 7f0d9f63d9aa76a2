"""Error texts for payloads that are not events: what the payload is, and how its sender can correct it.

The verdict is made elsewhere; this module only explains it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, get_args

import msgspec

from dataflows.contract.schema import EventType

_SHOWN = 40
_BLANKS = " \t\r\n"
"""Whitespace of JSON; Python also strips other characters, and an error in one of them would not be reported."""
_TIMES = "RFC 3339 with a zone, such as 2026-11-23T08:00:00Z"
_ALONE = "send each event as a message of its own"
_FRAMINGS: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "gzip; let the producer compress (compression.type), not the payload"),
    (b"\x28\xb5\x2f\xfd", "zstd; let the producer compress (compression.type), not the payload"),
    (b"\x04\x22\x4d\x18", "lz4; let the producer compress (compression.type), not the payload"),
    (b"PK\x03\x04", "a zip archive; send the JSON that is in it"),
    (b"Obj\x01", "an Avro file; send JSON"),
    (b"\xac\xed\x00\x05", "a serialized Java object; use a string or JSON serializer"),
    (b"\xef\xbb\xbf", "a byte order mark (BOM) before the JSON; send UTF-8 without it"),
    (b"\xff\xfe\x00\x00", "UTF-32; send UTF-8"),
    (b"\xff\xfe", "UTF-16; send UTF-8"),
    (b"\xfe\xff", "UTF-16; send UTF-8"),
)
_LITERALS = {"None": "null", "True": "true", "False": "false", "undefined": "null", "nan": "null", "nil": "null"}
_STARTS = (("{'", "single quotes"), ("<", "XML or HTML"), ("//", "a comment"), ("/*", "a comment"), ("#", "a comment"))


class _Integer(str):
    """Digits of an integer of any length, which `int` would refuse beyond a few thousand."""

    __slots__ = ()


class _ConstantError(ValueError):
    """A number that is not valid JSON, such as NaN."""


def framing(value: bytes) -> str | None:
    """Return which format `value` is in instead of JSON, and what to do; None if it is not recognised."""
    if not value.strip():
        return "the payload is empty; send one JSON object"
    if value[:1] == b"\0" and len(value) > 5 and value[1:2] == b"\0":
        number = int.from_bytes(value[1:5], "big")
        return f"a schema registry's magic byte 0 and schema id {number} (Avro, Protobuf or JSON Schema); send plain JSON"
    if value[:1] == b"\0" != value[1:2] or value[1:2] == b"\0":
        return "UTF-16; send UTF-8" if b"{" in value[:2] else "a byte 0, so this is a binary format, not text; send plain JSON"
    return next((words for begin, words in _FRAMINGS if value.startswith(begin)), None)


def explain(value: bytes, error: Exception, types: Sequence[str] = ()) -> str:
    """Return why `value` (UTF-8) is not an event; `error` is the exception of the decoder, `types` the declared event types."""
    if words := framing(value):
        return words
    text = value.decode()
    try:
        document = json.loads(text, parse_constant=_refuse, parse_int=_Integer)
    except _ConstantError as constant:
        return f"{constant} is not JSON; leave the field out, or send null"
    except json.JSONDecodeError as reason:
        return _syntax(text, reason)
    except (ValueError, RecursionError):
        return plain(error)
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError as lone:
        half = ascii(lone.object[lone.start]).strip("'")
        return f"a lone surrogate {half} in a string, which is half of a character; send both halves, or the character as UTF-8"
    return _fields(document, error, types) if isinstance(document, dict) else _not_an_object(document)


def plain(error: Exception) -> str:
    """Return the decoder's message with field names instead of JSON paths."""
    return str(error).replace("`$.", "`").replace(" - at `$`", "")


def _refuse(constant: str) -> Any:
    raise _ConstantError(constant)


def _syntax(text: str, error: json.JSONDecodeError) -> str:
    at, rest = error.pos, text[error.pos :].lstrip(_BLANKS)
    before = text[:at].rstrip(_BLANKS)[-1:]
    if error.msg == "Extra data":
        if rest.lstrip(",; \r\n\t").startswith(("{", "[")):
            return f"more than one JSON value in a message; {_ALONE}"
        return f"JSON is malformed: {_short(rest)} after the end of the object (character {at})"
    if error.msg.startswith("Invalid control character"):
        return f"a line break or another control character in a string (character {at}); escape it, as in \\n"
    if error.msg.startswith("Invalid \\"):
        return f"{_short(rest[:6])} is not a valid JSON escape (character {at})"
    if error.msg.startswith("Unterminated string") or not rest:
        return f"JSON is malformed: it ends too early, after {len(text.encode()):,} bytes, as if it were cut off"
    if (before == "," and rest[0] in "}]") or (rest[0] == "," and rest[1:].lstrip()[:1] in ("}", "]")):
        return f"a comma before the closing bracket (character {at}), which JSON does not allow; remove it"
    if rest[0] == "'":
        return f"single quotes (character {at}); JSON needs double quotes"
    for word, right in _LITERALS.items():
        if rest.startswith(word):
            return f"{word} is not JSON (character {at}); send {right}"
    for begin, words in _STARTS:
        if text.lstrip().startswith(begin) or rest.startswith(begin):
            return f"{words} (character {at}), which is not JSON; send one JSON object"
    return f"JSON is malformed: {_short(rest)} at character {at}; {error.msg[:1].lower()}{error.msg[1:]}"


def _not_an_object(document: object) -> str:
    if isinstance(document, list):
        return f"a JSON array, not an object; {_ALONE}"
    if isinstance(document, str) and document.lstrip().startswith("{"):
        return "JSON inside a JSON string (encoded twice); send the object itself"
    return f"{_short(document if isinstance(document, _Integer) else json.dumps(document))} is not a JSON object"


def _fields(event: dict[str, Any], error: Exception, types: Sequence[str]) -> str:
    words = plain(error)
    if not isinstance(error, msgspec.ValidationError):
        return words
    field_values = {name: event.get(name) for name in ("currency", "event_type", "timestamp")}
    currency, event_type = field_values["currency"], field_values["event_type"]
    if words.endswith("at `currency`") and isinstance(currency, str) and not isinstance(currency, _Integer):
        return f"`currency` is {_short(currency)}; it must be three capital letters of ISO 4217, such as USD, or be left out"
    if words.endswith("at `event_type`") and isinstance(event_type, str):
        allowed = (*get_args(EventType), *types)
        return f"`event_type` is {_short(event_type)}; it must be one of {', '.join(allowed)} (ADTALLY_EVENT_TYPES declares further ones)"
    if words.endswith("at `timestamp`") and isinstance(field_values["timestamp"], str):
        return _timestamp(field_values["timestamp"])
    return words


def _timestamp(timestamp: str) -> str:
    if isinstance(timestamp, _Integer):
        return f"`timestamp` is a number, {str(timestamp)[:_SHOWN]}; send {_TIMES}"
    if timestamp[16:19] == ":60":
        return f"`timestamp` is {_short(timestamp)}; a leap second is only at 23:59:60 UTC on the last day of a month"
    return f"`timestamp` is {_short(timestamp)}; it must be {_TIMES}"


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
