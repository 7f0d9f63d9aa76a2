"""The recovery folder, and the processes of a cluster: whatever is wrong with them is one line, and the same command goes on exactly."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from pathlib import Path

import pytest

from dataflows.contract.settings import Settings
from tests.support.disks import fill, grow, read_only, small_disk
from tests.support.flows import Flow, await_caught_up, counted, free_port, recovery_folder, running, send, wait_for
from tests.support.records import payload
from tests.support.settings import own_names
from tests.system.faults.verdict import await_exact, wrong

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("faults"), pytest.mark.timeout(600)]

RECOVER = ("-s", "1", "-b", "0")


@pytest.fixture
def mine(real_kafka: str) -> Settings:
    """Topics and a group of this test, on the real Kafka."""
    return own_names(real_kafka)


def events(first: int, count: int) -> list[bytes]:
    """Events `first` …, each in a cell of its own, so that snapshots grow with them."""
    return [payload(f"e{first + n}", (first + n) * 0.5, campaign_id=f"campaign {first + n}", cost_micros=n) for n in range(count)]


def last_line(flow: Flow) -> str:
    """The last line of a flow that has ended; a panic of Bytewax may be before it, but not a traceback of Python."""
    said = flow.output()
    assert "Traceback (most recent call last)" not in said
    return said.splitlines()[-1]


def ended(flow: Flow) -> bool:
    return any(process.poll() is not None for process in flow.processes)


@pytest.mark.parametrize(("processes", "kib"), [(1, 400), (2, 900)], ids=["one process", "a cluster"])
def test_a_full_disk_is_one_line_and_with_room_again_the_same_command_goes_on_exactly(
    mine: Settings, tmp_path: Path, processes: int, kib: int
) -> None:
    with small_disk(tmp_path / "disk", kib) as disk:
        folder = recovery_folder(disk / "recovery", processes)
        command = ("-r", str(folder), *RECOVER)
        line = f"adtally: the disk of the recovery folder {folder} is full; free some space there and run the same command again"
        sent = 0
        with running(mine, tmp_path / "log", *command, processes=processes) as flow:
            while not ended(flow) and sent < 50_000:
                send(mine, events(sent, 500))
                sent += 500
            assert flow.wait() == [1] * processes
            assert line in last_line(flow)
        fill(disk)  # what SQLite gave back as it ended
        with running(mine, tmp_path / "still full", *command) as flow:
            assert flow.wait() == [1]
            assert line in last_line(flow)
        grow(disk, 50 * 1024)
        with running(mine, tmp_path / "again", *command, processes=processes) as flow:
            await_caught_up(mine)  # the run that ended may have written all of it
            await_exact(mine, flow)
            assert flow.stop() == [0] * processes
        assert counted(mine) == sent
        assert wrong(mine) == []


def test_a_folder_that_can_not_be_written_is_one_line_that_names_it(mine: Settings, tmp_path: Path) -> None:
    folder = recovery_folder(tmp_path / "recovery")
    with read_only(folder), running(mine, tmp_path / "log", "-r", str(folder), *RECOVER) as flow:
        assert flow.wait() == [1]
        assert f"adtally: the recovery folder {folder} can't be written (Read-only file system)" in last_line(flow)


def test_a_truncated_store_is_refused_and_its_backup_goes_on_exactly(mine: Settings, tmp_path: Path) -> None:
    folder = recovery_folder(tmp_path / "recovery")
    command = ("-r", str(folder), *RECOVER)
    for part in range(2):
        send(mine, events(part * 500, 500))
        with running(mine, tmp_path / "log", *command) as flow:
            wait_for(lambda part=part: counted(mine) == 500 * part + 500, "the events")
            assert flow.stop() == [0]
        if part == 0:
            shutil.copytree(folder, tmp_path / "backup")
    (store,) = folder.glob("part-*.sqlite3")
    os.truncate(store, store.stat().st_size // 2)
    with running(mine, tmp_path / "damaged", *command) as flow:
        assert flow.wait() == [1]
        assert f"adtally: {store} of the recovery folder is damaged" in last_line(flow)
    send(mine, events(1000, 500))
    with running(mine, tmp_path / "backup's log", "-r", str(tmp_path / "backup"), *RECOVER) as flow:
        await_exact(mine, flow)
        assert flow.stop() == [0]
    assert counted(mine) == 1500


def test_a_part_of_the_store_that_is_missing_is_one_line_that_names_it(mine: Settings, tmp_path: Path) -> None:
    folder = recovery_folder(tmp_path / "recovery", 3)
    (folder / "part-1.sqlite3").unlink()
    with running(mine, tmp_path / "log", "-r", str(folder), *RECOVER) as flow:
        assert flow.wait() == [1]
        assert "has 3 parts, of which part-1.sqlite3 can't be found; restore all of it from one backup" in last_line(flow)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT])
def test_of_three_processes_one_dies_and_the_others_say_which_and_the_next_run_is_exact(
    mine: Settings, tmp_path: Path, number: int
) -> None:
    command = ("-r", str(recovery_folder(tmp_path / "recovery", 2)), *RECOVER)
    send(mine, events(0, 1000))
    with running(mine, tmp_path / "log", *command, processes=3) as flow:
        wait_for(lambda: counted(mine) > 300, "part of the results")
        flow.processes[1].send_signal(number)
        assert flow.wait() == [1, -number, 1]
        lines = [line for line in flow.output().splitlines() if line.startswith("adtally: process 1 (127.0.0.1:")]
        assert len(lines) == 2, flow.output()
        assert "restart all of them: nothing is lost" in last_line(flow)
    send(mine, events(1000, 1000))
    with running(mine, tmp_path / "again", *command, processes=3) as flow:
        await_exact(mine, flow)
        assert flow.stop() == [0] * 3
    assert counted(mine) == 2000


def test_an_address_of_the_cluster_that_is_taken_is_one_line_that_names_it(mine: Settings, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        address = f"127.0.0.1:{holder.getsockname()[1]}"
        with running(mine, tmp_path / "log", "-i", "0", "-a", f"{address};127.0.0.1:{free_port()}") as flow:
            assert flow.wait() == [2]
            assert f"adtally: this process can't listen on {address} (address already in use)" in last_line(flow)
