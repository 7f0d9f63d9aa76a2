from __future__ import annotations

import base64
import hashlib
import json
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflows.contract.schema import Rejected
from dataflows.contract.settings import Settings
from dataflows.intake.partition import Counters, Intake, IntakeState
from dataflows.intake.rules import KEPT, Rules
from tests.support.engines.intakes import KINDS, intake_kind
from tests.support.engines.panes import sums_of
from tests.support.malformed import BAD
from tests.support.records import T0, FakeRecord, event, log, micros, payload, stamp

RULES = Rules.of(Settings())


kind: type[Intake]


@pytest.fixture(autouse=True, scope="module", params=KINDS)
def each_kind(request: pytest.FixtureRequest) -> None:
    """Let every test here run on each of the two intakes."""
    global kind  # noqa: PLW0603 - `new_intake` is called in the middle of tests that hypothesis runs many times
    kind = intake_kind(request.param)


def new_intake(state: IntakeState | None = None, rules: Rules = RULES) -> Intake:
    return kind(rules, "logs", 0, state or IntakeState(), now=lambda: 0.0)


def take_all(
    intake: Intake, records: Sequence[FakeRecord], chunk: int = 300
) -> tuple[dict[tuple[int, str, str], int], list[Rejected]]:
    total: Counter[tuple[int, str, str]] = Counter()
    refused: list[Rejected] = []
    for start in range(0, len(records), chunk):
        intake.take(records[start : start + chunk])
        shares, rejected = intake.fetch()
        total.update({cell: sums.events for cell, sums in sums_of(shares).items()})
        refused += rejected
    return dict(total), refused


def reasons(rejected: list[Rejected]) -> list[tuple[int, str]]:
    return [(one.offset, one.reason) for one in rejected]


def test_events_count_in_the_window_of_their_own_time() -> None:
    found, _ = take_all(new_intake(), log(payload("a", 59.999), payload("b", 60), payload("c", 0)))
    assert found == {(micros(0), "c", "search"): 2, (micros(60), "c", "search"): 1}


def test_a_time_with_another_zone_is_the_same_moment() -> None:
    given = (
        payload("a", timestamp=T0.isoformat().replace("+00:00", "+00:00")),
        payload("b", timestamp="2026-01-01T17:30:00+05:30"),
    )
    found, _ = take_all(new_intake(), log(*given))
    assert found == {(micros(0), "c", "search"): 2}


@pytest.mark.parametrize("digits", ["9999999", "999999999"])
def test_digits_beyond_the_microsecond_do_not_push_an_event_into_the_next_window(digits: str) -> None:
    given = payload("a", timestamp=f"2026-01-01T12:00:59.{digits}Z"), payload("b", 60)
    found, _ = take_all(new_intake(), log(*given))
    assert found == {(micros(0), "c", "search"): 1, (micros(60), "c", "search"): 1}


def test_nines_in_another_field_move_no_event() -> None:
    found, _ = take_all(new_intake(), log(payload("a", 60, score=0.9999999)))
    assert found == {(micros(60), "c", "search"): 1}


def test_a_time_whose_digits_are_escaped_stays_in_its_window() -> None:
    given = payload("a", timestamp="TIME").replace(b"TIME", rb"2026-01-01T12:00:59.99999\u00399Z")
    found, _ = take_all(new_intake(), log(payload("first"), given, payload("b", 60)))
    assert found == {(micros(0), "c", "search"): 2, (micros(60), "c", "search"): 1}


def test_a_partition_that_begins_with_a_clock_rejects_what_is_late_by_it_and_marks_its_first_event() -> None:
    intake = new_intake(IntakeState(clock=micros(5000)))
    _, rejected = take_all(intake, log(payload("old", 10), payload("a", 5001), payload("b", 5002)))
    assert reasons(rejected) == [(0, "late")]
    assert [mark.offset for mark in intake.state().marks] == [1]


def test_an_event_that_is_out_of_order_but_not_late_takes_no_clock_back() -> None:
    """The first event after such a start begins a generation of ids, as the first one that is read again does."""
    intake = new_intake(IntakeState(clock=micros(5000)))
    _, rejected = take_all(intake, log(payload("a", 4400), payload("late by the clock before", 3900)))
    assert reasons(rejected) == [(1, "late")]
    assert intake.clock == micros(5000)
    assert [(mark.offset, mark.generation) for mark in intake.state().marks] == [(0, RULES.generation(micros(5000)))]


def test_a_broker_whose_clock_was_set_back_is_judged_alike_however_the_log_is_cut() -> None:
    now = int(T0.timestamp() * 1000)
    records = [FakeRecord(payload(f"e{place}", 50), place, time) for place, time in enumerate((now, now, now - 400_000))]
    assert take_all(new_intake(), records, 1) == take_all(new_intake(), records, 3)


def test_a_repeated_id_counts_once_also_with_another_time_or_in_another_chunk() -> None:
    records = log(payload("a"), payload("a"), payload("a", 30), payload("b"))
    for chunk in (1, 2, 4):
        intake = new_intake()
        found, _ = take_all(intake, records, chunk)
        assert sum(found.values()) == 2
        assert intake.counters == Counters(read=4, counted=2, duplicate=2)


