"""The decoder, whatever bytes it is given: an event by the contract, or a reason and words; nothing else."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflows.contract.schema import to_micros
from dataflows.contract.settings import Settings
from dataflows.intake.decode import EventDecoder, NotAnEvent, in_own_window
from dataflows.intake.partition import IntakeState
from dataflows.intake.rules import Rules
from tests.support.engines.intakes import both
from tests.support.engines.panes import cells_of
from tests.support.records import T0, event, log, payload

decode = EventDecoder()
KINDS = ["impression", "click", "conversion", "purchase", "refund", "cost"]

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=256)
micros = st.none() | st.integers(-(2**63), 2**63 - 1)
times = st.datetimes(
    dt.datetime(1900, 1, 1),
    dt.datetime(2100, 1, 1),
    timezones=st.integers(-1439, 1439).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes))),
)
good = st.fixed_dictionaries(
    {
        "event_id": names,
        "event_type": st.sampled_from(KINDS),
        "timestamp": times.map(dt.datetime.isoformat),
        "campaign_id": names,
        "channel": names,
    },
    optional={
        "user_id": st.none() | names,
        "order_id": st.none() | names,
        "cost_micros": micros,
        "revenue_micros": micros,
        "currency": st.sampled_from(["USD", None]),
    },
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5) | st.sampled_from(list(event())), inner, max_size=6)
    ),
    max_leaves=20,
)
# An event with a few of its fields made into anything, and one with its bytes cut and spliced.
nearly = st.tuples(good, st.dictionaries(st.sampled_from([*event(), "cost_micros", "currency"]), anything, max_size=2)).map(
    lambda pair: {**pair[0], **pair[1]}
)
spliced = st.tuples(good, st.integers(0, 200), st.integers(0, 10), st.binary(max_size=6)).map(
    lambda one: (raw := json.dumps(one[0]).encode())[: one[1]] + one[3] + raw[one[1] + one[2] :]
)
payloads = st.one_of(st.binary(), anything.map(json.dumps).map(str.encode), nearly.map(json.dumps).map(str.encode), spliced)


def is_event(found: Any) -> bool:
    """The contract, written down a second time."""

    def is_name(value: Any) -> bool:
        return isinstance(value, str) and 1 <= len(value) <= 256

    def is_micros(value: Any) -> bool:
        return value is None or (type(value) is int and -(2**63) <= value < 2**63)

    return (
        isinstance(found, dict)
        and all(is_name(found.get(field)) for field in ("event_id", "campaign_id", "channel"))
        and found.get("event_type") in KINDS
        and isinstance(found.get("timestamp"), str)
        and dt.datetime.fromisoformat(found["timestamp"].upper().replace(" ", "T")).tzinfo is not None
        and all(found.get(field) is None or is_name(found[field]) for field in ("user_id", "order_id"))
        and all(is_micros(found.get(field)) for field in ("cost_micros", "revenue_micros"))
        and found.get("currency") in (None, "USD")
    )


def judge(value: bytes) -> NotAnEvent | None:
    """Return why `value` is not an event; None if it is one."""
    try:
        decode(value)
    except NotAnEvent as verdict:
        return verdict
    return None


@given(payloads)
def test_whatever_is_taken_is_an_event_and_whatever_is_not_gets_a_reason_in_words(given: bytes) -> None:
    verdict = judge(given)
    if verdict is None:
        assert is_event(json.loads(given))
    else:
        assert verdict.reason == "malformed"
        assert verdict.detail
        assert "\n" not in verdict.detail


@given(good)
def test_every_event_of_the_contract_is_taken_as_it_is(given: dict[str, Any]) -> None:
    found = decode(json.dumps(given).encode())
    assert found == decode(json.dumps(given, ensure_ascii=False).encode())
    assert found.timestamp == dt.datetime.fromisoformat(given["timestamp"])
    for field in given.keys() - {"timestamp"}:
        assert getattr(found, field) == given[field]


@given(st.lists(payloads, max_size=8))
def test_the_intake_takes_any_bytes_and_its_counters_add_up(given: list[bytes]) -> None:
    for kind in both():
        intake = kind(Rules.of(Settings()), "logs", 0, IntakeState(), now=T0.timestamp)
        intake.take(log(payload("first"), *given))
        shares, rejected = intake.fetch()
        counters = intake.counters
        assert counters.adds_up()
        assert counters.read == len(given) + 1
        assert len(rejected) == counters.late + counters.malformed
        assert sum(metrics.events for _, _, metrics in cells_of(shares)) == counters.counted


@pytest.mark.parametrize("levels", [100, 101])
def test_nesting_is_bounded_where_the_contract_says(levels: int) -> None:
    nested = payload()[:-1] + b',"note":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"
    if levels == 100:
        decode(nested)
    else:
        with pytest.raises(NotAnEvent, match="deeper than 100"):
            decode(nested)


@pytest.mark.parametrize(
    "text",
    [
        "2016-12-31T23:59:60Z",
        "2016-12-31T23:59:60.25Z",
        "2017-01-01T05:29:60+05:30",
        "2016-12-31t15:59:60-08:00",
        "2015-06-30T23:59:60z",
    ],
)
def test_a_leap_second_counts_as_the_last_microsecond_of_its_minute(text: str) -> None:
    found = decode(payload(timestamp=text)).timestamp
    assert found.astimezone(dt.UTC).strftime("%d %H:%M:%S.%f") in ("31 23:59:59.999999", "30 23:59:59.999999")
    twice = b'{"timestamp":"2026-01-01T00:00:00Z",' + payload(timestamp=text)[1:]
    assert decode(twice).timestamp == found
    for kind in both():
        intake = kind(Rules.of(Settings()), "logs", 0, IntakeState(), now=T0.timestamp)
        intake.take(log(payload("before", timestamp="2015-01-01T00:00:00Z"), payload("leap", timestamp=text)))
        shares, rejected = intake.fetch()
        assert not rejected
        assert to_micros(found) // 60_000_000 * 60_000_000 in {share.window for share in shares}


@pytest.mark.parametrize(
    "more",
    [
        rb'"note":"\ud83d"',
        rb'"note":["\uDC00"],"device":5,"device":"x"',
        rb'"\ud800":1e400,"cost_micros":"\ud83d","cost_micros":1',
    ],
)
def test_half_a_pair_of_surrogates_in_a_text_that_is_not_read_is_ignored(more: bytes) -> None:
    value = payload(timestamp="2026-11-23T08:00:59.9999999Z", device="x", cost_micros=1)
    found = decode(value[:-1] + b"," + more + b"}")
    assert found == decode(value)
    assert in_own_window(found, value[:-1] + b"," + more + b"}", 60_000_000).timestamp.minute == 0


EVENT = payload().decode()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (
            payload(timestamp="2016-12-30T23:59:60Z"),
            "`timestamp` is '2016-12-30T23:59:60Z'; a leap second is only at 23:59:60 UTC",
        ),
        (payload(timestamp="yesterday"), "`timestamp` is 'yesterday'; it must be RFC 3339 with a zone"),
        (payload(currency="eur"), "`currency` is 'eur'; it must be three capital letters of ISO 4217"),
        (payload(event_type="Click"), "`event_type` is 'Click'; it must be one of impression, click"),
        (payload(channel="x").replace(b'"x"', rb'"\ud800"'), r"a lone surrogate \ud800 in a string"),
        (b"", "the payload is empty"),
        (b" \r\n", "the payload is empty"),
        (b"\xef\xbb\xbf" + payload(), "a byte order mark"),
        (b"\0\0\0\0\x07" + payload(), "schema registry's magic byte 0 and schema id 7"),
        (b"\0\0\0\0\x07\x0a\xff\x02", "schema registry's magic byte 0 and schema id 7"),
        (gzip.compress(payload(), mtime=0), "gzip"),
        (b"\x28\xb5\x2f\xfd\x04", "zstd"),
        (b"Obj\x01\x04", "an Avro file"),
        (EVENT.encode("utf-16"), "UTF-16"),
        (EVENT.encode("utf-16-le"), "UTF-16"),
        (EVENT.encode("utf-16-be"), "UTF-16"),
        (EVENT.replace("c", "é").encode("latin-1"), "not UTF-8: invalid continuation byte at byte"),
        (f"[{EVENT}]".encode(), "a JSON array, not an object; send each event as a message of its own"),
        (f"{EVENT}\n{EVENT}".encode(), "more than one JSON value in a message"),
        (f"{EVENT},{EVENT}".encode(), "more than one JSON value in a message"),
        (f"{EVENT} and more".encode(), "'and more' after the end of the object"),
        (f"{EVENT[:-1]},}}".encode(), "a comma before the closing bracket"),
        (f'{EVENT[:-1]},"x":[1,]}}'.encode(), "a comma before the closing bracket"),
        (f'{EVENT[:-1]},"cost_micros":NaN}}'.encode(), "NaN is not JSON"),
        (f'{EVENT[:-1]},"cost_micros":-Infinity}}'.encode(), "-Infinity is not JSON"),
        (f'{EVENT[:-1]},"cost_micros":None}}'.encode(), "None is not JSON (character"),
        (EVENT.replace('"', "'").encode(), "single quotes"),
        (EVENT[:50].encode(), "it ends too early, after 50 bytes"),
        (json.dumps(EVENT).encode(), "encoded twice"),
        (b"null", "'null' is not a JSON object"),
        (b"17", "'17' is not a JSON object"),
        (b'"17"', """'"17"' is not a JSON object"""),
        (payload(timestamp=1796054400), "`timestamp` is a number, 1796054400; send RFC 3339 with a zone"),
        (payload(currency=840), "Expected `str | null`, got `int` - at `currency`"),
        ("\u00a0".encode() + payload(), r"JSON is malformed: '\xa0{"),
        (b"\x1e" + payload(), r"JSON is malformed: '\x1e{"),
        (b"<event/>", "XML or HTML"),
        (b"// an event\n{}", "a comment"),
        (EVENT.replace("c", "a\nb").encode(), "a line break or another control character in a string"),
        (b"hello", "JSON is malformed: 'hello' at character 0"),
    ],
)
def test_what_a_malformed_payload_is_and_what_to_do_is_said_in_words(value: bytes, words: str) -> None:
    verdict = judge(value)
    assert verdict is not None
    assert words in verdict.detail
