"""TCP ports: checks whether a port can be listened on or answers, the process that holds it, and the choice of a free port."""

from __future__ import annotations

import contextlib
import secrets
import socket
import textwrap
from pathlib import Path

import psutil

HOST = "127.0.0.1"

FREE = range(10_100, 32_768)
"""Range of the free ports: below the ephemeral ports of Linux and macOS, because a connection could take one of those in the meantime.

A browser refuses to talk to some ports, of which 10080 is the highest."""


def answers(port: int) -> bool:
    """Whether something accepts connections on `port` of this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((HOST, port)) == 0


def bind_error(address: str, port: int) -> OSError | None:
    """Return why `port` of `address` can't be listened on; None if it can."""
    try:
        family, kind, protocol, _, socket_address = socket.getaddrinfo(
            address or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(socket_address)
    except OSError as error:
        return error
    return None


def taken(port: int) -> bool:
    """Whether `port` of this machine can't be listened on.

    Both checks are needed: macOS allows a bind to 127.0.0.1 next to a listener on all addresses, and a bound port need not answer.
    """
    return answers(port) or bind_error(HOST, port) is not None


def free() -> int:
    """Return a port that was free a moment ago."""
    while taken(port := secrets.choice(FREE)):
        pass
    return port


def holder(port: int) -> str:
    """Return ``name, process 123`` of the process that listens on `port`; empty if the system hides it (another user's process)."""
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.pid and connection.laddr and connection.laddr[1] == port:
                return f"{_name(connection.pid)}, process {connection.pid}"
    return ""


def _name(pid: int) -> str:
    try:
        words = psutil.Process(pid).cmdline()
    except psutil.Error:
        words = []
    first = Path(words[0]).name if words else "a program"
    # "python3.11" alone says little: its module or script is what a user started.
    name = " ".join([first, *words[1:3]]) if first.startswith("python") else first
    # A script given as an argument may be pages long; this goes into one line.
    return textwrap.shorten(name, 60, placeholder=" …")
