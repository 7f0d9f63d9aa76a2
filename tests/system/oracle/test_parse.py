"""The oracle and the engine read the contract alike, whatever bytes stand in the log: two readings that share no code."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dataflows.contract.settings import Settings
from dataflows.intake.partition import IntakeState
from dataflows.intake.rules import Rules
from generator.clock import SystemClock
from generator.formats.base import Context
from generator.formats.inputs import Input
from generator.formats.own import JsonLinesFormat
from generator.replay import Pace, Replay
from tests.support.engines.intakes import both
from tests.support.engines.native_comparison import the_log
from tests.support.records import FakeRecord, event, payload
from tests.system.oracle.readings import by_the_engine, by_the_oracle

LEAP_SECONDS = [
    *("2016-12-31T23:59:60Z", "2017-01-01T05:29:60.5+05:30", "2016-12-31 15:59:60-0800", "2024-02-29t23:59:60.9999999z"),
    *(
        "2016-12-30T23:59:60Z",
        "2016-12-31T23:59:60+01:00",
        "2016-12-31T22:59:60Z",
        "2016-12-31T23:58:60Z",
        "2023-02-29T23:59:60Z",
    ),
    *(
        "2016-12-31T23:59:61Z",
        "9999-12-31T23:59:60Z",
        "9999-12-31T22:59:60-01:00",
        "0001-01-01T00:59:60+01:00",
        "2016-12-31T23:59:60",
    ),
]

RAW = [
    *("null", "true", "false", "0", "-0", "-1", "01", "+1", "1.", ".5", "1.5", "1e2", "1E+5", "1e400", "-1e400", "1e-400", "0x1"),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "9" * 400, "9" * 5000),
    *(
        "NaN",
        "Infinity",
        "-Infinity",
        "nul",
        "{}",
        "[]",
        "[1,]",
        '{"a":1,}',
        '{"a":1,"a":[]}',
        "[" * 99 + "]" * 99,
        "[" * 100 + "]" * 100,
    ),
    *(
        '""',
        '"x"',
        r'"\ud800"',
        r'"\ude00"',
        r'"\ud83d\ude00"',
        r'"\x"',
        r'"\u00"',
        r'"\u0000"',
        '"\x01"',
        '"\x7f"',
        '"\u2028"',
        '"',
    ),
    *('"click"', '"refund"', '"cl\\u0069ck"', '"USD"', '"EUR"', '"usd"', f'"{"n" * 256}"', f'"{"ü" * 256}"', f'"{"n" * 257}"'),
    *(
        '"lead"',
        '"add_to_cart"',
        r'"lea\u0064"',
        '"Lead"',
        '"view"',
        '"A.b-c_9"',
        r'"U\u0053D"',
        r'"USD\n"',
        '"US"',
        '"ＵＳＤ"',
        '"(other)"',
    ),
    *(
        '"2026-01-01T12:00:00Z"',
        *(f'"{leap}"' for leap in LEAP_SECONDS),
        '"2026-01-01 12:00:59.9999999z"',
        r'"2026-01-01T12:00:59.99999\u00399Z"',
        '"2026-01-01t12:00:59.999999499Z"',
    ),
    *(
        '"2026-01-01T12:00:00"',
        '"2026-01-01T12:00:60Z"',
        '"2026-01-01T24:00:00Z"',
        '"2026-01-01T12:00:00.Z"',
        '"2026-01-01T12:00Z"',
    ),
    *(
        '"2026-02-29T00:00:00Z"',
        '"0001-01-01T00:00:00Z"',
        '"9999-12-31T23:59:59Z"',
        '"2026-01-01T12:00:00+2400"',
        '"2026-01-01T12:00:00-0530"',
    ),
    *(
        '"2026-01-01T12:00:00,5Z"',
        '"20260101T120000Z"',
        '"2026-01-01T12:00:00+05"',
        '"2026-01-01T12:00:00 Z"',
        '"1767268800"',
        '"٢026-01-01T12:00:00Z"',
    ),
]
"""Values as they may occur in a payload: valid, unusual and broken."""

DIMENSIONS = ["adgroup_id", "ad_id", "keyword", "placement", "device", "country", "landing_page", "click_id", "shelf", "e\u0301"]
FIELDS = [*event(), "user_id", "order_id", "cost_micros", "revenue_micros", "currency", *DIMENSIONS]
KEYS = [
    *(json.dumps(name) for name in FIELDS),
    json.dumps("e\u0301", ensure_ascii=False),
    r'"sh\u0065lf"',
    '"note"',
    r'"event\u005fid"',
    r'"cost\u005fmicros"',
    r'"\ud800"',
    '""',
    "1",
    "note",
]
GOOD = [f"{json.dumps(name)}:{json.dumps(value)}" for name, value in event(cost_micros=5, revenue_micros=7, user_id="u").items()]

_digits = st.integers(0, 60).map("{:02}".format)
_times = st.builds(
    lambda day, hour, minute, second, rest, zone: f'"2026-01-{day}T{hour}:{minute}:{second}{rest}{zone}"',
    *[_digits] * 4,
    st.sampled_from(["", ".", ".0", ".9999995", ".99999949", ".999999999999", ".123456789"]),
    st.sampled_from(["", "Z", "z", "+00:00", "-23:59", "+24:00", "+0060", "-00:00", "+1:00"]),
)
_pairs = st.one_of(
    st.tuples(st.sampled_from(KEYS), st.sampled_from(RAW)).map(":".join),
    st.tuples(st.just('"timestamp"'), _times).map(":".join),
)


def _text(extra: list[tuple[int, str]], dropped: int) -> bytes:
    pairs = [pair for number, pair in enumerate(GOOD) if number != dropped]
    for place, pair in extra:
        pairs.insert(place, pair)
    return ("{" + ", ".join(pairs) + "}").encode()


def _bitten(value: bytes, at: int, length: int, instead: bytes) -> bytes:
    at %= len(value) + 1
    return value[:at] + instead + value[at + length :]


_objects = st.builds(_text, st.lists(st.tuples(st.integers(0, 9), _pairs), max_size=4), st.integers(0, 60))
_payloads = st.one_of(
    _objects,
    st.builds(_bitten, _objects, st.integers(0, 400), st.integers(0, 3), st.binary(max_size=3)),
    st.tuples(st.integers(0, 4), st.integers(0, 2000)).map(lambda pair: payload(f"id-{pair[0]}", pair[1] / 2)),
    st.binary(max_size=40),
    st.none(),
)


@settings(max_examples=400)
@given(st.lists(_payloads, min_size=1, max_size=5))
@example([_text([(0, '"timestamp":5'), (9, '"timestamp":"2026-01-01T12:00:59.9999999Z"')], 60)])
@example([_text([(0, '"cost_micros":1e400')], 60)])
@example([_text([(0, r'"user_id":"\ud800"')], 60)])
def test_the_engine_and_the_oracle_read_any_log_alike(given: list[bytes | None]) -> None:
    expected = by_the_oracle(given)
    assert [by_the_engine(given, kind) for kind in both()] == [expected] * len(both())


@pytest.mark.parametrize("value", RAW)
@pytest.mark.parametrize("place", [0, 9], ids=["replaced by a later pair", "in the last pair"])
def test_they_agree_on_every_unusual_value_of_every_field(value: str, place: int) -> None:
    given: list[bytes | None] = [
        _text([(place, f"{key}:{value}")], 60).replace(b'"e1"', b'"e1-%d"' % number) for number, key in enumerate(KEYS)
    ]
    expected = by_the_oracle(given)
    assert [by_the_engine(given, kind) for kind in both()] == [expected] * len(both())


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        (r'"user_id":"\ud800"', None),
        (r'"note":"\ud800"', None),
        ('"note":' + "[" * 100 + "]" * 100, "malformed"),
        ('"cost_micros":1e400', None),
        ('"cost_micros":' + "9" * 5000, None),
        ('"note":1e400', None),
    ],
    ids=[
        "surrogate",
        "surrogate that is ignored",
        "deep",
        "float",
        "long integer",
        "float that is ignored",
    ],
)
def test_what_a_later_pair_replaces_may_be_any_value_but_must_be_json(extra: str, reason: str | None) -> None:
    given: list[bytes | None] = [_text([(0, extra), (9, '"note":1'), (9, '"cost_micros":5')], 60)]
    for _, refused, _ in (*(by_the_engine(given, kind) for kind in both()), by_the_oracle(given)):
        assert refused == ({0: reason} if reason else {})


def by_replay(values: list[bytes], retime: str = "") -> tuple[int, int]:
    """How many lines of a file of `values` are events, and how many are bad rows."""
    with tempfile.NamedTemporaryFile() as file:
        # A first line of good text, so that the file is UTF-8 whatever follows.
        Path(file.name).write_bytes(b"\n".join([payload(note="x" * 600), *values]))
        replay = Replay([Input(file.name)], JsonLinesFormat(), Context(retime=retime), Pace(), SystemClock())
        replay.read()
        sent = sum(len(batch.messages) for batch in replay.batches())
    return sent - 1, replay.complaints.count


def assert_replay_agrees(given: list[bytes | None]) -> None:
    values = [value for value in given if value and value.strip(b" \t\r") and b"\n" not in value]
    intake = both()[0](Rules.of(Settings()), "logs", 0, IntakeState(), now=lambda: 0.0)
    intake.take([FakeRecord(value, offset) for offset, value in enumerate([payload(), *values])])
    refused = sum(verdict.reason in ("malformed", "oversize") for verdict in intake.fetch()[1])
    expected = len(values) - refused, refused
    assert by_replay(values) == expected
    assert by_replay(values, retime="-5f") == expected


@settings(max_examples=100)
@given(st.lists(_payloads, min_size=1, max_size=5))
def test_replay_sends_what_the_flow_accepts_and_counts_what_it_rejects(given: list[bytes | None]) -> None:
    assert_replay_agrees(given)


def test_replay_and_the_flow_agree_on_every_unusual_value_of_every_field() -> None:
    assert_replay_agrees([record.value() for record in the_log()])
    for place in (0, 9):
        assert_replay_agrees([_text([(place, f"{key}:{value}")], 60) for key in KEYS for value in RAW])
