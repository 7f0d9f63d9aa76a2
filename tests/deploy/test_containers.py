"""What the containers start: topics are made once, and the dataflow finds its recovery store."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from adtally.__main__ import main
from dataflows.contract.settings import Settings
from dataflows.kafka.topics import Topics
from deploy.processes.watchdog import await_frozen
from tests.support.deploy.processes import ROOT, start_python
from tests.support.flows import ANSWER_SECONDS, free_ports, recovery_folder, running, wait_for

BIN = Path(sys.executable).parent


def test_the_three_topics_are_made_and_named(settings: Settings) -> None:
    environment = {
        "ADTALLY_BROKERS": settings.brokers,
        "ADTALLY_LOGS_TOPIC": settings.logs_topic,
        "ADTALLY_RESULTS_TOPIC": settings.results_topic,
        "ADTALLY_REJECTED_TOPIC": settings.rejected_topic,
    }
    process = start_python("-m", "adtally", "topics", cwd=ROOT, **environment)
    said, complaints = process.communicate(timeout=60)
    assert (process.returncode, complaints) == (0, "")
    names = (settings.logs_topic, settings.results_topic, settings.rejected_topic)
    assert said == f"topics on {settings.brokers}: {', '.join(names)}\n"
    assert all(Topics(settings).partitions(name, ANSWER_SECONDS) for name in names)


def test_a_flag_that_is_none_is_refused_before_any_broker_is_asked() -> None:
    process = start_python("-m", "adtally", "topics", "--partitions", "3", ADTALLY_BROKERS="127.0.0.1:1")
    _, complaints = process.communicate(timeout=60)
    assert process.returncode == 2
    assert complaints.splitlines()[-1].startswith("adtally: no such option: --partitions")


def test_settings_that_cannot_be_used_give_one_line() -> None:
    process = start_python("-m", "adtally", "topics", ADTALLY_BROKERS="nowhere")
    said, complaints = process.communicate(timeout=60)
    assert (process.returncode, said, complaints.count("\n")) == (2, "", 1)
    assert complaints.startswith("adtally: ADTALLY_BROKERS='nowhere'")


def test_the_recovery_store_is_created_once_and_the_flow_gets_it_and_the_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "recovery"
    became: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda _file, command: became.append(command))
    monkeypatch.setenv("ADTALLY_RECOVERY_FOLDER", str(store))
    for _ in range(2):
        assert main(["run", "-w", "2", "-s", "1"]) == 0
        assert became.pop() == [
            *[sys.executable, "-m", "bytewax.run", "dataflows.marketing"],
            *["-r", str(store), "-w", "2", "-s", "1", "-b", "0"],
        ]
        assert len(list(store.glob("part-*.sqlite3"))) == 8
        (store / "part-0.sqlite3").chmod(0o400)  # a store that is created again would not keep it
    assert (store / "part-0.sqlite3").stat().st_mode & 0o777 == 0o400


def test_without_a_recovery_folder_the_flow_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    became: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda _file, command: became.append(command))
    assert main(["run"]) == 0
    assert "-r" not in became[0]


def test_a_further_process_of_a_cluster_keeps_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    became: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda _file, command: became.append(command))
    assert main(["run", "-r", str(tmp_path / "r"), "-i", "1", "-a", "a:2101;b:2101"]) == 0
    assert became[0][-4:] == ["-i", "1", "-a", "a:2101;b:2101"]
    assert list((tmp_path / "r").iterdir()) == []


def test_settings_are_checked_before_a_folder_is_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADTALLY_WINDOW_SECONDS", "0")
    assert main(["run", "-r", str(tmp_path / "r")]) == 2
    assert not (tmp_path / "r").exists()


def test_a_folder_that_cannot_be_created_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "-r", "/proc/none"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("adtally: the recovery folder /proc/none can't be created")


def test_the_probes_of_the_container_ask_every_process_and_say_why_one_is_not_ready(settings: Settings, tmp_path: Path) -> None:
    ports = free_ports(2)
    settings = replace(settings, metrics_port=ports)
    store = recovery_folder(tmp_path / "store", 2)

    def probe(what: str, processes: int) -> tuple[int, str]:
        given = {"ADTALLY_METRICS_PORT": str(ports), "ADTALLY_PROCESSES": str(processes), "PATH": f"{BIN}:{os.environ['PATH']}"}
        asked = start_python("-m", "adtally", "probe", what, cwd=ROOT, **given)
        said, _ = asked.communicate(timeout=60)
        return asked.returncode, said

    assert probe("ready", 1)[0] == 1
    with running(settings, tmp_path / "log", "-r", str(store), "-s", "1", "-b", "0", processes=2) as flow:
        wait_for(lambda: probe("ready", 2) == (0, "process 0: ready\nprocess 1: ready\n"), "both to be ready")
        assert probe("live", 2) == (0, "process 0: live\nprocess 1: live\n")
        code, said = probe("ready", 3)
        assert (code, said.splitlines()[:2]) == (1, ["process 0: ready", "process 1: ready"])
        assert "process 2: no answer" in said
        # It listens but does not answer: the whole process is stopped.
        flow.processes[0].send_signal(signal.SIGSTOP)
        await_frozen(flow.processes[0].pid)
        code, said = probe("live", 2)
        assert (code, said.splitlines()[1]) == (1, "process 1: live")


def test_a_probe_without_a_port_to_ask_says_so() -> None:
    asked = start_python("-m", "adtally", "probe", "ready", cwd=ROOT)
    assert asked.communicate(timeout=60) == (
        "",
        "adtally: ADTALLY_METRICS_PORT is not set, so no process can be asked; set it to the port that the process has.\n",
    )
    assert asked.returncode == 2
