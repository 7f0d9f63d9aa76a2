"""Helpers of the deployment's tests: wait for a condition, look whether a process still runs, run the demo with fake parts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[3]


def runs(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def start(*command: str, cwd: Path = ROOT, **environment: str) -> subprocess.Popen[str]:
    """Start a command with this tree importable, its output on pipes."""
    return subprocess.Popen(
        command,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def start_python(*arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.Popen[str]:
    """`start` this interpreter."""
    return start(sys.executable, *arguments, cwd=cwd, **environment)
