"""The embedded broker as a process of its own."""

from __future__ import annotations

import subprocess
import sys


def broker_process(port: int) -> subprocess.Popen[str]:
    """The embedded broker as a process of its own, which can be killed; it is ready when this returns."""
    started = subprocess.Popen(
        [sys.executable, "-m", "adtally", "broker", "--port", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert started.stdout is not None
    line = started.stdout.readline()
    assert f":{port}" in line, line
    return started
