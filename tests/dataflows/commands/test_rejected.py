from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from adtally.__main__ import main
from dataflows.commands.rejected import Wanted, corrected, lines, plain, rejected, send
from dataflows.contract.errors import BrokerError, InputError
from dataflows.contract.settings import Settings
from dataflows.intake.decode import EventDecoder
from dataflows.kafka.clients import deliver
from dataflows.kafka.scan import scan
from dataflows.kafka.topics import Topics
from tests.support.flows import ANSWER_SECONDS, counted, running, wait_for
from tests.support.flows import send as put
from tests.support.records import payload


def reject_some(settings: Settings, tmp_path: Path) -> None:
    put(settings, [payload("a", 0), b"{bad", payload("b", 2000), payload("late", 1), b"\xff"], partition=0)
    with running(settings, tmp_path / "log"):
        wait_for(
            lambda: len(list(scan(settings, settings.rejected_topic))) == 3 if counted(settings) else False, "the rejected events"
        )


def test_rejected_events_are_listed_filtered_and_counted(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reject_some(settings, tmp_path)
    everything = rejected(settings, Wanted())
    assert [(one.offset, one.reason) for one in everything] == [(1, "malformed"), (3, "late"), (4, "malformed")]
    assert [one.offset for one in rejected(settings, Wanted(reasons=frozenset({"late"})))] == [3]
    assert [one.offset for one in rejected(settings, Wanted(containing="bad"))] == [1]
    assert rejected(settings, Wanted(partitions=frozenset({1}))) == []
    assert list(lines(everything, 1))[-1] == "2 malformed, 1 late"
    deliver(settings, "test", settings.rejected_topic, [(b"x", b"none"), (b"y", b'{"reason":"\xff"}')])
    assert rejected(settings, Wanted()) == everything
    assert f"2 records of {settings.rejected_topic} that are not rejected events" in caplog.text


def test_a_corrected_payload_that_is_sent_in_again_is_counted(settings: Settings, tmp_path: Path) -> None:
    put(settings, [payload("a", 0), payload("b", 1, cost_micros="5")], partition=0)
    file = tmp_path / "corrected.jsonl"
    with running(settings, tmp_path / "log"):
        (one,) = wait_for(lambda: rejected(settings, Wanted()) if counted(settings) else [], "the rejected event")
        file.write_text(json.dumps({**json.loads(one.payload or ""), "cost_micros": 5}) + "\n\n")
        assert send(settings, corrected(file, EventDecoder())) == 1
        wait_for(lambda: counted(settings) == 2, "the corrected event")


def test_a_file_with_one_line_that_is_still_no_event_sends_nothing_and_names_the_line(tmp_path: Path) -> None:
    file = tmp_path / "corrected.jsonl"
    file.write_bytes(payload("a", 0) + b"\n" + payload("b", 1, channel="") + b"\n")
    with pytest.raises(InputError, match=r"corrected\.jsonl line 2 is not a valid event: .*channel.* Nothing was sent"):
        corrected(file, EventDecoder())


def test_a_payload_cant_steer_the_terminal() -> None:
    assert plain("a\x1b[2Jb\u202ec") == "a�[2Jb�c"


def test_a_topic_that_is_not_there_and_a_file_that_is_not_there_are_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ADTALLY_BROKERS", "127.0.0.1:1")
    assert main(["rejected", "--send", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err.splitlines() == [f"adtally: {tmp_path / 'none'} can't be read: No such file or directory."]


def test_a_scan_ends_at_the_end_the_topic_had_when_it_began(settings: Settings) -> None:
    put(settings, [payload(f"e{number}") for number in range(100)])
    reading = scan(settings, settings.logs_topic)
    first = next(reading)
    put(settings, [payload("later")], partition=first.partition())
    assert 1 + len(list(reading)) == 100


def test_a_scan_of_nothing_ends_at_once_and_one_without_a_broker_fails(settings: Settings) -> None:
    with pytest.raises(BrokerError, match="does not exist"):
        list(scan(settings, settings.results_topic))
    Topics(settings).ensure(settings.results_topic, timeout=ANSWER_SECONDS)
    assert list(scan(settings, settings.results_topic)) == []
    with pytest.raises(BrokerError, match="no Kafka broker answers"):
        list(scan(replace(settings, brokers="127.0.0.1:1"), "logs", timeout=0.5))
