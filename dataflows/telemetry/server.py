"""The HTTP server of a process: ``/metrics`` for Prometheus, ``/livez`` and ``/readyz`` for Kubernetes, Docker and other supervisors."""

from __future__ import annotations

import errno
import logging
import socket
import socketserver
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import ClassVar

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from typing_extensions import override

from dataflows.contract.errors import SettingsError
from dataflows.contract.settings import Settings

log = logging.getLogger("adtally.telemetry")

LIVE_SECONDS = 60.0
"""Time after which a main loop that has not run is stalled."""

Check = Callable[[], str]
"""Why a process is not live, or not ready, in a few words that hold no secret; empty if it is."""


class Pulse:
    """When each thread of a loop has turned last."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._beats: dict[int, float] = {}

    def beat(self) -> None:
        """The loop of this thread turns."""
        self._beats[threading.get_ident()] = self._monotonic()

    def turned(self) -> bool:
        """Whether any loop has turned yet."""
        return bool(self._beats)

    def stands(self) -> str:
        """Why it is not live: a thread whose loop turned once has not turned for `LIVE_SECONDS`. One that has not begun is not held up."""
        silent = self._monotonic() - min(list(self._beats.values()), default=self._monotonic())
        return f"its main loop has not run for {silent:.0f} s" if silent > LIVE_SECONDS else ""


class Served:
    """What a process answers with; `answer` knows no HTTP server, so the dashboard gives the same on its own port."""

    def __init__(self, registry: CollectorRegistry, live: Check, ready: Check) -> None:
        self.registry = registry
        self.live = live
        self.ready = ready

    def answer(self, path: str, accept: str = "") -> tuple[int, str, bytes]:
        """Status, type of the content, and content for `path`; `accept`: the header of that name."""
        if path == "/metrics":
            encode, kind = choose_encoder(accept)
            return 200, kind, encode(self.registry)
        if path in ("/livez", "/readyz"):
            reason = (self.live if path == "/livez" else self.ready)()
            words = f"not {path[1:-1]}: {reason}" if reason else path[1:-1]
            return 503 if reason else 200, "text/plain; charset=utf-8", f"{words}\n".encode()
        return 404, "text/plain; charset=utf-8", b"there are /metrics, /livez and /readyz\n"


class Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD; slow or other requests time out or get an error."""

    timeout = 5
    protocol_version = "HTTP/1.0"
    served: ClassVar[Served]

    def do_GET(self) -> None:
        """Answer."""
        self._reply(body=True)

    def do_HEAD(self) -> None:
        """Answer without the content."""
        self._reply(body=False)

    def _reply(self, *, body: bool) -> None:
        status, kind, content = self.served.answer(self.path.partition("?")[0], self.headers.get("Accept", ""))
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if body:
            self.wfile.write(content)

    @override
    def version_string(self) -> str:
        return "adtally"

    @override
    def log_message(self, format: str, *args: object) -> None:
        log.debug(format, *args)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    @override
    def handle_error(self, request: object, client_address: object) -> None:
        log.debug("a request could not be answered", exc_info=True)


def serve(settings: Settings, served: Served, number: int = 0) -> Callable[[], None] | None:
    """Answer on the port of process `number` on a thread of its own; what ends that, or None where no port is set.

    Raises `SettingsError` where the port can't be had.
    """
    if not settings.metrics_port:
        return None
    address, port = settings.metrics_address, settings.metrics_port + number
    if port > 65_535:
        raise SettingsError(
            f"ADTALLY_METRICS_PORT={settings.metrics_port} leaves no port for process {number} of the cluster; use a lower port."
        )

    class Own(_Server):
        address_family = socket.AF_INET6 if ":" in address else socket.AF_INET

    try:
        server = Own((address, port), type("OwnHandler", (Handler,), {"served": served}))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            words = (
                f"port {port} on {address}, for metrics, is already in use; stop the process that listens there, or "
                "set another ADTALLY_METRICS_PORT."
            )
        else:
            words = (
                f"metrics can't be served on {address} port {port} ({error.strerror or error}); "
                "set another ADTALLY_METRICS_ADDRESS or ADTALLY_METRICS_PORT."
            )
        raise SettingsError(words) from None
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    log.info("metrics on http://%s:%d/metrics", f"[{address}]" if ":" in address else address, port)

    def close() -> None:
        server.shutdown()
        server.server_close()

    return close
