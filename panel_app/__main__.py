"""The dashboard's own command: ``python -m panel_app [--port 8503] [--address 127.0.0.1] [--allow-origin HOST]``."""

from __future__ import annotations

import argparse
import contextlib
import errno
import logging
import signal
import socket
import sys
from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING

from dataflows.errors import AdtallyError

if TYPE_CHECKING:
    from bokeh.server.server import Server

    from panel_app.service import Service

PORT = 8503


def parser() -> argparse.ArgumentParser:
    """The flags of the command."""
    made = argparse.ArgumentParser(
        prog="adtally-dashboard",
        description="Serve the dashboard of adtally: / is the overview, /explore the workbench, /data the pipeline; /api/results is for "
        "scripts, /healthz for probes.",
        epilog="Settings come from ADTALLY_… variables; `python -m dataflows.settings` lists them.",
    )
    made.add_argument("--port", type=_port, default=PORT, help=f"port to listen on (default {PORT})")
    made.add_argument("--address", default="127.0.0.1", help="address to listen on; 0.0.0.0 for all (default 127.0.0.1)")
    made.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="HOST[:PORT]",
        help="another name under which browsers reach this dashboard; may be given several times",
    )
    return made


def _port(text: str) -> int:
    if text.isdecimal() and 0 < int(text) < 65536:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no port; give a number from 1 to 65535")


def origins(address: str, port: int, more: Sequence[str]) -> list[str]:
    """The hosts whose pages may open the websocket: this machine by its names, and those that were named."""
    own = ["localhost", "127.0.0.1", socket.gethostname()]
    if address not in ("0.0.0.0", "::", ""):  # noqa: S104 - compared, not bound
        own.append(address)
    return [*dict.fromkeys(f"{host}:{port}" for host in own), *more]


def taken(address: str, port: int) -> str:
    """Why `port` can't be listened on, or nothing if it can."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return f"port {port} on {address} is taken; stop what listens there, or give another with --port."
            return f"can't listen on {address} port {port}: {error.strerror}; give another --address or --port."
    return ""


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; the exit code: 0, 1 if the port is taken, 2 for flags or settings that can't be used."""
    flags = parser().parse_args(argv)
    if reason := taken(flags.address, flags.port):
        return _say(reason, 1)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # A probe that is told 503 each second is no news; the feed itself says what is wrong, once.
    logging.getLogger("tornado.access").setLevel(logging.CRITICAL)
    # Panel takes a second to import: only who gets here needs it.
    import panel as pn  # noqa: PLC0415
    from bokeh.server.server import Server  # noqa: PLC0415

    from panel_app.pages import data_page, explore_page, overview_page  # noqa: PLC0415
    from panel_app.routes import ROUTES  # noqa: PLC0415
    from panel_app.service import service  # noqa: PLC0415

    try:
        one = service()
    except AdtallyError as error:
        return _say(str(error), 2)
    server = pn.serve(
        {"/": overview_page, "explore": explore_page, "data": data_page},
        port=flags.port,
        address=flags.address,
        websocket_origin=origins(flags.address, flags.port, flags.allow_origin),
        title={"/": "adtally", "explore": "adtally: explore", "data": "adtally: data"},  # pyright: ignore[reportArgumentType]  # Panel takes one by page too
        extra_patterns=list(ROUTES),
        websocket_compression_level=6,
        websocket_compression_mem_level=4,  # half of the memory of a connection, for a few bytes more on the wire
        show=False,
        start=False,
        verbose=False,
    )
    assert isinstance(server, Server)  # noqa: S101 - with `threaded` it would be a thread

    def stop(_signal: int, _frame: FrameType | None) -> None:
        server.io_loop.add_callback_from_signal(server.io_loop.stop)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    server.start()
    ended = _end_when_refused(server, one)
    host = "localhost" if flags.address in ("0.0.0.0", "127.0.0.1", "::") else flags.address  # noqa: S104 - compared, not bound
    reads = f"reads {one.settings.results_topic} on {one.settings.brokers}"
    print(f"adtally dashboard: http://{host}:{flags.port} ({reads})", flush=True)  # noqa: T201 - this is what the command says
    server.io_loop.start()
    with contextlib.suppress(RuntimeError):
        server.stop()
    one.stop()
    return _say(str(ended[0]), 1) if ended else 0


def _end_when_refused(server: Server, one: Service) -> list[AdtallyError]:
    """Stop `server` if the broker will not let the feed in; that reason is then in what is returned."""
    from tornado.ioloop import PeriodicCallback  # noqa: PLC0415 - as Panel in `main`

    found: list[AdtallyError] = []

    def look() -> None:
        if one.feed.refused is not None:
            found.append(one.feed.refused)
            server.io_loop.stop()
        if one.feed.refused is not None or one.feed.status.state in ("waiting", "reading", "live"):
            every.stop()

    every = PeriodicCallback(look, 200)
    every.start()
    return found


def _say(line: str, code: int) -> int:
    print(f"adtally-dashboard: {line}", file=sys.stderr)  # noqa: T201 - this is what the command says
    return code


if __name__ == "__main__":
    sys.exit(main())
