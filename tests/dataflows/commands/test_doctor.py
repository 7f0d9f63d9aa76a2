"""`adtally doctor`: each kind of defect is one line with its cure, and the exit code is that of the worst."""

from __future__ import annotations

import pickle
import re
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from msgspec.structs import replace

from adtally.__main__ import main
from dataflows import native
from dataflows.commands.doctor import brokers, machine, recovery
from dataflows.commands.doctor.check_result import CheckResult, worst
from dataflows.commands.doctor.examination import checks, examine
from dataflows.contract.settings import Settings
from dataflows.flow.state import VERSION
from dataflows.kafka.topics import Topics
from tests.support.flows import ANSWER_SECONDS, recovery_folder

Listen = Callable[[bytes | None], Settings]


@pytest.fixture
def listen() -> Iterator[Listen]:
    """Listen on a free port and answer each connection's first words with bytes; with none of them hang up, with None keep silent."""
    listeners: list[socket.socket] = []
    kept: list[socket.socket] = []

    def serve(listener: socket.socket, answer: bytes | None) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                kept.append(connection)
                if answer is not None:
                    connection.recv(64)
                    connection.sendall(answer)
                    connection.close()

    def start(answer: bytes | None) -> Settings:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        threading.Thread(target=serve, args=(listener, answer), daemon=True).start()
        return Settings(brokers=f"127.0.0.1:{listener.getsockname()[1]}")

    yield start
    for one in listeners + kept:
        one.close()


def made(settings: Settings) -> Settings:
    """The topics of `settings` are there."""
    Topics(settings).ensure(settings.logs_topic, settings.results_topic, settings.rejected_topic, timeout=ANSWER_SECONDS)
    return settings


def test_a_deployment_that_is_well_has_a_line_for_each_thing_and_exit_code_0(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = recovery_folder(tmp_path / "recovery")
    folder.chmod(0o700)
    code = examine(made(replace(settings, native="off")), folder)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not line.startswith("ok ")] == []
    assert code == 0
    kinds = [line.split()[1] for line in lines]
    assert kinds == [
        *("python", "engine", "librdkafka", "broker", "recovery", "recovery", "disk"),
        *("topic", "topic", "topic", "rights", "clock"),
        *["partition"] * 4,
    ]


@pytest.mark.parametrize(
    ("choice", "reason", "level"),
    [
        pytest.param("auto", None, "ok", marks=pytest.mark.native),
        pytest.param("on", None, "ok", marks=pytest.mark.native),
        ("off", None, "ok"),
        ("off", "it is not built", "ok"),
        ("auto", "it is not built", "warn"),
        ("on", "it is not built", "fail"),
    ],
)
def test_one_line_says_whether_the_engine_is_native_and_why_not(
    choice: str, reason: str | None, level: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    if reason:
        monkeypatch.setattr(native, "why_not", lambda: reason)
    found = [one for one in checks(replace(made(settings), native=choice), None) if "native" in one.line(coloured=False)]
    (line,) = found
    assert line.level == level
    in_use = choice != "off" and not reason
    assert bool(re.search(r"\b(no|not|without)\b", line.line(coloured=False))) is not in_use
    if reason and choice != "off":
        assert reason in line.words
        assert machine.CURE in line.words


def test_without_a_broker_the_address_is_named_and_the_exit_code_is_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ADTALLY_BROKERS", "127.0.0.1:1")
    assert main(["doctor"]) == 2
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("fail")]
    assert lines == [
        "fail  broker      127.0.0.1:1 can't be reached (Connection refused); start that broker, or correct ADTALLY_BROKERS"
    ]


def test_each_address_has_a_line_of_its_own(settings: Settings) -> None:
    one, other = brokers.brokers(replace(settings, brokers=f"127.0.0.1:1,{settings.brokers}"))
    assert (one.level, other.level) == ("fail", "ok")
    assert other.words == f"{settings.brokers}: reachable, no TLS, no login"


def test_a_name_that_does_not_exist_is_one_line() -> None:
    (found,) = brokers.brokers(Settings(brokers="no-such-host.invalid:9092"))
    assert found.level == "fail"
    assert found.words.startswith("no-such-host.invalid:9092 can't be reached (")


