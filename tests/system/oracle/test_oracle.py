"""The oracle must turn red: for one event dropped, doubled, or put into the next window, and it must agree with the flow on anything."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from confluent_kafka import KafkaError, KafkaException
from msgspec.structs import replace as replace_settings

from dataflows.contract.settings import Settings
from tests.support.flows import counters, recovery_folder, running, send, wait_for
from tests.support.records import FAR, T0, payload, stamp
from tests.system.oracle.__main__ import main
from tests.system.oracle.compare import Audit, Evidence, differences, found_in, gather, window_differences
from tests.system.oracle.history import CONTRACT, RATIOS
from tests.system.oracle.hostile import BREAKDOWNS, EVENT_TYPES, hostile
from tests.system.oracle.journal import Journal, send_all
from tests.system.oracle.judge import Judge, Known, Message, judge, windows
from tests.system.oracle.sums import SUMS, Cells
from tests.system.oracle.terms import SECOND, Terms, terms_of
from tests.system.oracle.topics import Record, follow


def messages(count: int = 200) -> list[Message]:
    return [Message(number % 3, number, FAR, payload(f"e{number}", number * 3.0, cost_micros=number)) for number in range(count)]


def truth(given: list[Message]) -> pl.DataFrame:
    return windows(judge(given))


def test_equal_logs_show_no_difference() -> None:
    assert window_differences(truth(messages()), truth(messages())) == []


def test_one_event_dropped_turns_the_oracle_red() -> None:
    (line,) = window_differences(truth(messages()), truth(messages()[1:]))
    assert "events 19 instead of 20" in line


def test_one_event_doubled_turns_the_oracle_red() -> None:
    doubled = [*messages(), Message(0, 999, FAR, payload("another id", 3.0))]
    (line,) = window_differences(truth(messages()), truth(doubled))
    assert "events 21 instead of 20" in line


def test_one_event_in_the_next_window_turns_the_oracle_red() -> None:
    moved = [Message(0, 0, FAR, payload("e0", 60.0)), *messages()[1:]]
    assert len(window_differences(truth(messages()), truth(moved))) == 2


def cell(events: int, state: str = "provisional", **fields: Any) -> dict[str, Any]:
    """The result of `events` impressions of the first minute."""
    value = {"window_start": stamp(0), "window_end": stamp(60), "campaign_id": "c", "channel": "search"}
    value |= {**dict.fromkeys(SUMS, 0), "impressions": events, "events": events, "revision": events, "counts": {}}
    return {**value, **dict.fromkeys(RATIOS), "ctr": 0.0, "cpm": 0.0, "currency": "USD", "state": state, **fields}


def results(*values: dict[str, Any], key: str = f'["{stamp(0)}","c","search","USD"]') -> list[Record]:
    return [(key.encode(), Message(0, offset, 0, json.dumps(value).encode(), CONTRACT)) for offset, value in enumerate(values)]


def refusal(key: list[Any], **fields: Any) -> Record:
    value = {"reason": "malformed", "detail": "d", "topic": "logs", "partition": 0, "offset": 2, "rejected_at": "now"}
    return json.dumps(key).encode(), Message(0, 0, 0, json.dumps({**value, "payload": "{bad", **fields}).encode(), CONTRACT)


LOG = [
    (f"e{offset}".encode(), Message(0, offset, FAR, value))
    for offset, value in enumerate([payload("e0"), payload("e1"), b"{bad"])
]
GOOD = Evidence(
    "logs",
    LOG,
    results(cell(1), cell(2)),
    [refusal(["logs", 0, 2])],
    {0: {"read": 3, "counted": 2, "malformed": 1}},
    partitions=1,
)


def test_what_agrees_in_every_respect_shows_no_difference() -> None:
    assert found_in(GOOD, Terms()) == []
    assert found_in(replace(GOOD, counters=None), Terms()) == []


def test_a_replay_after_a_crash_that_reaches_the_same_state_is_valid() -> None:
    again = results(cell(1), cell(2), cell(2, "final"), cell(1), cell(2), cell(2, "final"))
    assert found_in(replace(GOOD, results=again), Terms()) == []


def test_some_of_the_events_may_be_others_when_a_replay_reads_the_partitions_in_another_order() -> None:
    click = cell(1, impressions=0, clicks=1, ctr=None, cvr=0.0, cpc=0.0, cpm=None)
    assert found_in(replace(GOOD, results=results(cell(1), click, cell(2))), Terms()) == []


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"results": []}, "results: .* events None instead of 2"),
        ({"results": results(cell(1))}, "results: .* events 1 instead of 2"),
        ({"results": results(cell(2), cell(1))}, "history: .* ends at revision 1, after 2"),
        ({"results": results(cell(2, "final"), cell(2))}, "history: .* ends as provisional, after final"),
        (
            {"results": results(cell(2, clicks=1, impressions=1, ctr=1.0, cvr=0.0, cpc=0.0), cell(2))},
            "history: .* revision 2 comes with other sums",
        ),
        ({"results": results(cell(2), key="c|search")}, "record: .* the key is not"),
        ({"results": results(cell(2), key=f'["{stamp(0)}","c","search"]')}, "record: .* the key is not"),
        ({"results": results(cell(2, ctr=None))}, "record: .* ctr None instead of 0.0"),
        ({"results": results(cell(2, roas=0.0))}, "record: .* roas 0.0 instead of None"),
        ({"results": results(cell(2, ctr=-0.0))}, "record: .* ctr is a negative zero"),
        ({"results": results(cell(2, revision=3))}, "record: .* revision 3 of 2 events"),
        ({"results": results(cell(2, window_end=stamp(120)))}, "record: .* is not a window of 60 s"),
        ({"results": results(cell(2, currency="EUR"))}, "record: .* the key is not .*EUR"),
        ({"results": results(cell(2, counts={"lead": 1}))}, "record: .* counts {'lead': 1}"),
        ({"results": results(cell(2, counts=None))}, "record: .* counts None"),
        (
            {"results": [(key, replace(one, contract=b"1")) for key, one in GOOD.results]},
            "record: .* header adtally-contract b'1'",
        ),
        ({"rejected": [(key, replace(one, contract=None)) for key, one in GOOD.rejected]}, "rejected: .* header .* None"),
        ({"results": results(cell(2, extra=1))}, "record: .* fields .*extra"),
        ({"results": [(None, Message(0, 0, 0, b"x", CONTRACT))]}, "record: None: fields"),
        ({"rejected": []}, "rejected: partition 0 offset 2 as None instead of malformed"),
        (
            {"rejected": [*GOOD.rejected, refusal(["logs", 0, 1], offset=1)]},
            "rejected: partition 0 offset 1 as malformed instead of None",
        ),
        ({"rejected": [refusal(["logs", 0, 2], reason="late")]}, "rejected: partition 0 offset 2 as late instead of malformed"),
        ({"rejected": [refusal(["logs", 0, 2], reason="late"), *GOOD.rejected]}, "rejected: .* as late, then as malformed"),
        ({"rejected": [refusal(["logs", 0, 2], payload="{")]}, "rejected: .* payload '{' instead of"),
        ({"rejected": [*GOOD.rejected, refusal(["0", 2])]}, "rejected: key .*0.*2"),
        ({"counters": {0: {"read": 3, "counted": 3}}}, "counters: partition 0: counted 3 instead of 2, malformed 0 instead of 1"),
        (
            {"counters": {0: GOOD.counters[0], 1: {"read": 1}} if GOOD.counters else {}},
            "counters: partition 1: read 1 instead of 0",
        ),
        ({"logs": LOG[1:], "counters": None}, "logs: partition 0 begins at offset 1"),
        ({"journal": Journal()}, "journal: .* offset 0 was not acknowledged"),
    ],
)
def test_each_kind_of_difference_has_its_line(changed: dict[str, Any], line: str) -> None:
    found = found_in(replace(GOOD, **changed), Terms())
    assert any(re.match(line, one) for one in found), found


def test_a_state_that_the_clocks_forbid_is_a_difference() -> None:
    log = [*LOG[:2], (b"e2", Message(0, 2, FAR, payload("e2", 65)))]
    key = f'["{stamp(60)}","c","search","USD"]'

    def judged(state: str, terms: Terms, second: str = "provisional") -> list[str]:
        final = results(cell(1, second, window_start=stamp(60), window_end=stamp(120)), key=key)
        given = replace(GOOD, logs=log, results=[*results(cell(2, state)), *final], rejected=[], counters=None)
        return found_in(given, terms)

    assert judged("final", Terms()) == judged("corrected", Terms()) == judged("final", Terms(), "final") == []
    (line,) = judged("provisional", Terms())
    assert line.startswith("state: ")
    assert "provisional, but the watermark has passed" in line
    (line,) = judged("final", Terms(silence=False), "final")
    assert "final, but the watermark has not reached" in line


def test_an_acknowledged_message_that_is_gone_or_another_is_a_difference(settings: Settings) -> None:
    journal = send_all(settings.brokers, settings.logs_topic, [payload("a"), payload("b"), None, b"{bad"])
    given = gather(settings.brokers, settings.logs_topic, settings.results_topic, settings.rejected_topic, journal=journal)
    assert [line for line in found_in(given, Terms()) if line.startswith("journal")] == []
    assert len(journal) == 4
    (key, first), *rest = given.logs
    gone = found_in(replace(given, logs=rest), Terms())
    other = found_in(replace(given, logs=[(key, Message(first.partition, first.offset, 0, b"other")), *rest]), Terms())
    named = f"journal: the message at partition {first.partition} offset {first.offset}"
    assert f"{named} is gone" in gone
    assert f"{named} has other content" in other


@pytest.mark.parametrize("seed", range(8))
def test_a_log_that_is_judged_as_it_comes_gets_the_verdict_of_the_whole(seed: int) -> None:
    rng = random.Random(seed)
    terms = Terms(window=10, lateness=60, out_of_order=rng.choice([0, 5]), dedup=seed != 7)
    rows = [Message(rng.randrange(3), offset, FAR, value) for offset, value in enumerate(hostile(1500, seed))]
    whole = judge(rng.sample(rows, len(rows)), terms)
    coming = Judge(terms)
    coming.verdict.cells = Cells(terms, batch=rng.choice([1, 7, 100]))
    for message in rows:
        coming.take(message)
        if rng.random() < 0.01:
            windows(coming.verdict)  # reading meanwhile changes nothing
    assert window_differences(windows(whole), windows(coming.verdict)) == []
    for name in ("first", "counters", "clocks", "rejected", "payloads"):
        assert getattr(coming.verdict, name) == getattr(whole, name), name


def test_ids_that_are_too_old_are_evicted() -> None:
    known = Known()
    assert not any(known.meet(f"{generation} {number}", generation) for generation in range(50) for number in range(10))
    assert len(known) == 30
    assert known.meet("47 3", 49)
    assert not known.meet("46 3", 49)


@pytest.mark.parametrize("seed", range(4))
def test_an_audit_of_records_in_pieces_finds_what_it_finds_in_all_of_them(seed: int) -> None:
    rng = random.Random(seed)
    falsified = [*results(cell(1), cell(3, clicks=1, impressions=2)), *results(cell(2, ctr=None)), (None, Message(0, 9, 0, b"x"))]
    wrong = replace(GOOD, results=falsified, rejected=[refusal(["logs", 0, 2], reason="late"), refusal(["0", 2])])
    audit = Audit("logs", Terms())
    takes = [(audit.log, list(wrong.logs)), (audit.results, list(wrong.results)), (audit.rejected, list(wrong.rejected))]
    while left := [(take, records) for take, records in takes if records]:
        take, records = rng.choice(left)
        cut = rng.randint(1, len(records))
        take(records[:cut])
        del records[:cut]
    found = audit.differences(1, wrong.counters)
    assert found == found_in(wrong, Terms())
    assert len(found) > 4


def test_an_id_is_known_for_the_generation_it_was_seen_in_and_two_more() -> None:
    span = Terms().span / SECOND
    start = -(T0.timestamp() % span)
    times = [start, start + span * 3 - 1, start + span * 3]
    copies = [
        [Message(0, 0, FAR, payload("a", times[0])), Message(0, 1, FAR, payload("b", at)), Message(0, 2, FAR, payload("a", at))]
        for at in times[1:]
    ]
    assert [judge(given).counters[0]["duplicate"] for given in copies] == [1, 0]
    assert judge(copies[0], Terms(dedup=False)).counters[0]["duplicate"] == 0


def test_the_command_says_exact_or_what_differs_or_why_it_cannot_judge(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--brokers", settings.brokers, "--logs", settings.logs_topic]
    topics = [*where, "--results", settings.results_topic, "--rejected", settings.rejected_topic]
    send(settings, [b"{bad"] * 30)
    assert main(topics) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("NOT EXACT: 30 differences in 30 messages")
    assert len(out) == 22
    assert out[-1].strip() == "… and 10 more"
    empty = replace_settings(settings, logs_topic=settings.logs_topic + "-empty")
    send(empty, [])
    assert main(["--brokers", settings.brokers, "--logs", empty.logs_topic, *topics[4:]]) == 0
    assert capsys.readouterr().out.startswith("exact: 0 messages")


def test_the_command_that_follows_judges_what_comes_until_its_input_ends(settings: Settings) -> None:
    send(settings, [b"{bad"] * 3)
    send(replace_settings(settings, logs_topic=settings.results_topic), [])
    topics = ["--logs", settings.logs_topic, "--results", settings.results_topic, "--rejected", settings.rejected_topic]
    command = [sys.executable, "-m", "tests.system.oracle", "--follow", "--brokers", settings.brokers, *topics]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as oracle:
        send(settings, [b"{bad"] * 4)
        said = oracle.communicate("", timeout=120)[0]
    assert oracle.returncode == 1
    assert said.startswith("NOT EXACT: 7 differences in 7 messages")


def test_what_comes_while_it_is_followed_is_read_to_its_end(settings: Settings) -> None:
    send(settings, [b"1", b"2"], partition=0)
    found: list[bytes | None] = []
    told: list[bool] = []
    for batch in follow(settings.brokers, [settings.logs_topic], lambda: bool(told)):
        found += [message.payload for _, message in batch[settings.logs_topic]]
        if len(found) == 2 and not told:
            send(settings, [b"3"], partition=0)
            send(settings, [b"4"], partition=1)
            told.append(True)
    assert sorted(one or b"" for one in found) == [b"1", b"2", b"3", b"4"]


def test_the_command_names_a_broker_that_does_not_answer_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def away(*_: Any, **__: Any) -> Evidence:
        raise KafkaException(KafkaError(KafkaError._TRANSPORT, "away"))

    assert main(["--brokers", "nowhere:1"], away) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "nowhere:1" in line


LONG = pytest.mark.long


@pytest.mark.parametrize(
    ("seed", "native"),
    [(1, "auto"), pytest.param(1, "off", marks=LONG), pytest.param(2, "auto", marks=LONG), pytest.param(3, "off", marks=LONG)],
)
def test_the_flow_and_the_oracle_agree_on_a_hostile_log(settings: Settings, tmp_path: Path, seed: int, native: str) -> None:
    more: dict[str, Any] = {"breakdowns": BREAKDOWNS, "breakdown_cells": 5 * seed, "event_types": EVENT_TYPES, "native": native}
    settings = replace_settings(settings, **more)
    given = hostile(3000, seed)
    for partition in range(4):
        send(settings, given[partition::4], partition=partition)
    folder = recovery_folder(tmp_path / "recovery")
    with running(settings, tmp_path / "log", "-r", str(folder), "-s", "1", "-b", "0") as flow:
        wait_for(lambda: sum(one.get("read", 0) for one in counters(settings)) == len(given), "the flow to have read it all")
        assert flow.stop() == [0]
    topics = (settings.logs_topic, settings.results_topic, settings.rejected_topic)
    assert differences(settings.brokers, *topics, terms_of(settings), group=settings.group) == []
