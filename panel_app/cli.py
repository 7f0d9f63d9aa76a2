"""The command ``adtally dashboard``; ``python -m panel_app`` is the same. Only its flags: the server is imported once it runs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

import typer

from dataflows.commands import frame, values
from dataflows.commands.frame import Command, examples

PROGRAM = "adtally dashboard"

app = frame.new_app("Serve the dashboard.")


def origin(text: str) -> str:
    """Return the origin of a site; raises `typer.BadParameter`."""
    if re.fullmatch(r"https?://[A-Za-z0-9.*-]+(:[0-9]{1,5})?", text):
        return text
    raise typer.BadParameter(f"{text!r} is not an origin; give one like https://wiki.example.com")


def host(text: str) -> str:
    """Return a host with an optional port; raises `typer.BadParameter`."""
    if re.fullmatch(r"[A-Za-z0-9.*_-]+(:([0-9]{1,5}|\*))?", text):
        return text
    raise typer.BadParameter(f"{text!r} is not a host; give one like dash.example.com or dash.example.com:8443, without https://")


@app.command(
    cls=Command,
    short_help="Serve the dashboard.",
    epilog=examples(
        "adtally dashboard",
        "adtally dashboard --port 8504",
        "ADTALLY_DASHBOARD_PASSWORD_FILE=/run/secrets/dashboard adtally dashboard --address 0.0.0.0",
    ),
)
def dashboard(
    *,
    port: Annotated[
        int, typer.Option(parser=values.port, metavar="N", help="Port to listen on (default: 8503).", show_default=False)
    ] = 8503,
    address: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="Address to listen on; 0.0.0.0 for all (default: 127.0.0.1).", show_default=False),
    ] = "127.0.0.1",
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(
            parser=host,
            metavar="HOST[:PORT]",
            help="Another name under which browsers reach this dashboard; may be given several times.",
        ),
    ] = None,
    embed_in: Annotated[
        list[str] | None,
        typer.Option(
            parser=origin,
            metavar="ORIGIN",
            help="A site, such as https://wiki.example.com, whose pages may show those with ?embed=1; may be given several times.",
        ),
    ] = None,
    tls_certificate: Annotated[str | None, typer.Option(metavar="FILE", help="Serve HTTPS with this certificate (PEM).")] = None,
    tls_key: Annotated[
        str | None, typer.Option(metavar="FILE", help="Its private key (PEM), if it is not in the same file.")
    ] = None,
    open_to_everyone: Annotated[
        bool,
        typer.Option(
            "--open-to-everyone",
            help="Everyone who reaches the port may see the dashboard, without a login "
            "(also ADTALLY_DASHBOARD_OPEN_TO_EVERYONE=true).",
        ),
    ] = False,
) -> int:
    """Serve the dashboard until Ctrl-C: / is the overview, /explore the workbench, /data the pipeline, /api/results for scripts.

    Settings come from ADTALLY_... variables: adtally settings lists them, docs/security.md those of the login.
    """
    from panel_app.server.flags import Flags
    from panel_app.serving import serve_dashboard

    return serve_dashboard(
        Flags(
            port=port,
            address=address,
            allow_origin=allow_origin or [],
            embed_in=embed_in or [],
            tls_certificate=tls_certificate,
            tls_key=tls_key,
            open_to_everyone=open_to_everyone,
        )
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the dashboard alone; return the exit code."""
    return frame.run(app, arguments, PROGRAM)
