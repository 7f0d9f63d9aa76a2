"""All subcommands of ``adtally``, in the order of its help. What a subcommand needs is imported once it runs."""

from __future__ import annotations

from typing import Annotated

import typer

import generator.cli
import panel_app.cli
from adtally import checks, pipeline, topic_commands
from dataflows.commands import frame
from dataflows.commands.frame import examples

app = frame.new_app("adtally: an exact tally of ads, by the minute, on Kafka, Bytewax and Panel.", completion=True)


def _version(is_requested: bool) -> None:
    if not is_requested:
        return
    from importlib.metadata import version

    from dataflows.telemetry import log_lines

    log_lines.tell(f"adtally {version('adtally')}")
    raise typer.Exit


@app.callback(
    epilog=examples(
        "adtally demo                      everything on this machine, with synthetic events",
        "adtally doctor                    what is wrong with this deployment, and the cure",
        "adtally generate synthetic --help",
        "",
        "Settings come from ADTALLY_... variables: adtally settings lists them.",
        "Exit codes: 0 done, 1 it could not be done, 2 usage, settings or an input file can't be used.",
    )
)
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Take the flags of adtally itself."""
    del version  # its callback has answered


app.add_typer(pipeline.app)
app.add_typer(generator.cli.app, name="generate", short_help="Send ad events to Kafka: synthetic ones, or real files.")
app.add_typer(panel_app.cli.app)
app.add_typer(topic_commands.app)
app.add_typer(checks.app)
