"""The flags of the dashboard's command, and what can be said of them before anything is served."""

from __future__ import annotations

import argparse
import errno
import re
import socket
import ssl
from collections.abc import Sequence

from dataflows.contract.errors import SettingsError
from dataflows.contract.settings import Settings
from panel_app.server.access import PREFIX, Access, is_loopback

PORT = 8503


def parser() -> argparse.ArgumentParser:
    """The flags of the command."""
    made = argparse.ArgumentParser(
        prog="adtally-dashboard",
        description="Serve the dashboard of adtally: / is the overview, /explore the workbench, /data the pipeline; /api/results is for "
        "scripts, /healthz for probes.",
        epilog="Settings come from ADTALLY_… variables; `python -m dataflows.contract.settings` lists them, "
        "docs/security.md those of the login.",
    )
    made.add_argument("--port", type=_port, default=PORT, help=f"port to listen on (default {PORT})")
    made.add_argument("--address", default="127.0.0.1", help="address to listen on; 0.0.0.0 for all (default 127.0.0.1)")
    made.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        type=_host,
        metavar="HOST[:PORT]",
        help="another name under which browsers reach this dashboard; may be given several times",
    )
    made.add_argument(
        "--embed-in",
        action="append",
        default=[],
        type=_origin,
        metavar="ORIGIN",
        help="a site, such as https://wiki.example.com, whose pages may show those with ?embed=1; may be given several times",
    )
    made.add_argument("--tls-certificate", metavar="FILE", help="serve HTTPS with this certificate (PEM)")
    made.add_argument("--tls-key", metavar="FILE", help="its private key (PEM), if it is not in the same file")
    made.add_argument(
        "--open-to-everyone",
        action="store_true",
        help="whoever reaches the port may see the dashboard, without a login (also ADTALLY_DASHBOARD_OPEN_TO_EVERYONE=true)",
    )
    return made


def _origin(text: str) -> str:
    if re.fullmatch(r"https?://[A-Za-z0-9.*-]+(:[0-9]{1,5})?", text):
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is no origin; give one like https://wiki.example.com")


def _host(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9.*_-]+(:([0-9]{1,5}|\*))?", text):
        return text
    raise argparse.ArgumentTypeError(
        f"{text!r} is no host; give one like dash.example.com or dash.example.com:8443, without https://"
    )


def _port(text: str) -> int:
    if text.isascii() and text.isdecimal() and 0 < int(text) < 65536:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no port; give a number from 1 to 65535")


def origins(address: str, port: int, more: Sequence[str]) -> list[str]:
    """The hosts whose pages may open the websocket: this machine by its names, and those that were named."""
    own = ["localhost", "127.0.0.1", socket.gethostname()]
    if address not in ("0.0.0.0", "::", ""):  # noqa: S104 - compared, not bound
        own += [address] if ":" not in address else []  # Bokeh takes no address of IPv6; --allow-origin names what leads there
    return [*dict.fromkeys(f"{host}:{port}" for host in own), *more]


def written(address: str) -> str:
    """`address` as it stands in a URL: one of IPv6 in brackets."""
    return f"[{address}]" if ":" in address else address


def taken(address: str, port: int) -> str:
    """Why `port` can't be listened on, or nothing if it can."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return f"port {port} on {address} is taken; stop what listens there, or give another with --port."
            return f"can't listen on {address} port {port}: {error.strerror}; give another --address or --port."
    return ""


def check(flags: argparse.Namespace, access: Access, settings: Settings) -> None:
    """Raise `SettingsError` where the dashboard would be open to others by accident, can't serve HTTPS, or has one port for two servers."""
    if flags.port == settings.metrics_port:
        raise SettingsError(
            f"ADTALLY_METRICS_PORT={flags.port} is the dashboard's own port, which answers /metrics too; unset it, or give another."
        )
    if not (is_loopback(flags.address) or access.wants_login or access.open_to_everyone):
        raise SettingsError(
            f"on --address {flags.address} whoever reaches port {flags.port} could see the dashboard; set {PREFIX}PASSWORD_FILE or "
            f"{PREFIX}OAUTH_PROVIDER (docs/security.md), or say --open-to-everyone."
        )
    if flags.tls_key and not flags.tls_certificate:
        raise SettingsError("--tls-key needs --tls-certificate.")
    if not flags.tls_certificate:
        return
    try:
        # Without a password given, a key that has one would ask the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(flags.tls_certificate, flags.tls_key, password="")
    except (OSError, ValueError) as error:
        files = " and ".join(filter(None, (flags.tls_certificate, flags.tls_key)))
        raise SettingsError(
            f"HTTPS can't be served with {files} ({getattr(error, 'strerror', None) or error}); give a certificate and its unencrypted key."
        ) from None
