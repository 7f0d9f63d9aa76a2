"""The connections of this process to the others of its cluster.

Bytewax learns that a peer has ended from its connection, and only once the flow runs. Before, while it waits for others, it does not look:
two that had met would wait without end after one of them was started again. And no connection learns for a quarter of an hour that a
machine has vanished, unless its system is asked to probe it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from contextlib import suppress

import psutil

LOOK_SECONDS = 0.2
"""Interval between two checks of the connections until the flow has begun."""

SILENT_SECONDS = 60
"""A peer whose system has not answered for this long is gone. A peer that is only busy, or stopped, has a system that answers."""

PROBES = 4
"""Number of probes of a silent connection within that time."""

_OPTIONS = (
    (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
    (socket.IPPROTO_TCP, "TCP_KEEPIDLE", SILENT_SECONDS // (PROBES + 2) * 2),
    (socket.IPPROTO_TCP, "TCP_KEEPALIVE", SILENT_SECONDS // (PROBES + 2) * 2),  # macOS' name for it
    (socket.IPPROTO_TCP, "TCP_KEEPINTVL", SILENT_SECONDS // (PROBES + 2)),
    (socket.IPPROTO_TCP, "TCP_KEEPCNT", PROBES),
    (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", SILENT_SECONDS * 1000),  # where something was sent and is not acknowledged
)
"""The options that the system supports are set."""

Connection = tuple[object, object]
"""Local and remote address."""


class Peers:
    """The connections to the processes at `addresses` (``host:port``), of which number `process` is this one."""

    def __init__(self, addresses: Sequence[str], process: int) -> None:
        ports = [int(address.rpartition(":")[2]) for address in addresses]
        self._own = ports[process]
        self._others = {port for number, port in enumerate(ports) if number != process}
        self._met: set[Connection] = set()

    def look(self) -> bool:
        """Have new connections probed by the system; whether a peer that has been connected has ended."""
        connected: dict[Connection, int] = {}
        ended = False
        for connection in psutil.Process().net_connections("tcp"):
            # A connection that this process opened has the port of a peer at its other end, one that it accepted has its own port here.
            if not connection.raddr or (connection.raddr[1] not in self._others and connection.laddr[1] != self._own):
                continue
            if connection.status == psutil.CONN_ESTABLISHED:
                connected[connection.laddr, connection.raddr] = connection.fd
            # The peer's end leaves this state, also where it was connected between two looks only.
            ended = ended or connection.status == psutil.CONN_CLOSE_WAIT
        # After a reset or a time-out there is no connection at all.
        ended = ended or bool(self._met - connected.keys())
        for key in connected.keys() - self._met:
            with suppress(OSError):  # it has just been closed
                _probe(connected[key])
        self._met |= connected.keys()
        return ended


def _probe(file: int) -> None:
    """Have the system probe the connection `file` when it is silent; raises `OSError`."""
    with socket.socket(fileno=os.dup(file)) as connection:
        for level, option, value in _OPTIONS:
            if (number := getattr(socket, option, None)) is not None:
                connection.setsockopt(level, number, value)
