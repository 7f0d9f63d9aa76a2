"""Serves the dashboard: from flags and settings to a server that runs until SIGINT or SIGTERM."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

from msgspec.structs import replace

from dataflows.contract.errors import AdtallyError
from dataflows.contract.settings import Settings
from dataflows.process.ownership import check_packages
from dataflows.telemetry import log_lines
from dataflows.telemetry.server import Pulse, serve
from panel_app.server import access
from panel_app.server.flags import Flags, check, origins, taken, written
from panel_app.static import TEMPLATES

if TYPE_CHECKING:
    from bokeh.server.server import Server

    from figures.service import Service
    from panel_app.server.dashboard import Dashboard


SWITCH_SECONDS = 0.0005
"""Seconds for which a computing thread may hold the GIL while the server waits for it.

With Python's default of 5 ms, each of a visit's forty requests lost that much, and repeatedly, while a long topic was being read.
"""


REQUEST_BYTES = 2**21 + 2**16
"""Limit of a request's first line and headers: the longest URL that Chromium sends, plus Tornado's default limit.

Tornado closes the connection of a longer request without an answer.
"""

PARAMETERS = 100_000
"""Number of parameters that Tornado accepts; a query of `parameters.LONGEST` characters has fewer filters."""


def serve_dashboard(flags: Flags, *, prepare: Callable[[Dashboard], None] = lambda _dashboard: None) -> int:
    """Serve until SIGINT or SIGTERM; return the exit code. `prepare` gets the dashboard before its feed begins.

    Raises `AdtallyError` if a port is taken, the broker refuses the feed, or flags or settings can't be used.
    """
    check_packages()
    if reason := taken(flags.address, flags.port):
        raise AdtallyError(reason)
    access_settings = access.from_environment()
    if flags.open_to_everyone:
        access_settings = replace(access_settings, open_to_everyone=True)
    settings = Settings.from_environment()
    check(flags, access_settings, settings)
    log_lines.set_up(settings, "dashboard", secrets=access_settings.secrets())
    _say_no_more_than_news()
    # Panel takes a second to import, and only this function needs it.
    import panel as pn  # noqa: PLC0415 - see above
    from bokeh.server.server import Server  # noqa: PLC0415 - see above

    from panel_app.pages.choice import Pages  # noqa: PLC0415 - see above
    from panel_app.pages.overview import overview  # noqa: PLC0415 - see above
    from panel_app.routes import routes  # noqa: PLC0415 - see above
    from panel_app.server.compression import Compression  # noqa: PLC0415 - see above
    from panel_app.server.dashboard import Dashboard  # noqa: PLC0415 - see above
    from panel_app.server.headers import with_headers  # noqa: PLC0415 - see above
    from panel_app.server.login import login_routes  # noqa: PLC0415 - see above
    from panel_app.server.warming import warm  # noqa: PLC0415 - see above

    # Until both ports are bound nothing is read, and nothing is printed but that one of them is taken.
    dashboard = Dashboard(settings, access_settings)
    service = dashboard.service
    close = serve(settings, dashboard.telemetry.served)
    prepare(dashboard)
    service.start()
    _take_many_parameters()
    pages = Pages(lambda: dashboard)
    server = pn.serve(
        {"/": pages.overview, "explore": pages.explore, "data": pages.data},
        port=flags.port,
        address=flags.address,
        websocket_origin=origins(flags.address, flags.port, flags.allow_origin),
        title={"/": "adtally", "explore": "adtally: explore", "data": "adtally: data"},  # pyright: ignore[reportArgumentType]  # Panel takes one by page too
        extra_patterns=[*routes(lambda: dashboard), *login_routes(dashboard.gate, tls=bool(flags.tls_certificate))],
        http_server_kwargs={"max_header_size": REQUEST_BYTES},
        websocket_compression_level=6,
        websocket_compression_mem_level=4,  # half of the memory of a connection, for a few bytes more on the wire
        login_template=str(TEMPLATES / "login.html") if access_settings.by_password else None,
        ssl_certfile=flags.tls_certificate,
        ssl_keyfile=flags.tls_key,
        **access_settings.of_panel(),
        transforms=[with_headers(flags.embed_in, tls=bool(flags.tls_certificate)), Compression],
        show=False,
        start=False,
        verbose=False,
    )
    assert isinstance(server, Server)  # noqa: S101 - with `threaded` it would be a thread

    def stop(_signal: int, _frame: FrameType | None) -> None:
        server.io_loop.add_callback_from_signal(server.io_loop.stop)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    sys.setswitchinterval(SWITCH_SECONDS)
    server.start()
    server.io_loop.add_callback(warm, service, lambda: overview(dashboard))
    ended = _end_when_refused(server, service)
    _beat(dashboard.telemetry.pulse)
    print(_greeting(flags, settings), flush=True)  # noqa: T201 - this is what the command says
    server.io_loop.start()
    with contextlib.suppress(RuntimeError):
        server.stop()
    service.stop()
    if close:
        close()
    if ended:
        raise ended[0]
    return 0


def _greeting(flags: Flags, settings: Settings) -> str:
    host = "localhost" if flags.address in ("0.0.0.0", "127.0.0.1", "::") else written(flags.address)  # noqa: S104 - compared, not bound
    scheme = "https" if flags.tls_certificate else "http"
    return f"adtally dashboard: {scheme}://{host}:{flags.port} (reads {settings.results_topic} on {settings.brokers})"


def _take_many_parameters() -> None:
    """Make Tornado accept `PARAMETERS` in a URL: by default it refuses more than 1,000 with an empty answer."""
    from tornado.httputil import ParseBodyConfig, ParseUrlEncodedConfig, set_parse_body_config  # noqa: PLC0415 - as Panel in `serve_dashboard`

    set_parse_body_config(ParseBodyConfig(urlencoded=ParseUrlEncodedConfig(max_arguments=PARAMETERS)))


def _say_no_more_than_news() -> None:
    # A 503 for a probe each second is not logged; the feed itself reports the error, once.
    logging.getLogger("tornado.access").setLevel(logging.CRITICAL)
    # A tab that was closed during a response is not logged either.
    logging.getLogger("bokeh.server.views.ws").setLevel(logging.ERROR)
    logging.getLogger("asyncio").addFilter(is_news)


def is_news(record: logging.LogRecord) -> bool:
    """Return whether to log a line of asyncio's: Panel does not wait for messages to a browser, and asyncio reports those that met a
    closed tab."""
    from tornado.websocket import WebSocketClosedError  # noqa: PLC0415 - as Panel in `serve_dashboard`

    return not (record.exc_info and isinstance(record.exc_info[1], WebSocketClosedError))


def _end_when_refused(server: Server, service: Service) -> list[AdtallyError]:
    """Stop `server` if the broker will not let the feed in; that reason is then in what is returned."""
    from tornado.ioloop import PeriodicCallback  # noqa: PLC0415 - as Panel in `serve_dashboard`

    refusals: list[AdtallyError] = []

    def look() -> None:
        if service.feed.refused is not None:
            refusals.append(service.feed.refused)
            server.io_loop.stop()
        if service.feed.refused is not None or service.feed.status.state in ("waiting", "reading", "live"):
            every.stop()

    every = PeriodicCallback(look, 200)
    every.start()
    return refusals


def _beat(pulse: Pulse) -> None:
    """Make the server's loop beat the pulse each second."""
    from tornado.ioloop import PeriodicCallback  # noqa: PLC0415 - as Panel in `serve_dashboard`

    PeriodicCallback(pulse.beat, 1000).start()
