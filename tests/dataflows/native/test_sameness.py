"""The native intake decides like the one in Python: by any log, also of texts that were bitten into."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable, Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dataflows import native
from dataflows.contract.metrics import CellKey, Metrics, contributions
from dataflows.contract.schema import Event, to_micros
from dataflows.contract.settings import Settings
from dataflows.intake.decode import EventDecoder
from dataflows.intake.partition import Counters, Intake, IntakeState
from dataflows.intake.rules import Rules
from dataflows.kafka.record import Record
from dataflows.native import MessageBatch, Tally, TallyPlan
from dataflows.wire.cell_bytes import CellFormat, Share, shard_of
from tests.support.engines.intakes import intake_kind, laid
from tests.support.records import FakeRecord, event, log, micros, payload

pytestmark = pytest.mark.native

RULES = Rules.of(Settings())
decode = EventDecoder()
PLAN = TallyPlan(currency="USD")
Sums = dict[tuple[int, CellKey], Metrics]
Outcome = tuple[Counters, list[tuple[int, str, str]], Sums, IntakeState]


def sums_of(shares: Sequence[Share]) -> Sums:
    """Return the metrics of each cell by start of the window and key."""
    sums: Sums = {}
    for share in shares:
        for key, own in CellFormat().unpack(share.cells):
            sums.setdefault((share.window, key), Metrics()).merge(own)
    return sums


def outcome(
    kind: type[Intake],
    records: list[FakeRecord],
    chunk: int = 300,
    rules: Rules = RULES,
    lay: Callable[[Sequence[Record]], Sequence[Record]] = list,
) -> Outcome:
    """All that an intake makes of a log; `lay`: how its messages come."""
    intake = kind(rules, "logs", 0, IntakeState(), now=lambda: 0.0)
    for place in range(0, len(records), chunk):
        intake.take(lay(records[place : place + chunk]))
    shares, rejected = intake.fetch()
    reasons = [(record.offset, record.reason, record.detail) for record in rejected]
    return intake.counters, reasons, sums_of(shares), intake.state()


def by_both(records: list[FakeRecord], chunk: int = 300, rules: Rules = RULES) -> tuple[Outcome, Outcome]:
    found = outcome(intake_kind("on"), records, chunk, rules)
    assert outcome(intake_kind("on"), records, chunk, rules, laid) == found
    return outcome(intake_kind("off"), records, chunk, rules), found


def is_fast(value: bytes) -> bool:
    """Return whether a message takes the fast path."""
    tally = Tally(window=RULES.window, delay=0, dedup=False, plan=PLAN)
    return not tally.read(MessageBatch.of(log(value)))


# What a field may look like: right, wrong, and right in an unusual way.
TEXTS = [
    '"c"',
    '""',
    '"%s"' % ("x" * 256),
    '"%s"' % ("ü" * 256),
    '"%s"' % ("x" * 257),
    '"%s"' % ("ü" * 257),
    r'"a\u0041"',
    r'"\ud83d\ude00 \/\b\f\n\r\t\u0000\u07ff\uFFFF"',
    r'"\ud83d"',
    r'"\ude00"',
    r'"\ud83d\u0041"',
    r'"\u12g4"',
    r'"\x"',
    '"\\',
    '"\\""',
    '"a\tb"',
    '"\x7f"',
    '"日本"',
    "null",
    "1",
    "[]",
    "true",
    '"<script>"',
    "c",
    '"unended',
]
NUMBERS = [
    "0",
    "-0",
    "7",
    "-7",
    "07",
    "1.0",
    "1e3",
    "99999999999999",
    "100000000000000",
    "-99999999999999",
    "9223372036854775807",
    "9223372036854775808",
    "null",
    '"5"',
    "true",
    "+1",
    "-",
    ".5",
    "1.",
    "NaN",
    "Infinity",
    "1 2",
]
TIMES = [
    "2026-01-01T12:00:00Z",
    "2026-01-01T12:00:59.999999Z",
    "2026-01-01T12:00:59.9999999Z",
    "2026-01-01T12:00:00.5Z",
    "2026-01-01T12:00:00.Z",
    "2026-01-01T17:30:00+05:30",
    "2026-01-01T07:00:00.25-05:00",
    "2026-01-01T12:00:00+00:00",
    "2026-01-01T12:00:00-00:00",
    "2026-01-01T12:00:00",
    "2026-01-01 12:00:00Z",
    "2026-01-01t12:00:00z",
    "2026-01-01T12:00:60Z",
    "2026-01-01T24:00:00Z",
    "2026-02-29T12:00:00Z",
    "2028-02-29T12:00:00Z",
    "2026-01-01T12:00:00+14:00",
    "2026-01-01T12:00:00+15:00",
    "2026-01-01T12:00:00+23:59",
    "2026-01-01T12:00:00+24:00",
    "2026-01-01T12:00:00+05:60",
    "1969-12-31T23:59:59Z",
    "1970-01-01T00:00:00Z",
    "1970-01-01T00:00:00+05:00",
    "2099-12-31T23:59:59Z",
    "2100-02-29T00:00:00Z",
    "2100-01-01T00:00:00Z",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "2026-13-01T00:00:00Z",
    "2026-00-01T00:00:00Z",
    "2026-01-00T00:00:00Z",
    "2026-04-31T00:00:00Z",
    "2026-1-1T00:00:00Z",
    "20260101T120000Z",
    "2026-01-01T12:00Z",
    "2026-01-01T12:00:00+0530",
    "2026-01-01T12:00:00+05",
    "",
    "now",
]
ANYTHING = [
    "1",
    "-1.5",
    "1e5",
    "0.1234567890123456789",
    "01",
    '"x"',
    "[]",
    "{}",
    "[1, [2, {}]]",
    '{"a": {"b": [null, true, false]}}',
    "[1,]",
    "{,}",
    '{"a" 1}',
    "[" * 15 + "]" * 15,
    "[" * 40 + "]" * 40,
    "nul",
    "tru",
    "-",
    '"\\ud800"',
    "1e400",
    "--1",
]

fields = st.one_of(
    st.tuples(
        st.sampled_from(["event_id", "campaign_id", "channel", "user_id", "order_id", "device", "click_id"]),
        st.sampled_from(TEXTS),
    ),
    st.tuples(
        st.just("currency"),
        st.sampled_from([*TEXTS, '"USD"', '"EUR"', '"ZZZ"', '"eur"', '"EU"', '"EURO"', '"E R"', '"\\u0045UR"']),
    ),
    st.tuples(
        st.just("event_type"),
        st.sampled_from(['"click"', '"refund"', '"purchase"', '"cost"', '"conversion"', '"Click"', '"view"', "null"]),
    ),
    st.tuples(st.just("timestamp"), st.sampled_from(TIMES).map(json.dumps)),
    st.tuples(st.sampled_from(["cost_micros", "revenue_micros"]), st.sampled_from(NUMBERS)),
    st.tuples(st.sampled_from(["note", "Event_id", "", "kanal", "cost_micro"]), st.sampled_from(ANYTHING)),
)


def text(pairs: list[tuple[str, str]], space: str, number: int) -> bytes:
    """An event with some fields changed or added, with `space` wherever JSON allows it."""
    base = {name: json.dumps(value) for name, value in event(f"id-{number}", number).items()}
    more = [(name, value) for name, value in pairs if name not in base]
    all_of = [(name, dict(pairs).get(name, value)) for name, value in base.items()] + more
    inner = f"{space},{space}".join(f'"{name}"{space}:{space}{value}' for name, value in all_of)
    return f"{space}{{{space}{inner}{space}}}{space}".encode()


texts = st.builds(text, st.lists(fields, max_size=3), st.sampled_from(["", " ", "\n\t "]), st.integers(0, 40))


def bitten(value: bytes, at: int, length: int, instead: bytes) -> bytes:
    at %= len(value) + 1
    return value[:at] + instead + value[at + length :]


odd_texts = st.one_of(texts, st.builds(bitten, texts, st.integers(0, 500), st.integers(0, 3), st.binary(max_size=3)))


@given(st.lists(st.one_of(odd_texts, odd_texts, st.binary(max_size=20), st.none()), max_size=30), st.integers(1, 30))
def test_both_intakes_make_the_same_of_any_log(given: list[bytes | None], chunk: int) -> None:
    python, c = by_both(log(*given), chunk)
    assert c == python


@given(odd_texts)
@example(payload("a", user_id=None, cost_micros=-5, note={"deep": [1, 2.5, "x"]}))
def test_what_is_plain_is_an_event_and_python_reads_the_same_in_it(given: bytes) -> None:
    if not is_fast(given):
        return
    event: Event = decode(given)
    tally = Tally(window=RULES.window, delay=0, dedup=False, plan=PLAN)
    assert tally.read(MessageBatch.of(log(given))) == []
    assert tally.newest == to_micros(event.timestamp)
    tally.turn(0, 2**62)
    tally.judge(0, native.NEVER, 2**62, refill=False)
    ((shard, window, table, cells),) = tally.pack()
    expected = Metrics()
    expected.add(event, contributions(())[event.event_type])
    key = (event.campaign_id, event.channel, event.currency or "USD")
    assert (window, table, dict(CellFormat().unpack(cells))) == (RULES.start(to_micros(event.timestamp)), 0, {key: expected})
    assert shard == shard_of(event.campaign_id, event.channel)


@pytest.mark.parametrize("value", [json.dumps(time) for time in TIMES])
def test_no_time_is_read_otherwise_than_python_reads_it(value: str) -> None:
    python, c = by_both(log(text([("timestamp", value)], "", 1)))
    assert c == python


def test_events_as_in_practice_take_the_fast_path() -> None:
    usual = [
        payload("e1", 0.25),
        json.dumps(event(campaign_id="Frühjahr – 日本", user_id="ü" * 256), ensure_ascii=False).encode(),
        json.dumps(event(campaign_id='Frühjahr – 日本 "😀"\n', user_id="ü" * 256, note="\x00")).encode(),
        json.dumps(
            event(cost_micros=5, revenue_micros=None, currency="USD", extra={"a": [1, 2.5, None]}), separators=(",", ":")
        ).encode(),
        json.dumps(
            event(timestamp="2026-01-01T17:30:00.123+05:30", score=0.6374839201847561), ensure_ascii=False, indent=2
        ).encode(),
    ]
    assert all(map(is_fast, usual))


@given(
    st.one_of(
        st.binary(min_size=1, max_size=6), st.text(min_size=1, max_size=3).map(lambda one: one.encode("utf-8", "surrogatepass"))
    )
)
@example("\ud800".encode("utf-8", "surrogatepass"))
@example(b"\xf4\x90\x80\x80")
@example(b"\xc0\x80")
def test_what_is_utf8_is_plain_and_nothing_else(name: bytes) -> None:
    if set(name) & {*range(0x20), 0x22, 0x5C}:
        return
    try:
        name.decode()
        right = True
    except UnicodeDecodeError:
        right = False
    assert is_fast(payload(channel="?").replace(b"?", name)) == right
    assert is_fast(payload(note="?").replace(b"?", name)) == right


def test_a_text_whose_pieces_are_utf8_only_together_is_not_taken_for_utf8() -> None:
    whole = payload("a", campaign_id="ü", channel="x")
    cut = json.dumps(event("a", campaign_id="ü"), ensure_ascii=False).encode().index("ü".encode()) + 1
    raw = json.dumps(event("a", campaign_id="ü"), ensure_ascii=False).encode()
    python, c = by_both(log(raw[:cut], raw[cut:], whole))
    assert c == python
    assert c[0].malformed == 2


def test_a_message_too_large_is_never_joined_to_the_others() -> None:
    python, c = by_both(log(payload("a"), payload("b", note="x" * 70_000), None, payload("c")))
    assert c == python
    assert [reason for _, reason, _ in c[1]] == ["oversize", "malformed"]


@given(
    st.lists(st.tuples(st.integers(0, 25), st.integers(-400, 900), st.integers(-400, 400)), max_size=60),
    st.integers(1, 60),
    st.sampled_from([0, 1, 2]),
)
def test_times_of_kafka_that_go_back_and_forth_are_judged_alike(given: list[tuple[int, int, int]], chunk: int, kind: int) -> None:
    wall = micros(0) // 1000
    records = [
        FakeRecord(payload(f"id-{number}", seconds), at, wall + shift * 1000, kind)
        for at, (number, seconds, shift) in enumerate(given)
    ]
    python, c = by_both(records, chunk)
    assert c == python


def test_sums_beyond_64_bits_are_exact() -> None:
    biggest = [payload(f"e{n}", n, cost_micros=2**63 - 1) for n in range(3)]
    long = [payload(f"f{n}", 0, cost_micros=99_999_999_999_999, revenue_micros=-99_999_999_999_999) for n in range(60_000)]
    for choice in ("on", "off"):
        _, _, cells, _ = outcome(intake_kind(choice), log(*biggest, *long))
        sums = cells[micros(0), ("c", "search", "USD")]
        assert sums.spend_micros == 3 * (2**63 - 1) + 60_000 * 99_999_999_999_999
        assert sums.revenue_micros == -60_000 * 99_999_999_999_999


def test_many_names_and_windows_between_two_polls_are_kept_apart() -> None:
    rng = random.Random(7)
    names = [f"{rng.choice('abc')}-{number}" for number in range(40)] + ["a\x01b", "ab"]
    given = [
        payload(f"e{n}", rng.randint(0, 7000), campaign_id=rng.choice(names), channel=rng.choice(names)) for n in range(8000)
    ]
    rules = Rules.of(Settings(allowed_lateness_seconds=10_000.0))
    python, c = by_both(log(*given), 300, rules)
    assert c == python


def test_names_are_forgotten_when_they_are_many_and_come_again_as_themselves() -> None:
    intake = intake_kind("on")(RULES, "logs", 0, IntakeState(), now=lambda: 0.0)
    for turn in range(2):
        for first in range(0, 45_000, 300):
            intake.take(
                log(*[payload(f"{turn}-{n}", campaign_id=f"{n}" * 40, channel="x") for n in range(first, first + 300)], start=0)
            )
        cells = sums_of(intake.fetch()[0])
        assert set(cells) == {(micros(0), (f"{n}" * 40, "x", "USD")) for n in range(45_000)}
        assert {cell.events for cell in cells.values()} == {1}


@settings(max_examples=30)  # each has up to a hundred thousand events
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4000)), max_size=30), st.integers(0, 2**32))
def test_the_index_of_ids_holds_what_a_plain_model_holds(turns: list[tuple[int, int]], seed: int) -> None:
    rng = random.Random(seed)
    tally = Tally(window=1, delay=0, dedup=True, plan=PLAN)
    known: dict[int, int] = {}
    generation = 10
    tally.turn(generation, 2**62)
    for step, count in turns:
        generation += step
        tally.turn(generation, 2**62)
        known = {number: born for number, born in known.items() if born > generation - 3}
        numbers = [rng.randrange(6000) for _ in range(count)]
        expected = 0
        for number in numbers:
            expected += number not in known
            known[number] = generation
        values = [payload(f"id-{number}") for number in numbers]
        tally.read(MessageBatch.of(log(*values)))
        tally.judge(0, 0, 2**62, refill=True)
        assert (tally.counted, tally.duplicate) == (expected, count - expected)
        assert tally.ids[0] == len(known)


def test_the_index_takes_at_most_thirty_bytes_an_id_and_gives_back_what_a_rush_took() -> None:
    tally = Tally(window=1, delay=0, dedup=True, plan=PLAN)
    tally.turn(0, 2**62)
    for first in range(0, 300_000, 1000):
        values = [payload(f"{n:08x}-0000-4000-8000-000000000000") for n in range(first, first + 1000)]
        tally.read(MessageBatch.of(log(*values)))
        tally.judge(0, 0, 2**62, refill=True)
        ids, size = tally.ids
        assert ids == first + 1000
        assert size / ids < 30 or ids < 5000
    tally.turn(2, 2**62)
    assert tally.ids[0] == 300_000
    tally.turn(3, 2**62)
    assert tally.ids[0] == 0
    assert tally.ids[1] < 300_000 * 4


def test_both_intakes_make_the_same_of_a_log_in_which_everything_happens() -> None:
    command = [sys.executable, "-m", "tests.support.engines.native_comparison"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
