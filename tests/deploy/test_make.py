"""The Makefile and `start_mvp.sh`: what is promised of them without installing anything."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.deploy.processes import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = (
    "help",
    "setup",
    "demo",
    "test",
    "docs",
    "logs",
    "kafka",
    "kafka-stop",
    "lint",
    "types",
    "format",
    "check",
    "clean",
    "lock",
)

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@needs_make
def test_make_alone_lists_every_target_with_what_it_does() -> None:
    said = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    listed = re.findall(r"^  make (\S+) +\S", said, re.MULTILINE)
    assert set(TARGETS) <= set(listed)


@needs_make
def test_logs_without_a_demo_before_gives_one_line(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    done = subprocess.run(["make", "-s", "logs"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "no logs yet: they come with make demo"


def test_every_target_is_declared_phony() -> None:
    found = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert found
    assert set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE)) == set(found[1].split())


def test_start_mvp_runs_the_set_up_and_then_the_demo(tmp_path: Path) -> None:
    shutil.copy(ROOT / "start_mvp.sh", tmp_path)
    (tmp_path / "deploy").mkdir()
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    for name in ("deploy/setup.sh", ".venv/bin/python"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho {name} "$@"\n')
        (tmp_path / name).chmod(0o755)
    done = subprocess.run([str(tmp_path / "start_mvp.sh")], cwd="/", capture_output=True, text=True, check=True)
    assert done.stdout == "deploy/setup.sh run\n.venv/bin/python -m adtally demo\n"


@pytest.mark.parametrize("name", ["start_mvp.sh", "deploy/find-python.sh", "deploy/setup.sh"])
def test_every_script_may_be_executed_and_is_understood_by_a_plain_shell(name: str) -> None:
    assert os.access(ROOT / name, os.X_OK)
    subprocess.run(["sh", "-n", str(ROOT / name)], check=True)


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_finds_nothing() -> None:
    scripts = [str(ROOT / "start_mvp.sh"), *map(str, sorted((ROOT / "deploy").glob("*.sh")))]
    done = subprocess.run(["shellcheck", *scripts], capture_output=True, text=True, check=False)
    assert done.stdout == ""