def test_lateness_is_decided_by_the_partitions_own_clock_before_the_event() -> None:
    edge = 60 + 600 + 5  # the window's end, the allowed lateness, the out-of-order bound
    intake = new_intake()
    _, rejected = take_all(intake, log(payload("a", edge - 0.001), payload("b", 1), payload("c", edge), payload("d", 2)))
    assert reasons(rejected) == [(3, "late")]
    assert intake.counters == Counters(read=4, counted=3, late=1)


def test_an_event_too_far_ahead_of_kafkas_time_is_rejected_and_moves_no_clock() -> None:
    now = T0.timestamp() * 1000
    records = [
        FakeRecord(payload("a", 300), 0, int(now)),
        FakeRecord(payload("b", 300.001), 1, int(now)),
        FakeRecord(payload("c"), 2, int(now)),
    ]
    intake = new_intake()
    _, rejected = take_all(intake, records)
    assert reasons(rejected) == [(1, "too_far_ahead")]
    assert intake.clock == micros(300)
    assert intake.counters == Counters(read=3, counted=2, malformed=1, too_far_ahead=1)


def test_producers_times_that_go_back_are_judged_one_by_one() -> None:
    now = int(T0.timestamp() * 1000)
    records = [FakeRecord(payload("a", 400), 0, now + 200_000, kind=1), FakeRecord(payload("b", 400), 1, now, kind=1)]
    _, rejected = take_all(new_intake(), records)
    assert reasons(rejected) == [(1, "too_far_ahead")]


@pytest.mark.parametrize("name", BAD)
def test_a_bad_message_is_rejected_as_it_came_and_its_neighbours_count(name: str) -> None:
    bad = BAD[name]
    found, rejected = take_all(new_intake(), log(payload("a"), bad, payload("b")))
    assert sum(found.values()) == 2
    (one,) = rejected
    assert (one.reason, one.topic, one.partition, one.offset) == ("malformed", "logs", 0, 1)
    assert one.detail
    if bad is None:
        assert one.payload is None
        assert one.payload_base64 is None
    else:
        came = one.payload.encode() if one.payload is not None else base64.b64decode(one.payload_base64 or "")
        assert came == bad


def test_a_payload_over_64_kib_is_oversize_with_its_size_and_digest() -> None:
    big = payload("x", note="n" * 70_000)
    intake = new_intake()
    found, (one,) = take_all(intake, log(payload("a"), big))
    assert sum(found.values()) == 1
    assert (one.reason, one.size, one.sha256) == ("oversize", len(big), hashlib.sha256(big).hexdigest())
    assert one.payload == big[:4096].decode()
    assert intake.counters == Counters(read=2, counted=1, malformed=1, oversize=1)


def test_a_key_given_twice_counts_by_its_last_value_also_when_the_first_is_wrong() -> None:
    twice = payload("a")[:-1] + b',"cost_micros":"x","cost_micros":5}'
    intake = new_intake()
    intake.take(log(twice))
    shares, rejected = intake.fetch()
    assert not rejected
    assert sums_of(shares)[micros(0), "c", "search"].spend_micros == 5


@pytest.mark.parametrize("first", [b"5", b"1e400", b"9" * 5000, b"{}"], ids=["number", "too large", "5000 digits", "object"])
@pytest.mark.parametrize("name", [b"timestamp", b"cost_micros"])
def test_whatever_number_or_object_a_later_pair_replaces_the_event_counts_and_the_flow_goes_on(name: bytes, first: bytes) -> None:
    given = payload("a", timestamp="2026-01-01T12:00:59.9999999Z", cost_micros=5)
    given = given.replace(b'"%s"' % name, b'"%s": %s, "%s"' % (name, first, name))
    intake = new_intake()
    intake.take(log(given))
    shares, rejected = intake.fetch()
    assert not rejected
    assert sums_of(shares)[micros(0), "c", "search"].spend_micros == 5


messages = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 12), st.integers(0, 3000)).map(lambda pair: payload(f"id-{pair[0]}", pair[1])),
        st.tuples(st.integers(0, 10_000), st.integers(0, 3000)).map(lambda pair: payload(f"id-{pair[0]}", pair[1] / 3)),
        st.sampled_from(list(BAD.values())),
        st.binary(max_size=30),
    ),
    max_size=60,
)


