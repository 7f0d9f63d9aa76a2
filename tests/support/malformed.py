"""Messages that are malformed."""

from __future__ import annotations

from tests.support.records import payload

DEEP = b"[" * 1000 + b"]" * 1000

BAD: dict[str, bytes | None] = {
    "no value": None,
    "empty": b"",
    "not UTF-8": b"\xff\xfe",
    "not UTF-8 in a field that is ignored": payload("x")[:-1] + b',"note":"\xff"}',
    "truncated": payload("x")[:-5],
    "nested": payload("x")[:-1] + b',"note":' + DEEP + b"}",
    "nested lists, less deep than Python's own limit": payload("x")[:-1] + b',"note":' + b"[" * 101 + b"]" * 101 + b"}",
    "nested objects": payload("x")[:-1] + b',"note":' + b'{"":' * 101 + b"1" + b"}" * 101 + b"}",
    "400 digits": payload("x")[:-1] + b',"cost_micros":' + b"9" * 400 + b"}",
    "NaN": payload("x")[:-1] + b',"cost_micros":NaN}',
    "Infinity": payload("x")[:-1] + b',"note":Infinity}',
    "1e400": payload("x")[:-1] + b',"cost_micros":1e400}',
    "lone surrogate": payload("x")[:-1] + rb',"user_id":"\ud800"}',
    "a boolean": payload("x", cost_micros=True),
    "naive time": payload("x", timestamp="2026-01-01T00:00:00"),
    "before the first year": payload("x", timestamp="0001-01-01T00:00:00+01:00"),
    "empty name": payload("x", campaign_id=""),
    "long name": payload("x", campaign_id="n" * 10_000),
    "control character": payload("x")[:-1] + b',"user_id":"\x01"}',
    "two values": payload("x") + b" 1",
    "a list": b"[]",
    "byte order mark": b"\xef\xbb\xbf" + payload("x"),
    "small currency": payload("x", currency="eur"),
    "undeclared type": payload("x", event_type="view"),
}
