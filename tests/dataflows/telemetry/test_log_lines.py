"""Log lines: one an event, whatever it holds; as people or programs read them; not the same one over and over; no secrets."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from dataflows.contract.settings import Settings
from dataflows.telemetry import log_lines
from tests.support.flows import environment, recovery_folder, running, send, wait_for
from tests.support.records import payload

ROOT = Path(__file__).parents[3]
HOSTILE = "spring\n12:00:00 CRITICAL forged\r\x1b[2J\u2028\u202e\udc80 launch"


def lines(speak: Callable[[logging.Logger], Any], **given: Any) -> list[str]:
    """What is written when `speak` has a logger of ours."""
    said = io.StringIO()
    log_lines.set_up(replace(Settings(), **given), "part", secrets={"password": "hunter2-of-dashboard"}, stream=said)
    speak(logging.getLogger("adtally.test"))
    return said.getvalue().split("\n")[:-1]


def test_a_hostile_name_can_not_forge_a_line_nor_steer_a_terminal() -> None:
    (line,) = lines(lambda log: log.warning("campaign %s", HOSTILE))
    assert line.split(" ", 1)[1] == "WARNING campaign spring\\n12:00:00 CRITICAL forged\\r\\x1b[2J\\u2028\\u202e\\udc80 launch"
    assert line.isprintable()


def test_unknown_variables_are_named_in_one_line_without_their_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADTALLY_WINDOW", "hunter2")
    monkeypatch.setenv("ADTALLY_KAFKA", "hunter2")
    (line,) = lines(lambda _log: None)
    words = "ignoring unknown settings: ADTALLY_WINDOW, ADTALLY_KAFKA; adtally settings lists the known ones"
    assert line.split(" ", 1)[1] == f"WARNING {words}"


def test_a_line_of_json_is_one_object_in_one_line_and_holds_the_name_as_it_is() -> None:
    (line,) = lines(lambda log: log.warning("campaign %s", HOSTILE), log_format="json")
    assert line.isprintable()
    found = json.loads(line)
    assert {key: value for key, value in found.items() if key != "time"} == {
        "level": "warning",
        "part": "part",
        "logger": "adtally.test",
        "message": f"campaign {HOSTILE}",
    }
    assert len(found["time"]) == len("2026-11-23T08:00:00.000Z")
    assert found["time"].endswith("Z")


@pytest.mark.parametrize("form", ["human", "json"])
def test_a_traceback_is_in_the_same_line(form: str) -> None:
    def fail(log: logging.Logger) -> None:
        try:
            raise ValueError(HOSTILE)
        except ValueError:
            log.exception("it stumbled")

    (line,) = lines(fail, log_format=form)
    assert "it stumbled" in line
    assert "ValueError: spring" in line
    assert "test_log_lines.py" in line


def test_the_level_is_ours_alone_and_packages_of_others_speak_from_warnings_up() -> None:
    def speak(log: logging.Logger) -> None:
        for level in (logging.DEBUG, logging.INFO, logging.WARNING):
            log.log(level, "ours %d", level)
            logging.getLogger("tornado").log(level, "theirs %d", level)

    def told(level: str) -> list[str]:
        return [line.split(" ", 2)[2] for line in lines(speak, log_level=level)]

    assert told("debug") == ["ours 10", "ours 20", "ours 30", "theirs 30"]
    assert told("info") == ["ours 20", "ours 30", "theirs 30"]
    assert told("error") == ["theirs 30"]


@pytest.mark.parametrize("form", ["human", "json"])
def test_no_secret_is_in_a_line_nor_in_a_traceback(form: str) -> None:
    def speak(log: logging.Logger) -> None:
        log.warning("password hunter2-of-kafka and %s", "hunter2-of-dashboard")
        try:
            raise ValueError("hunter2-of-kafka")
        except ValueError:
            log.exception("failed")

    said = lines(speak, log_format=form, client={"sasl.password": "hunter2-of-kafka", "sasl.username": "adtally"})
    assert len(said) == 2
    assert "hunter2" not in "".join(said)
    assert "ValueError: …" in said[1] or "ValueError: \\u2026" in said[1]


class Limited:
    """A handler on a clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.said = io.StringIO()
        self.handler = log_lines.Lines(self.said, logging.Formatter("%(message)s"), lambda: self.now)

    def say(self, text: str, *given: object, line: int = 1) -> None:
        self.handler.handle(logging.LogRecord("adtally", logging.WARNING, "place.py", line, text, given, None))

    def lines(self) -> list[str]:
        return self.said.getvalue().splitlines()


