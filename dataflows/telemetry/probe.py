"""Check whether the processes of this machine are live or ready: ``adtally probe ready [--processes 4]``.

It is what the probes of containers run, so it imports nothing that takes a moment.
"""

from __future__ import annotations

import http.client
import os
from typing import Literal

from dataflows.contract.errors import SettingsError
from dataflows.telemetry import log_lines

SECONDS = 4.0


def asked(host: str, port: int, path: str) -> tuple[bool, str]:
    """Whether ``host:port`` answers `path` with 200, and what it says."""
    connection = http.client.HTTPConnection(host, port, timeout=SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status == 200, answer.read(1000).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return False, f"no answer ({error or type(error).__name__})"
    finally:
        connection.close()


def probe(what: Literal["live", "ready"], processes: int) -> int:
    """Ask `processes` of this machine, on ports in a row; return 0 if every one is `what`, else 1.

    Raises `SettingsError` where no port is set.
    """
    port = os.environ.get("ADTALLY_METRICS_PORT", "")
    if not port.isdecimal() or not int(port):
        raise SettingsError(
            "ADTALLY_METRICS_PORT is not set, so no process can be asked; set it to the port that the process has."
        )
    host = os.environ.get("ADTALLY_METRICS_ADDRESS") or "127.0.0.1"
    # A process that listens on all addresses is probed on the loopback address.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    good = True
    for number in range(processes):
        well, words = asked(host, int(port) + number, f"/{what}z")
        good = good and well
        log_lines.tell(f"process {number}: {words}")
    return 0 if good else 1
