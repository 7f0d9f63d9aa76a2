"""The decoder, whatever bytes it is given: an event by the contract, or a reason and words; nothing else."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflows.intake import IntakeState
from dataflows.reject import CarefulDecoder, NotAnEvent
from dataflows.rules import Rules
from dataflows.settings import Settings
from tests.intakes import both
from tests.records import T0, event, log, payload

decode = CarefulDecoder("USD")
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
    """Why `value` is no event; None if it is one."""
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
        windows, rejected = intake.fetch()
        counters = intake.counters
        assert counters.adds_up()
        assert counters.read == len(given) + 1
        assert len(rejected) == counters.late + counters.malformed
        assert sum(metrics.events for cells in windows.values() for metrics in cells.values()) == counters.counted


@pytest.mark.parametrize("levels", [100, 101])
def test_nesting_is_bounded_where_the_contract_says(levels: int) -> None:
    nested = payload()[:-1] + b',"note":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"
    if levels == 100:
        decode(nested)
    else:
        with pytest.raises(NotAnEvent, match="deeper than 100"):
            decode(nested)
