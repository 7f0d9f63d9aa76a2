"""The connections of this process to the others of its cluster, as its own open files show them.

Bytewax learns that a peer is gone from its connection, and only once the flow runs. Before, while others are still waited for, it does not
look: two connected ones would wait indefinitely if one of them was restarted meanwhile. And of a machine that vanishes without a word no
connection learns for a quarter of an hour, unless its system is asked to look after it.
"""

from __future__ import annotations

import os
import re
import select
import socket
import stat
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

LOOK_SECONDS = 0.2
"""How often connections are looked at until the flow has begun."""

SILENT_SECONDS = 60
"""Time without an answer of a peer's system after which the peer is gone. If it is only busy or stopped, its system still answers."""

PROBES = 4
"""Of a connection by which nothing comes, within that time."""

_OPTIONS = (
    (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
    (socket.IPPROTO_TCP, "TCP_KEEPIDLE", SILENT_SECONDS // (PROBES + 2) * 2),
    (socket.IPPROTO_TCP, "TCP_KEEPALIVE", SILENT_SECONDS // (PROBES + 2) * 2),  # macOS' name for it
    (socket.IPPROTO_TCP, "TCP_KEEPINTVL", SILENT_SECONDS // (PROBES + 2)),
    (socket.IPPROTO_TCP, "TCP_KEEPCNT", PROBES),
    (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", SILENT_SECONDS * 1000),  # where something was sent and is not acknowledged
)
"""Those of them that the system has are set."""

_GONE = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)
_FILES = Path("/dev/fd")


class Peers:
    """The connections to the processes at `addresses` (``host:port``), of which number `process` is this one."""

    def __init__(self, addresses: Sequence[str], process: int) -> None:
        ports = [int(address.rpartition(":")[2]) for address in addresses]
        self._own = ports[process]
        self._others = {port for number, port in enumerate(ports) if number != process}
        self._found: set[int] = set()

    def look(self) -> bool:
        """Have new connections looked after; whether one that was found earlier has been ended by its peer, or by its silence."""
        gone = False
        for name in os.listdir(_FILES):  # noqa: PTH208 - numbers are wanted, not paths
            file, inode = int(name), 0
            with suppress(OSError):  # it was closed meanwhile, as the one is by which the folder is listed
                status = os.fstat(file)
                inode = status.st_ino if stat.S_ISSOCK(status.st_mode) else 0
                if inode and inode not in self._found and self._look_after(file):
                    self._found.add(inode)
            gone = gone or (inode in self._found and _ended(file))
        return gone

    def _look_after(self, file: int) -> bool:
        """Whether it is a connection to a peer, whose silence its system looks after from now on; raises `OSError`."""
        with socket.socket(fileno=os.dup(file)) as one:
            if one.type != socket.SOCK_STREAM or one.family not in (socket.AF_INET, socket.AF_INET6):
                return False
            # Whom we called has one of their ports, and who called came to ours. What only listens has no peer, which is an error.
            if one.getpeername()[1] not in self._others and one.getsockname()[1] != self._own:
                return False
            for level, option, value in _OPTIONS:
                if (number := getattr(socket, option, None)) is not None:
                    one.setsockopt(level, number, value)
            return True


class Attempts:
    """What Bytewax writes to standard output (file descriptor 1) each second for each peer that does not answer: kept, for one line later.

    Everything else passes.
    """

    _SAID = re.compile(rb"worker \d+:\t+error connecting to worker (\d+): (.*?)(?: \(os error \d+\))?; retrying\n?")

    def __init__(self) -> None:
        self.reasons: dict[int, str] = {}
        """Why a peer, by its number, could not be reached the last time."""
        self._stdout = os.dup(1)
        self._reading, writing = os.pipe()
        os.dup2(writing, 1)
        os.close(writing)
        threading.Thread(target=self._pass_on, name="attempts", daemon=True).start()

    def release(self) -> None:
        """Put standard output back as it was; the thread ends with what is left in the pipe."""
        os.dup2(self._stdout, 1)

    def _pass_on(self) -> None:
        with os.fdopen(self._reading, "rb") as lines, os.fdopen(self._stdout, "wb", buffering=0) as stdout:
            for line in lines:
                if found := self._SAID.fullmatch(line):
                    self.reasons[int(found[1])] = found[2].decode(errors="replace")
                else:
                    stdout.write(line)


def _ended(file: int) -> bool:
    """Whether nothing more will come by it, even if something that did come has not been read."""
    looking = select.poll()
    looking.register(file, _GONE)
    return any(events & _GONE for _, events in looking.poll(0))