@given(messages, st.integers(1, 60), st.integers(1, 60))
def test_what_becomes_of_an_event_does_not_depend_on_how_the_log_is_cut_into_chunks(
    given: list[bytes | None], one: int, other: int
) -> None:
    first, second = new_intake(), new_intake()
    found = take_all(first, log(*given), one)
    assert found == take_all(second, log(*given), other)
    assert first.state() == second.state()
    counters = first.counters
    assert counters.read == len(given) == counters.counted + counters.duplicate + counters.late + counters.malformed


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3000)), max_size=80), st.integers(1, 80))
def test_the_intake_decides_as_a_plain_model_of_the_contract_does(given: list[tuple[int, int]], chunk: int) -> None:
    span = RULES.id_span
    seen: dict[int, int] = {}
    clock: int | None = None
    expected: Counter[str] = Counter()
    for number, seconds in given:
        moment = micros(seconds)
        if clock is not None and moment - moment % 60_000_000 + 60_000_000 + 600_000_000 <= clock - 5_000_000:
            expected["late"] += 1
            continue
        clock = max(clock or moment, moment)
        known = number in seen and seen[number] > clock // span - KEPT
        seen[number] = clock // span
        expected["duplicate" if known else "counted"] += 1
    intake = new_intake()
    take_all(intake, log(*[payload(f"id-{number}", seconds) for number, seconds in given]), chunk)
    counters = intake.counters
    assert (counters.counted, counters.duplicate, counters.late) == (expected["counted"], expected["duplicate"], expected["late"])


@given(messages, st.integers(0, 60), st.integers(1, 25))
def test_a_restart_anywhere_decides_like_a_run_that_was_not_disturbed(given: list[bytes | None], cut: int, chunk: int) -> None:
    records = log(*given)
    whole = new_intake()
    expected = take_all(whole, records, chunk)[0]
    before = new_intake()
    found = Counter(take_all(before, records[:cut], chunk)[0])

    after = new_intake(before.state())
    start = after.rewind()
    if start is not None:
        old = records[start:cut]
        for place in range(0, len(old), chunk):
            after.refill(old[place : place + chunk])
        after.resume()
    found.update(take_all(after, records[cut:], chunk)[0])
    assert dict(found) == expected
    assert after.counters == whole.counters


def test_a_snapshot_while_the_index_is_refilled_is_the_snapshot_it_began_from() -> None:
    before = new_intake()
    take_all(before, log(*[payload(f"e{n}", n * 10) for n in range(300)]))
    after = new_intake(before.state())
    after.rewind()
    assert after.state() == before.state()


def test_with_dedup_off_a_repeat_counts() -> None:
    intake = new_intake(rules=Rules.of(Settings(dedup=False)))
    found, _ = take_all(intake, log(payload("a"), payload("a")))
    assert sum(found.values()) == 2


def test_silence_that_lasts_the_retention_moves_the_clock_and_then_old_events_are_late() -> None:
    intake = new_intake()
    intake.take(log(payload("a")))
    intake.advance(micros(10_000), 1)
    intake.take(log(payload("b", 5), start=1))
    assert intake.counters == Counters(read=2, counted=1, late=1)


def test_random_json_never_stops_the_intake() -> None:
    rng = random.Random(4)
    base = event(cost_micros=5, revenue_micros=7, currency="USD", user_id="u")
    values: list[Any] = [None, True, 0, -1, 1.5, "", "x", [], {}, "9" * 300, 2**70, stamp(3), "\ud83d", {"a": [1]}]
    for number in range(500):
        mutated = {**base, rng.choice(list(base)): rng.choice(values)}
        intake = new_intake()
        intake.take(log(json.dumps(mutated).encode()))
        counters = intake.counters
        assert counters.counted + counters.malformed == 1, (number, mutated)


@pytest.mark.parametrize("silence", [700, 10_000])
def test_an_event_that_was_late_by_the_clock_of_a_silence_is_so_too_when_it_is_read_again(silence: int) -> None:
    before = new_intake()
    take_all(before, log(payload("first", 0)))
    before.advance(micros(silence), 1)
    assert reasons(take_all(before, log(payload("x", 10), start=1))[1]) == [(1, "late")]
    after = new_intake(before.state())
    start = after.rewind()
    assert start is not None
    after.refill(log(payload("first", 0), payload("x", 10))[start:])
    after.resume()
    take_all(after, log(payload("x", silence + 1), start=2))
    assert after.counters == Counters(read=3, counted=2, late=1)


def test_an_event_ahead_of_a_broker_whose_clock_was_set_back_is_too_far_ahead_in_a_chunk_of_any_size() -> None:
    base = micros(0) // 1000
    records = [FakeRecord(payload("a", 0), 0, base + 1_000_000), FakeRecord(payload("b", 500), 1, base)]
    for chunk in (1, 2):
        intake = new_intake(IntakeState(clock=micros(0)))
        intake.take([FakeRecord(payload("first", 500), 0, base + 1_000_000)])
        assert reasons(take_all(intake, records, chunk)[1]) == [(1, "too_far_ahead")]


@pytest.mark.parametrize("chunk", [1, 2, 3])
@pytest.mark.parametrize("kind", [1, 2])
def test_an_event_ahead_of_its_own_time_is_so_however_the_log_is_cut_and_whatever_its_neighbours_times_are(
    chunk: int, kind: int
) -> None:
    now = micros(0) // 1000
    records = [
        FakeRecord(payload("a", 0), 0, now),
        FakeRecord(payload("b", 0), 1, now - 600_000, kind),
        FakeRecord(payload("c", 0), 2, now),
    ]
    assert reasons(take_all(new_intake(), records, chunk)[1]) == [(1, "too_far_ahead")]
