"""The flags of the dashboard, and the checks of them that come before anything is served."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Sequence

import msgspec

from dataflows.contract.errors import SettingsError
from dataflows.contract.settings import Settings
from dataflows.process.ports import bind_error
from panel_app.server.access import PREFIX, Access, is_loopback


class Flags(msgspec.Struct, frozen=True, kw_only=True):
    """How to serve the dashboard, as the flags of ``adtally dashboard`` have it."""

    port: int
    address: str = "127.0.0.1"
    allow_origin: Sequence[str] = ()
    embed_in: Sequence[str] = ()
    tls_certificate: str | None = None
    tls_key: str | None = None
    open_to_everyone: bool = False


def origins(address: str, port: int, more: Sequence[str]) -> list[str]:
    """Return the hosts whose pages may open the WebSocket: the names of this machine, and those of --allow-origin."""
    own = ["localhost", "127.0.0.1", socket.gethostname()]
    if address not in ("0.0.0.0", "::", ""):  # noqa: S104 - compared, not bound
        # Bokeh does not accept an IPv6 address; --allow-origin names its host.
        own += [address] if ":" not in address else []
    return [*dict.fromkeys(f"{host}:{port}" for host in own), *more]


def written(address: str) -> str:
    """Return `address` as in a URL: an IPv6 address in brackets."""
    return f"[{address}]" if ":" in address else address


def taken(address: str, port: int) -> str:
    """Return why `port` can't be listened on, as a line with the cure; empty if it can."""
    error = bind_error(address, port)
    if error is None:
        return ""
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {address} is already in use; stop the process that listens there, or use another --port."
    return f"can't listen on {address} port {port}: {error.strerror}; use another --address or --port."


def check(flags: Flags, access: Access, settings: Settings) -> None:
    """Raise `SettingsError` where the dashboard would be open to others by accident, can't serve HTTPS, or has one port for two servers."""
    if flags.port == settings.metrics_port:
        raise SettingsError(
            f"ADTALLY_METRICS_PORT={flags.port} is the dashboard's own port, which serves /metrics too; unset it, or use another port."
        )
    if not (is_loopback(flags.address) or access.wants_login or access.open_to_everyone):
        raise SettingsError(
            f"on --address {flags.address} everyone who can reach port {flags.port} could see the dashboard; set {PREFIX}PASSWORD_FILE or "
            f"{PREFIX}OAUTH_PROVIDER (docs/security.md), or use --open-to-everyone."
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
            f"HTTPS can't be served with {files} ({getattr(error, 'strerror', None) or error}); use a certificate and its unencrypted key."
        ) from None