@pytest.mark.parametrize(
    ("answer", "client", "words"),
    [
        (bytes.fromhex("15030300020250"), {}, "speaks TLS; set ADTALLY_KAFKA_SECURITY_PROTOCOL=SSL, or SASL_SSL if"),
        (
            bytes.fromhex("15030300020250"),
            {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.username": "u", "sasl.password": "p"},
            "speaks TLS; set ADTALLY_KAFKA_SECURITY_PROTOCOL=SASL_SSL",
        ),
        (
            bytes.fromhex("0000000e 00000001 0021 00000001 0005 504c41494e"),
            {},
            "requires a login; set ADTALLY_KAFKA_SECURITY_PROTOCOL=SASL_PLAINTEXT, ADTALLY_KAFKA_SASL_MECHANISM",
        ),
        (b"", {}, "closes the connection at once: it may require another ADTALLY_KAFKA_SECURITY_PROTOCOL"),
        (b"no TLS at all", {"security.protocol": "SSL"}, "(fails the TLS handshake|does not speak TLS)"),
    ],
)
def test_a_listener_of_another_protocol_is_named_with_the_variable(
    listen: Listen, answer: bytes, client: dict[str, str], words: str
) -> None:
    settings = replace(listen(answer), client=client)
    (found,) = brokers.brokers(settings, 0.2)
    assert found.level == "fail"
    assert re.match(f"{settings.brokers} {words}", found.words), found.words


def test_a_broker_that_does_not_answer_is_not_waited_for(listen: Listen) -> None:
    (found,) = brokers.brokers(listen(None), 0.2)
    assert "accepts connections but does not answer" in found.words


def test_topics_that_are_missing_are_named_with_the_command(settings: Settings) -> None:
    settings = replace(settings, breakdowns="ad=ad_id;device")
    found = [one for one in checks(settings, None) if one.what == "topic"]
    assert [one.level for one in found] == ["fail"] * 5
    assert found[-1].words == f"{settings.results_topic}.device is missing; create it with: adtally topics"
    assert found[0].words == f"{settings.logs_topic} is missing; create it with: adtally topics"


def state(folder: Path, content: object) -> None:
    """Write a snapshot into the first part of a recovery folder."""
    with closing(sqlite3.connect(folder / "part-0.sqlite3")) as store, store:
        row = ("marketing.windows", "0", 1, pickle.dumps(content))
        store.execute("INSERT INTO snaps (step_id, state_key, snap_epoch, ser_change) VALUES (?, ?, ?, ?)", row)


def of(folder: Path | None) -> list[CheckResult]:
    return list(recovery.recovery(folder))


def test_a_folder_with_a_snapshot_of_this_version_is_well(tmp_path: Path) -> None:
    folder = recovery_folder(tmp_path / "recovery")
    folder.chmod(0o700)
    state(folder, {"adtally": VERSION, "rules": {}, "state": {}})
    owner, store, disk = of(folder)
    assert [one.level for one in (owner, store)] == ["ok", "ok"]
    assert re.fullmatch(rf"{folder}: state of version {VERSION}, last snapshot \d+ s ago; no flow uses it now", store.words)
    assert disk.what == "disk"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"adtally": 99}, "holds a state of version 99; this one reads"),
        (
            CheckResult("ok", "a class", "of some program"),
            "can't read (it has a dataflows.commands.doctor.check_result.CheckResult)",
        ),
    ],
)
def test_a_state_of_another_version_is_named_and_nothing_of_it_is_run(tmp_path: Path, content: object, words: str) -> None:
    folder = recovery_folder(tmp_path / "recovery")
    state(folder, content)
    found = of(folder)[1]
    assert found.level == "fail"
    assert words in found.words


def test_a_folder_that_others_may_write_to_is_named_with_the_command(tmp_path: Path) -> None:
    folder = recovery_folder(tmp_path / "recovery")
    folder.chmod(0o755)
    assert of(folder)[0] == CheckResult(
        "warn", "recovery", f"{folder} is open to other users, who could run code by what they put there: chmod 700 {folder}"
    )


def test_a_folder_that_is_missing_empty_damaged_or_incomplete_is_named(tmp_path: Path) -> None:
    assert of(None)[0].level == "ok"
    (missing,) = of(tmp_path / "none")
    assert missing.words == f"{tmp_path / 'none'} does not exist; adtally run -r creates it"
    (tmp_path / "empty").mkdir()
    (empty,) = of(tmp_path / "empty")
    assert "does not contain a recovery store" in empty.words
    folder = recovery_folder(tmp_path / "two", 2)
    (folder / "part-1.sqlite3").unlink()
    assert "has 1 of the 2 parts of its store" in of(folder)[1].words
    (folder / "part-0.sqlite3").write_bytes(b"no database" * 1000)
    assert of(folder)[1].level == "fail"


def test_the_exit_code_is_that_of_the_worst() -> None:
    assert [worst([]), worst(["ok"]), worst(["ok", "warn"]), worst(["fail", "warn", "ok"])] == [0, 0, 1, 2]


def test_lines_are_green_on_a_terminal_only() -> None:
    one = CheckResult("ok", "python", "3.12")
    assert one.line(coloured=False) == "ok    python      3.12"
    assert one.line(coloured=True) == "\x1b[32mok  \x1b[0m  python      3.12"
