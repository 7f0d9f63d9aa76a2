"""Asks the processes of this machine whether they are live or ready: ``python -m dataflows.telemetry.probe readyz [--processes 4]``.

It is what the probes of containers run, so it imports nothing that takes a moment.
"""

from __future__ import annotations

import argparse
import http.client
import os
import sys
from collections.abc import Sequence

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


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if every process says yes, 1 if one does not, 2 where no port is set."""
    parser = argparse.ArgumentParser(
        prog="python -m dataflows.telemetry.probe", description=(__doc__ or "").partition(":")[0] + "."
    )
    parser.add_argument("what", choices=("livez", "readyz"))
    parser.add_argument("--processes", type=int, default=1, metavar="N", help="how many share the machine, on ports in a row")
    given = parser.parse_args(arguments)
    port = os.environ.get("ADTALLY_METRICS_PORT", "")
    if not port.isdecimal() or not int(port):
        print("probe: ADTALLY_METRICS_PORT is not set, so there is nobody to ask.", file=sys.stderr)  # noqa: T201 - a command's last word
        return 2
    host = os.environ.get("ADTALLY_METRICS_ADDRESS") or "127.0.0.1"
    # Who listens on all addresses is asked on this machine's own.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    good = True
    for number in range(given.processes):
        well, words = asked(host, int(port) + number, f"/{given.what}")
        good = good and well
        print(f"process {number}: {words}")  # noqa: T201 - what the command says
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
