"""`adtally run --processes N`: several processes as one, which start and end together."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from msgspec.structs import replace

from dataflows.contract.settings import Settings
from deploy.processes import cluster as clusters
from deploy.processes.cluster import members, recovery_store
from tests.support.deploy.processes import runs
from tests.support.flows import counted, environment, send, wait_for
from tests.support.records import payload

COMMAND = [sys.executable, "-m", "adtally", "run", "--processes"]
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a cluster in a folder of the test's own; it is gone when the test ends."""
    begun: list[subprocess.Popen[str]] = []

    def begin(settings: Settings, *flags: str) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [*COMMAND, *flags],
            cwd=tmp_path,
            env=environment(settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        begun.append(child)
        return child

    yield begin
    for child in begun:
        child.kill()
        child.communicate()


def processes(cluster: subprocess.Popen[str]) -> list[psutil.Process]:
    """The members of a cluster, by their number."""
    found: dict[str, psutil.Process] = {}
    for one in psutil.Process(cluster.pid).children():
        with suppress(psutil.Error):  # it has just ended, or is about to become what it will be
            command = one.cmdline()  # at the gate too
            if "bytewax.run" in command:
                found[command[command.index("-i") + 1] if "-i" in command else "0"] = one
    return [found[number] for number in sorted(found)]


def events(first: int, last: int) -> list[bytes]:
    return [payload(f"e-{number}", campaign_id=f"c-{number % 7}") for number in range(first, last)]


def end(cluster: subprocess.Popen[str], number: int = signal.SIGINT) -> tuple[int, str]:
    cluster.send_signal(number)
    said, _ = cluster.communicate(timeout=60)
    return cluster.returncode, said


def test_members_find_each_other_on_ports_of_their_own_and_one_alone_needs_none() -> None:
    assert members(1) == [[]]
    flags = members(4)
    assert [one[:2] for one in flags] == [["-i", str(number)] for number in range(4)]
    (addresses,) = {one[3] for one in flags}
    assert len(set(addresses.split(";"))) == 4


@pytest.mark.parametrize("moved", [0, 2])
def test_a_store_whose_creation_was_killed_is_created_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: int) -> None:
    folder = tmp_path / "recovery"

    def create(unfinished: Path, parts: int) -> None:
        for number in range(parts):
            (unfinished / f"part-{number}.sqlite3").write_text("whole")

    def killed(unfinished: Path, parts: int) -> None:
        create(unfinished, parts - 1)
        for number in range(moved):
            (unfinished / f"part-{number}.sqlite3").rename(folder / f"part-{number}.sqlite3")
        raise KeyboardInterrupt

    monkeypatch.setattr(clusters, "_create", killed)
    with pytest.raises(KeyboardInterrupt):
        recovery_store(folder, 4)
    monkeypatch.setattr(clusters, "_create", create)
    assert recovery_store(folder, 3)
    assert sorted(part.name for part in folder.glob("part-*")) == [f"part-{number}.sqlite3" for number in range(3)]
    assert not recovery_store(folder, 3)


@pytest.mark.long
def test_it_is_rescaled_by_a_stop_and_a_start_and_keeps_every_number(settings: Settings, start: Start, tmp_path: Path) -> None:
    quick = replace(settings, idle_seconds=1.0)
    send(quick, events(0, 300))
    expected = 300
    for count, signal_ in ((2, signal.SIGINT), (3, signal.SIGTERM), (2, signal.SIGINT)):
        cluster = start(quick, str(count), "-s", "1")
        wait_for(lambda: counted(quick) == expected, f"{expected} events")  # noqa: B023 - asked within this round
        assert len(processes(cluster)) == count
        code, said = end(cluster, signal_)
        assert (code, said.splitlines()[-1]) == (0, "stopped"), said
        send(quick, events(expected, expected + 100))
        expected += 100
    store = tmp_path / "run" / "cluster" / "recovery"
    assert len(list(store.glob("part-*.sqlite3"))) == 8
    assert store.stat().st_mode & 0o777 == 0o700


@pytest.mark.long
@pytest.mark.parametrize("killed", [0, 1])
def test_a_member_that_dies_ends_the_others_and_is_the_one_that_is_named(settings: Settings, start: Start, killed: int) -> None:
    send(settings, events(0, 50))
    cluster = start(settings, "3")
    wait_for(lambda: counted(settings) == 50, "the events")
    found = processes(cluster)
    found[killed].kill()
    said, _ = cluster.communicate(timeout=60)
    assert cluster.returncode == 1
    assert re.search(rf"^adtally: the process {killed} was ended by SIGKILL", said, re.MULTILINE), said
    assert not any(runs(one.pid) for one in found)
    again = start(settings, "3")
    send(settings, events(50, 80))
    wait_for(lambda: counted(settings) == 80, "all events, each once")
    assert end(again)[0] == 0


def test_members_do_not_outlive_a_script_that_is_killed(settings: Settings, start: Start) -> None:
    cluster = start(settings, "2")
    wait_for(lambda: len(processes(cluster)) == 2, "the members")
    found = processes(cluster)
    cluster.kill()
    wait_for(lambda: not any(runs(one.pid) for one in found), "their end")


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (["0"], 2, "'0' is not a number of processes"),
        (["many"], 2, "'many' is not a number of processes"),
        ([], 2, "requires an argument"),
        (["2", "-i", "1"], 2, "it needs -a"),
        (["2", "-r", "/proc/none"], 1, "can't be created"),
    ],
)
def test_what_cannot_be_started_is_reported(settings: Settings, start: Start, flags: list[str], code: int, words: str) -> None:
    cluster = start(settings, *flags)
    said, _ = cluster.communicate(timeout=60)
    assert cluster.returncode == code
    assert words in said
    assert "Traceback" not in said


def test_only_one_runs_in_a_folder(settings: Settings, start: Start) -> None:
    first = start(settings, "2")
    wait_for(lambda: processes(first), "the first")
    said, _ = start(settings, "2").communicate(timeout=60)
    assert "a cluster already runs in this folder" in said
