from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from dataflows.contract.errors import SettingsError
from dataflows.process.last_words import Run, explain, gone_peers, has_room
from dataflows.process.start import command_line
from tests.support.disks import small_disk

FOLDER = Path("/where/snapshots/are")
TWO = ("127.0.0.1:2101", "127.0.0.1:2102")
# What Bytewax 0.21.1 says, to the letter.
FULL = (
    "RuntimeError: (src/run.rs:167:13) called `Result::unwrap()` on an `Err` value: "
    'SqliteFailure(Error { code: DiskFull, extended_code: 13 }, Some("database or disk is full"))'
)
READ_ONLY = (
    "RuntimeError: (src/run.rs:167:13) called `Result::unwrap()` on an `Err` value: "
    'SqliteFailure(Error { code: ReadOnly, extended_code: 8 }, Some("attempt to write a readonly database"))'
)
MISSING = "MissingPartitionsError: Missing recovery partitions {PartitionIndex(1), PartitionIndex(3)} of 4; can't resume"
OLD = (
    "InconsistentPartitionsError: Recovery partitions {PartitionIndex(0)} of 2 are too old to resume from epoch 4 without data loss; "
    "do you have a newer backup of these partitions?"
)
TAKEN = (
    "RuntimeError: (src/run.rs:274:10) error building timely communication pipeline\n"
    "Caused by => Exception: failed to initialize networking: Address already in use (os error 98)\n"
)
HUNG_UP = TAKEN.replace("Address already in use (os error 98)", "failed to fill whole buffer")
RESET = TAKEN.replace("Address already in use (os error 98)", "Connection reset by peer (os error 104)")
PEER = "PanicException: Send thread panic: Any { .. }"
POISONED = (
    "RuntimeError: (src/run.rs:292:17) panicked at /home/runner/.cargo/git/checkouts/timely-dataflow-4c0cc365061cd263/432ef57"
    "/communication/src/allocator/zero_copy/bytes_exchange.rs:55:48:\nMergeQueue poisoned."
)


@pytest.mark.parametrize(
    ("words", "run", "line"),
    [
        (
            FULL,
            Run(FOLDER),
            f"the disk of the recovery folder {FOLDER} is full; free some space there and run the same command again",
        ),
        (READ_ONLY, Run(FOLDER), f"the recovery folder {FOLDER} can't be used (attempt to write a readonly database); fix that"),
        (MISSING, Run(FOLDER), "has 4 parts, of which part-1.sqlite3, part-3.sqlite3 can't be found; restore all of it"),
        (OLD, Run(FOLDER), "has 2 parts, of which part-0.sqlite3 is older than the others; restore all of it from one backup"),
        (TAKEN, Run(None, 1, TWO), "this process can't listen on 127.0.0.1:2102 (address already in use); start all processes"),
        (PEER, Run(None, 0, TWO), "process 1 (127.0.0.1:2102) of this cluster has ended"),
        (POISONED, Run(None, 0, TWO), "process 1 (127.0.0.1:2102) of this cluster has ended"),
        (PEER, Run(None, 0, (*TWO, "127.0.0.1:2103")), "another process of this cluster has ended"),
        (HUNG_UP, Run(None, 0, TWO), "process 1 (127.0.0.1:2102) of this cluster has ended"),
        (RESET, Run(None, 0, (*TWO, "127.0.0.1:2103")), "another process of this cluster has ended"),
    ],
    ids=[
        *(
            "full",
            "read-only",
            "missing part",
            "old part",
            "port taken",
            "peer gone",
            "peer gone, noticed late",
            "some peer gone",
        ),
        *("gone before it said its number", "reset before"),
    ],
)
def test_what_bytewax_says_becomes_one_line_that_names_culprit_and_cure(words: str, run: Run, line: str) -> None:
    told = str(explain(words, run))
    assert line in told
    assert "\n" not in told


def test_errors_that_only_a_programmer_can_fix_stay_as_they_are() -> None:
    assert explain("ZeroDivisionError: division by zero", Run(FOLDER, 0, TWO)) is None
    assert explain("RuntimeError: (src/run.rs:292:17) panicked at src/timely.rs:1:2:\nno", Run(FOLDER, 0, TWO)) is None
    assert explain("PanicException: index out of bounds", Run(FOLDER)) is None


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
    assert has_room(tmp_path)
    with small_disk(tmp_path / "disk", kib=100) as disk:
        assert not has_room(disk)
        assert list(disk.iterdir()) == []
        assert "is full; free some space" in str(explain(READ_ONLY.replace("ReadOnly", "SystemIoFailure"), Run(disk)))


WATCHED = """
import os, sys, time
from dataflows.process.last_words import Run, watch
watch(Run())
"""
PROGRAM = f"""{WATCHED}
os.write(2, b"from below\\n")
time.sleep(0.2)
for piece in (b"thread '<unnamed>", b"' panicked at src/x.rs:1:1:\\n", b"words\\n"):
    os.write(2, piece)
    time.sleep(0.01)
print("from Python", file=sys.stderr)
"""


def ended(last: str, first: str = PROGRAM) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", first + last], capture_output=True, text=True, timeout=120, check=False)


def test_a_panic_is_not_shown_where_one_line_tells_it() -> None:
    done = ended(f"raise RuntimeError({TAKEN!r})")
    assert done.returncode == 1
    *before, last = done.stderr.splitlines()
    assert sorted(before) == ["from Python", "from below"]
    assert (
        last == "adtally: this process can't listen on ? (address already in use); start all processes of the cluster "
        "with other addresses (-a)."
    )


def test_what_has_no_line_is_shown_whole_with_the_panic_and_the_traceback() -> None:
    done = ended("raise RuntimeError('a defect')")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert sorted(lines[:2]) == ["from Python", "from below"]
    assert lines[2:5] == ["thread '<unnamed>' panicked at src/x.rs:1:1:", "words", TRACEBACK]
    assert lines[-1] == "RuntimeError: a defect"


def test_a_line_that_comes_at_once_with_a_panic_is_none_of_it() -> None:
    done = ended(
        f"os.write(2, b\"a line\\nthread 'other' panicked at src/y.rs:1:1:\\n\")\nraise RuntimeError({TAKEN!r})", WATCHED
    )
    assert done.stderr.splitlines()[0] == "a line"
    assert "panicked" not in done.stderr


TRACEBACK = "Traceback (most recent call last):"


def test_a_panic_that_does_not_end_the_process_is_shown_after_a_while() -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM + "time.sleep(600)"], stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr
        try:
            assert any("panicked at src/x.rs" in line for line in running.stderr)
        finally:
            running.kill()


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
