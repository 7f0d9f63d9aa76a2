from __future__ import annotations

import fcntl
import os
import pickle
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from bytewax.recovery import InconsistentPartitionsError, MissingPartitionsError

from dataflows.contract.errors import SettingsError
from dataflows.process.last_words import Run, explain, gone_peers, unwritable
from dataflows.process.start import check_own_address, command_line
from tests.support.disks import small_disk
from tests.support.flows import free_port, recovery_folder

FOLDER = Path("/where/snapshots/are")
TWO = ("127.0.0.1:2101", "127.0.0.1:2102")


class PanicException(BaseException):
    """A panic of Rust."""


PANIC = PanicException("Send thread panic")
ENDED = RuntimeError("(src/run.rs:292:17) panicked")


@pytest.mark.parametrize(
    ("error", "run", "line"),
    [
        (MissingPartitionsError(), Run(FOLDER), f"{FOLDER} does not hold all parts of its store; restore all of it"),
        (InconsistentPartitionsError(), Run(FOLDER), f"{FOLDER} has parts that are older than the others; restore all of it"),
        (ENDED, Run(FOLDER), f"the recovery folder {FOLDER} can't be written (No such file or directory); mend that and run"),
        (PANIC, Run(None, 0, TWO), "process 1 (127.0.0.1:2102) of this cluster has ended"),
        (ENDED, Run(None, 0, TWO), "process 1 (127.0.0.1:2102) of this cluster has ended"),
        (PANIC, Run(None, 0, (*TWO, "127.0.0.1:2103")), "another process of this cluster has ended"),
    ],
    ids=["missing part", "old part", "folder gone", "peer gone", "peer gone, noticed late", "some peer gone"],
)
def test_what_ends_bytewax_becomes_one_line_that_names_culprit_and_cure(error: BaseException, run: Run, line: str) -> None:
    found = str(explain(error, run, lambda: True))
    assert line in found
    assert "\n" not in found


def test_what_only_a_programmer_can_mend_is_left_as_it_is(tmp_path: Path) -> None:
    run = Run(tmp_path, 0, TWO)
    assert explain(ZeroDivisionError(), run, lambda: True) is None
    assert explain(PANIC, Run(tmp_path), lambda: True) is None
    assert explain(PANIC, run, lambda: False) is None
    with pytest.raises(SettingsError) as caught:
        command_line(["-w", "0"])
    assert explain(caught.value, run, lambda: True) is None, "code of ours is in its traceback"
    ended = RuntimeError("(src/run.rs:292:17)")
    ended.__cause__ = caught.value
    assert explain(ended, run, lambda: True) is None


def test_the_parts_that_are_missing_are_named(tmp_path: Path) -> None:
    folder = recovery_folder(tmp_path / "recovery", 4)
    for number in (1, 3):
        (folder / f"part-{number}.sqlite3").unlink()
    line = str(explain(MissingPartitionsError(), Run(folder), lambda: False))
    assert "has 4 parts, of which part-1.sqlite3, part-3.sqlite3 can't be found; restore all of it" in line


def test_a_state_with_a_class_that_this_version_does_not_have_is_named(tmp_path: Path) -> None:
    folder = recovery_folder(tmp_path / "recovery")
    error = AttributeError("Can't get attribute 'Gone'")
    assert explain(error, Run(folder), lambda: False) is None
    with closing(sqlite3.connect(folder / "part-0.sqlite3")) as store, store:
        row = ("marketing.windows", "0", 1, pickle.dumps(Path("a class")))
        store.execute("INSERT INTO snaps (step_id, state_key, snap_epoch, ser_change) VALUES (?, ?, ?, ?)", row)
    assert "an unknown version" in str(explain(error, Run(folder), lambda: False))


