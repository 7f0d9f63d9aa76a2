"""TCP ports of this machine: whether one answers, who holds it, a free one."""

from __future__ import annotations

import secrets
import shutil
import socket
import subprocess
import textwrap
from pathlib import Path

HOST = "127.0.0.1"

FREE = range(10_100, 32_768)
"""Where a free port is looked for: beneath those that Linux and macOS give to connections, of which one could take it meanwhile.

A browser refuses to talk to some ports, of which 10080 is the highest."""


def answers(port: int) -> bool:
    """Whether something accepts connections on `port` of this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((HOST, port)) == 0


def taken(port: int) -> bool:
    """Whether `port` can't be listened on.

    Both checks are needed: macOS allows a bind to 127.0.0.1 next to a listener on all addresses, and a bound port need not answer.
    """
    if answers(port):
        return True
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False


def free() -> int:
    """A port that was free a moment ago."""
    while taken(port := secrets.choice(FREE)):
        pass
    return port


def holder(port: int) -> str:
    """``name, process 123`` of the process that listens on `port`; empty if it is unknown (another user's process)."""
    pid = _holder_linux(port) if Path("/proc/net/tcp").exists() else _holder_lsof(port)
    if not pid:
        return ""
    return f"{_name(pid)}, process {pid}"


def _name(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")[:-1]
    except OSError:
        return "a program"
    first = Path(words[0]).name if words else "a program"
    # "python3.11" alone says little: its module or script is what a person started.
    told = " ".join([first, *words[1:3]]) if first.startswith("python") else first
    # A script given as an argument may be pages long; this goes into one line.
    return textwrap.shorten(told, 60, placeholder=" …")


def _holder_linux(port: int) -> int:
    inodes: set[str] = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        for row in table.read_text().splitlines()[1:] if table.exists() else []:
            cells = row.split()
            if cells[3] == "0A" and int(cells[1].rpartition(":")[2], 16) == port:  # 0A: listening
                inodes.add(f"socket:[{cells[9]}]")
    for link in Path("/proc").glob("[0-9]*/fd/*") if inodes else ():
        try:
            if str(link.readlink()) in inodes:
                return int(link.parts[2])
        except OSError:
            continue  # it ended, or it is not ours to look at
    return 0


def _holder_lsof(port: int) -> int:
    lsof = shutil.which("lsof")
    if not lsof:
        return 0
    asked = subprocess.run(  # noqa: S603 - our own arguments
        [lsof, "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-t"], capture_output=True, encoding="utf-8", errors="replace", check=False
    )
    return int(asked.stdout.split()[0]) if asked.stdout.split() else 0