def test_a_message_that_repeats_is_said_once_in_an_interval_with_how_often_it_came() -> None:
    one = Limited()
    for _ in range(5):
        one.say("the broker is away")
    assert one.lines() == ["the broker is away"]
    one.now = 10.0
    one.say("the broker is away")
    assert one.lines()[1:] == ["the broker is away (4 more the same within 10 s)", "the broker is away"]


def test_suppressed_lines_are_counted_by_the_next_line_and_at_the_end() -> None:
    one = Limited()
    one.say("first")
    one.say("first")
    one.now = 11.0
    one.say("second")
    one.say("second")
    one.handler.close()
    assert one.lines() == ["first", "first (1 more the same within 10 s)", "second", "second (1 more the same within 10 s)"]


def test_different_messages_of_one_place_are_all_said_until_they_are_a_flood() -> None:
    one = Limited()
    for offset in range(log_lines.BURST + 300):
        one.say("offset %d can't be read", offset)
    one.say("something else", line=2)
    assert len(one.lines()) == log_lines.BURST + 1
    assert one.lines()[-1] == "something else"
    one.now = 10.0
    one.say("over")
    assert one.lines()[-2:] == ["offset 0 can't be read (300 more like it within 10 s)", "over"]


def test_the_limit_holds_no_more_than_the_last_messages() -> None:
    one = Limited()
    for number in range(6_000):
        one.now += 0.01
        one.say("%d", number, line=number)
    assert one.handler.limiter.held() <= 2_004


def test_a_command_says_its_own_lines_in_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    log_lines.say("adtally", f"the culprit {HOSTILE}")
    assert capsys.readouterr().err.splitlines()[0].startswith("adtally: the culprit spring\\n12:00:00")
    lines(lambda log: log.info(""), log_format="json")
    log_lines.say("adtally", "the culprit")
    assert json.loads(capsys.readouterr().err)["message"] == "the culprit"


COMMANDS = [
    ("-m", "bytewax.run", "dataflows.marketing"),
    ("-m", "generator", "synthetic", "--count", "1"),
    ("-m", "panel_app", "--port", "1"),
    ("-m", "adtally", "rebuild", "--from", "2026-01-01T00:00:00Z", "--to", "2026-01-01T01:00:00Z"),
    ("-m", "adtally", "rejected"),
    ("-m", "adtally", "counters"),
    ("-m", "adtally", "export", "--out", "nowhere.csv"),
    ("-m", "adtally", "topics"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[1])
def test_every_command_ends_with_one_object_where_json_is_asked_for(command: tuple[str, ...], tmp_path: Path) -> None:
    given = environment(replace(Settings(), log_format="json")) | {"ADTALLY_WINDOW_SECONDS": "0", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *command], cwd=tmp_path, env=given, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode != 0
    (line,) = done.stderr.splitlines()
    assert "ADTALLY_WINDOW_SECONDS='0' can't be used" in json.loads(line)["message"]


def test_every_line_of_a_flow_is_an_object_where_that_is_asked_for(settings: Settings, tmp_path: Path) -> None:
    store = recovery_folder(tmp_path / "recovery")
    send(settings, [payload(campaign_id=HOSTILE.replace("\udc80", "")), b"no event\n12:00:00 CRITICAL forged"])
    with running(replace(settings, log_format="json"), tmp_path / "log", "-r", str(store), "-s", "1", "-b", "0") as flow:
        wait_for(lambda: flow.output().count("reading partition") == 4, "the flow to read")
        assert flow.stop() == [0]
    found = [json.loads(line) for line in flow.output().splitlines()]
    assert {one["part"] for one in found} == {"dataflow"}
    assert any("reading partition 0" in one["message"] for one in found)
    assert not any(one["message"].startswith("12:00:00") for one in found)
