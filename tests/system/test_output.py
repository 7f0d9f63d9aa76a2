"""What a command is for goes to standard output; where that takes no more, the command ends with one line, or with none under `head`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dataflows.contract.settings import Settings
from dataflows.kafka.topics import Topics
from tests.support.flows import ANSWER_SECONDS, environment

ROOT = Path(__file__).parents[2]
COMMANDS = {
    "settings": (),
    "counters": (),
    "rejected": (),
    "topics": (),
    "export": ("--out", "-"),
    "generate": ("synthetic", "--count", "5", "--dry-run", "--quiet"),
}

pytestmark = pytest.mark.usefixtures("made")


@pytest.fixture
def made(settings: Settings) -> None:
    """The topics are there: a command that finds none of them ends before it writes anything."""
    topics = (settings.logs_topic, settings.results_topic, settings.rejected_topic)
    Topics(settings).ensure(*topics, timeout=ANSWER_SECONDS)


def run(name: str, settings: Settings, where: str) -> subprocess.CompletedProcess[str]:
    """The command with standard output as the shell's redirection `where` says."""
    words = ["sh", "-c", f'exec "$@" {where}', "sh", sys.executable, "-m", "adtally", name, *COMMANDS[name]]
    env = environment(settings) | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(words, env=env, stderr=subprocess.PIPE, text=True, timeout=120, check=False)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize("name", COMMANDS)
def test_on_a_full_disk_it_ends_with_one_line_that_says_so(settings: Settings, name: str) -> None:
    done = run(name, settings, "> /dev/full")
    assert done.returncode not in (0, -13)
    said = done.stderr.splitlines()
    assert "standard output can't be written: No space left on device." in said[0]
    assert not any(word in done.stderr for word in ("Traceback", "Exception ignored"))
    assert len(said) == (2 if name == "generate" else 1)  # which also sums up


@pytest.mark.parametrize("name", COMMANDS)
def test_where_the_reader_has_enough_it_ends_without_a_complaint(settings: Settings, name: str) -> None:
    reader = subprocess.Popen(["true"], stdin=subprocess.PIPE)
    assert reader.stdin
    reader.wait()
    words = [sys.executable, "-m", "adtally", name, *COMMANDS[name]]
    env = environment(settings) | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, env=env, stdout=reader.stdin, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    reader.stdin.close()
    assert done.returncode in (0, 1)
    assert not any(word in done.stderr for word in ("Traceback", "Exception", "rror"))


@pytest.mark.parametrize("name", ["export", "generate"])
def test_without_standard_output_what_needs_it_says_so(settings: Settings, name: str) -> None:
    done = run(name, settings, ">&-")
    assert done.returncode in (1, 2)
    (line,) = done.stderr.splitlines()
    assert "standard output can't be written: it is closed." in line
