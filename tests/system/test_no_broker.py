"""Where no broker answers: a command that needs one says so in one line and ends. They wait together, for each waits by itself."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataflows.contract.settings import Settings
from tests.support.flows import environment

pytestmark = pytest.mark.xdist_group("no broker")
ROOT = Path(__file__).parents[2]
NOWHERE = "127.0.0.1:1"
COMMANDS = {
    "generate": ("synthetic", "--count", "1"),
    "counters": (),
    "rebuild": ("--from", "2026-01-01T00:00:00Z", "--to", "2026-01-01T01:00:00Z"),
    "rejected": (),
    "export": ("--out", "nowhere.csv"),
}


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[subprocess.Popen[str], Path]]]:
    """Every command by its name, with the empty folder that it was started in."""
    env = environment(Settings(brokers=NOWHERE)) | {"PYTHONPATH": str(ROOT)}
    found: dict[str, tuple[subprocess.Popen[str], Path]] = {}
    for name, flags in COMMANDS.items():
        command, folder = [sys.executable, "-m", "adtally", name, *flags], tmp_path_factory.mktemp(name)
        child = subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        found[name] = child, folder
    yield found
    for one, _ in found.values():
        one.kill()
        one.wait()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_without_a_broker_says_so_in_one_line_and_leaves_nothing(
    started: dict[str, tuple[subprocess.Popen[str], Path]], name: str
) -> None:
    child, folder = started[name]
    said, complaints = child.communicate(timeout=120)
    assert (child.returncode, said) == (1, "")
    (line,) = complaints.splitlines()
    assert f"no Kafka broker answers at {NOWHERE}" in line
    assert "ADTALLY_BROKERS" in line
    assert list(folder.iterdir()) == []
