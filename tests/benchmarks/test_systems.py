"""The systems of a benchmark: which ones run, how adtally is started, and the reason given for those that can't run here."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import bench, systems
from benchmarks.systems import SkippedError, System, Workspace
from tests.support.deploy.processes import ROOT


def place(folder: Path) -> Workspace:
    """Somewhere to start a system."""
    return Workspace("127.0.0.1:9", "logs-1", "results-1", "rejected-1", folder)


def test_an_unknown_system_is_reported_with_the_known_ones() -> None:
    with pytest.raises(SkippedError, match=r"unknown system flunk; use one of loop, adtally"):
        systems.chosen(["adtally", "flunk"])


def test_the_command_rejects_unknown_names_before_it_starts_anything(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--only", "flunk"]) == 2
    assert bench.main(["--sizes", "many"]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("bench: unknown system flunk")
    assert second == "bench: 'many' is not a list of sizes; use numbers such as 1M,4M"


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_variables_of_make_reach_the_command() -> None:
    given = ["SIZES=100k 1M", "RUNS=2", "ONLY=loop adtally", "CAMPAIGNS=5", "PARTITIONS=2", "LATENCY=0"]
    # Under `make test` this make is a submake, which would print the folder that it is in.
    apart = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    said = subprocess.run(["make", "-n", "bench", *given], cwd=ROOT, env=apart, capture_output=True, text=True, check=True).stdout
    command = shlex.split(said.splitlines()[-1])
    assert command[1:] == [
        *("-m", "benchmarks.bench", "--sizes", "100k 1M", "--runs", "2", "--only", "loop adtally"),
        *("--latency", "0", "--campaigns", "5", "--partitions", "2"),
    ]


def test_the_loop_comes_first_in_any_order_of_names() -> None:
    assert [system.name for system in systems.chosen(["adtally", "loop"])] == ["loop", "adtally"]
    assert {*systems.DEFAULT, *systems.QUICK} <= {system.name for system in systems.SYSTEMS}


def test_a_system_that_cannot_be_prepared_is_skipped_by_name_and_the_others_run() -> None:
    def missing() -> None:
        raise SkippedError("needs mvn on PATH")

    one = System("one", "", missing, lambda _place: [])
    other = System("other", "", lambda: None, lambda _place: [])
    said: list[str] = []
    assert systems.ready([one, other], said.append) == [other]
    assert said == ["skipped one: needs mvn on PATH"]


def test_java_peers_are_skipped_without_a_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SkippedError, match="needs java on PATH"):
        systems.compile_java("flink", tmp_path)


def test_a_package_that_cannot_be_installed_is_the_reason(tmp_path: Path) -> None:
    def run(command: list[str], **_options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, int("pip" in command), "", "ERROR: no such version\n")

    with pytest.raises(SkippedError, match="python failed: ERROR: no such version"):
        systems.virtual_environment("nothing", ["nothing==0"], tmp_path, run)


def test_adtally_is_started_with_recovery_and_snapshots(tmp_path: Path) -> None:
    (command,) = systems.chosen(["adtally"])[0].start(place(tmp_path))
    assert command.arguments[:4] == [sys.executable, "-m", "bytewax.run", "dataflows.marketing"]
    assert command.arguments[4:] == ["-r", str(tmp_path / "recovery"), "-s", "5", "-b", "0"]
    assert command.environment["ADTALLY_LOGS_TOPIC"] == "logs-1"
    assert "ADTALLY_DEDUP" not in command.environment
    assert len(list((tmp_path / "recovery").glob("part-*.sqlite3"))) == 1


def test_each_variant_of_adtally_differs_in_the_setting_of_its_name(tmp_path: Path) -> None:
    started = {
        system.name: list(system.start(place(folder)))
        for system in systems.chosen(["adtally-nodedup", "adtally-2proc", "adtally-w2"])
        if (folder := tmp_path / system.name).mkdir() is None
    }
    assert started["adtally-nodedup"][0].environment["ADTALLY_DEDUP"] == "false"
    assert started["adtally-w2"][0].arguments[-2:] == ["-w", "2"]
    assert [command.arguments[-4:-1] for command in started["adtally-2proc"]] == [["-i", "0", "-a"], ["-i", "1", "-a"]]
    assert len({command.arguments[-1] for command in started["adtally-2proc"]}) == 1
