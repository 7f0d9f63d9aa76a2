from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from deploy.processes.watchdog import Watchdog
from tests.support.deploy.processes import runs
from tests.support.flows import wait_for


@pytest.fixture
def watchdog() -> Watchdog:
    return Watchdog()


def test_a_command_runs_under_the_number_that_is_looked_after_and_reads_nothing(watchdog: Watchdog, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as output:
        command = [
            sys.executable,
            "-c",
            "import os, sys; print(os.getpid(), os.environ['A'], repr(sys.stdin.read()), sys.argv[1:])",
            "a b",
            "",
        ]
        process = watchdog.start(command, output, {"A": "b c"})
        assert process.wait(60) == 0
    assert log.read_text() == f"{process.pid} b c '' ['a b', '']\n"
    watchdog.close()


def test_what_was_started_ends_with_the_watchdog(watchdog: Watchdog, tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as output:
        process = watchdog.start([sys.executable, "-c", "import time; time.sleep(600)"], output)
    watchdog.close()
    assert process.wait(60) != 0


def test_a_command_whose_owner_dies_before_it_is_looked_after_never_runs(tmp_path: Path) -> None:
    made = tmp_path / "made"
    code = f"""
import os, signal, sys
from deploy.processes.watchdog import Watchdog
Watchdog._tell = lambda self, line: (print(line[1:], flush=True), os.kill(os.getpid(), signal.SIGKILL))
Watchdog().start(["touch", {str(made)!r}], open(os.devnull, "wb"))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -9
    wait_for(lambda: not runs(int(done.stdout)), "the end of the process at the gate")
    assert not made.exists()
