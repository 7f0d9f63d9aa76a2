"""The HTTP server of a process: ``/metrics`` for Prometheus, ``/livez`` and ``/readyz`` for Kubernetes, Docker and other supervisors."""

from __future__ import annotations

import errno
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from socketserver import TCPServer
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import ThreadingWSGIServer, choose_encoder
from typing_extensions import override

from dataflows.contract.errors import SettingsError
from dataflows.contract.settings import Settings

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger("adtally.telemetry")

LIVE_SECONDS = 60.0
"""Time after which a main loop that has not run is stalled."""

Check = Callable[[], str]
"""Function that returns in a few words without secrets why a process is not live, or not ready; empty if it is."""


class Pulse:
    """Time of the last turn of each thread of a loop."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._beats: dict[int, float] = {}

    def beat(self) -> None:
        """Note that the loop of this thread has turned."""
        self._beats[threading.get_ident()] = self._monotonic()

    def turned(self) -> bool:
        """Whether any loop has turned yet."""
        return bool(self._beats)

    def stall_reason(self) -> str:
        """Return why it is not live: a thread's loop has not turned for `LIVE_SECONDS`. A loop that has not begun does not count."""
        silent = self._monotonic() - min(list(self._beats.values()), default=self._monotonic())
        return f"its main loop has not run for {silent:.0f} s" if silent > LIVE_SECONDS else ""


class Served:
    """Content that a process serves; `answer` does not depend on an HTTP server, so the dashboard serves the same on its own port."""

    def __init__(self, registry: CollectorRegistry, live: Check, ready: Check) -> None:
        self.registry = registry
        self.live = live
        self.ready = ready

    def answer(self, path: str, accept: str = "") -> tuple[int, str, bytes]:
        """Return status, content type and content for `path`; `accept`: the header of that name."""
        if path == "/metrics":
            encode, kind = choose_encoder(accept)
            return 200, kind, encode(self.registry)
        if path in ("/livez", "/readyz"):
            reason = (self.live if path == "/livez" else self.ready)()
            words = f"not {path[1:-1]}: {reason}" if reason else path[1:-1]
            return 503 if reason else 200, "text/plain; charset=utf-8", f"{words}\n".encode()
        return 404, "text/plain; charset=utf-8", b"there are /metrics, /livez and /readyz\n"


class _Handler(WSGIRequestHandler):
    timeout = 5
    """Seconds that a client has for its request."""

    @override
    def log_message(self, format: str, *args: object) -> None:
        log.debug(format, *args)


class _Server(ThreadingWSGIServer):
    @override
    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # not HTTPServer's, which asks DNS for this machine's name
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    @override
    def handle_error(self, request: object, client_address: object) -> None:
        log.debug("a request could not be answered", exc_info=True)


def application(served: Served) -> WSGIApplication:
    """Return the WSGI application that answers GET and HEAD with `served`."""

    def respond(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        status, kind, content = served.answer(environ["PATH_INFO"], environ.get("HTTP_ACCEPT", ""))
        method = environ["REQUEST_METHOD"]
        if method not in {"GET", "HEAD"}:
            status, kind, content = 405, "text/plain; charset=utf-8", b"only GET and HEAD\n"
        headers = [("Content-Type", kind), ("Content-Length", str(len(content)))]
        headers += [("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"), ("Server", "adtally")]
        start_response(f"{status} {HTTPStatus(status).phrase}", headers)
        return [] if method == "HEAD" else [content]

    return respond


def serve(settings: Settings, served: Served, number: int = 0) -> Callable[[], None] | None:
    """Serve on the port of process `number` on a thread of its own; return the function that ends it, or None if no port is set.

    Raises `SettingsError` if the port can't be listened on.
    """
    if not settings.metrics_port:
        return None
    address, port = settings.metrics_address, settings.metrics_port + number
    if port > 65_535:
        raise SettingsError(
            f"ADTALLY_METRICS_PORT={settings.metrics_port} leaves no port for process {number} of the cluster; use a lower port."
        )

    # The family is an attribute of the class: socketserver takes it from there.
    family = type("_Server6", (_Server,), {"address_family": socket.AF_INET6}) if ":" in address else _Server
    try:
        server = make_server(address, port, application(served), family, _Handler)
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