def test_of_three_processes_the_one_that_ended_first_is_named_and_not_the_one_that_ended_for_it(tmp_path: Path) -> None:
    run = Run(tmp_path, 0, (*TWO, "127.0.0.1:2103", "127.0.0.1:2104"))
    for number, words in ((1, "lost a peer\n"), (2, ""), (3, "")):
        (tmp_path / f"adtally-{number}.lock").write_text(words)
    with (tmp_path / "adtally-3.lock").open() as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        assert gone_peers(run) == [2]
    assert (tmp_path / "adtally-0.lock").read_text() == "lost a peer\n"


def test_stale_locks_of_processes_on_other_machines_name_no_process(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"adtally-{number}.lock").touch()
    assert gone_peers(Run(tmp_path, 0, ("10.0.0.7:2101", "flow-1.flow:2101", "flow-2.flow:2101"))) == []


def test_processes_of_one_host_share_its_ports_in_their_order() -> None:
    spread = ("a:1", "b:1", "a:2", "[::1]:1", "b:2", "a:3")
    assert [Run(None, number, spread).beside() for number in range(6)] == [0, 0, 1, 0, 1, 2]
    assert Run().beside() == 0


def test_a_full_disk_is_recognised(tmp_path: Path) -> None:
    assert unwritable(tmp_path) is None
    with small_disk(tmp_path / "disk", kib=100) as disk:
        assert "is full; free some space" in str(unwritable(disk))
        assert list(disk.iterdir()) == []
        assert "is full; free some space" in str(explain(ENDED, Run(disk), lambda: False))


PROGRAM = """
import os
from pathlib import Path
from dataflows.process.last_words import Run, watch
watch(Run(Path("/no/such/folder")), lambda: False)
os.write(2, b"thread '<unnamed>' panicked at src/x.rs:1:1:\\n")
"""


def ended(last: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", PROGRAM + last], capture_output=True, text=True, timeout=120, check=False)


def test_the_line_of_adtally_comes_after_the_panic_which_is_left_as_it_is() -> None:
    done = ended("raise RuntimeError('(src/run.rs:167:13)')")
    panic, line = done.stderr.splitlines()
    assert panic == "thread '<unnamed>' panicked at src/x.rs:1:1:"
    assert line.startswith("adtally: the recovery folder /no/such/folder can't be written (No such file or directory)")
    assert done.returncode == 1


def test_what_has_no_line_is_shown_whole_with_the_panic_and_the_traceback() -> None:
    done = ended("Path('/no').exists\nwatch(Run(), lambda: False)\nraise RuntimeError('a defect')")
    lines = done.stderr.splitlines()
    assert lines[:2] == ["thread '<unnamed>' panicked at src/x.rs:1:1:", "Traceback (most recent call last):"]
    assert lines[-1] == "RuntimeError: a defect"
    assert done.returncode == 1


def test_a_process_that_can_not_listen_on_its_address_is_refused_before_it_starts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        with pytest.raises(SettingsError, match=rf"can't listen on 127\.0\.0\.1:{port} \(address already in use\); start all"):
            check_own_address(Run(None, 1, (f"127.0.0.1:{free_port()}", f"127.0.0.1:{port}")))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-w", "0"], "-w 0 is not a number of workers"),
        (["-i", "2", "-a", ";".join(TWO)], "-i 2: -a lists 2 processes, so use 0 to 1"),
    ],
)
def test_numbers_that_bytewax_would_hang_on_or_ignore_are_refused(arguments: Sequence[str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        command_line(arguments)


def test_the_command_line_is_read_as_bytewax_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("BYTEWAX_")]:
        monkeypatch.delenv(name)
    assert command_line([]) == Run()
    assert command_line(["dataflows.marketing", "-r", "here", "-i1", "-a", ";".join(TWO)]) == Run(Path("here"), 1, TWO)
    monkeypatch.setenv("BYTEWAX_POD_NAME", "adtally-1")
    monkeypatch.setenv("BYTEWAX_RECOVERY_DIRECTORY", "there")
    assert command_line(["-a", ";".join(TWO)]) == Run(Path("there"), 1, TWO)
