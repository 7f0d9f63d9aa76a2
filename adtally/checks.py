"""``adtally settings``, ``doctor`` and ``probe``: what a deployment is set to, what is wrong with it, whether its processes are ready."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from dataflows.commands import frame, values
from dataflows.commands.frame import Command, examples, settings_of

app = frame.new_app("Look at a deployment.")


@app.command(
    cls=Command,
    short_help="List the settings.",
    epilog=examples("adtally settings", "ADTALLY_WINDOW_SECONDS=300 adtally run    a setting is a variable"),
)
def settings() -> None:
    """List the settings: each variable with its default and what it sets."""
    from dataflows.contract.settings import table
    from dataflows.telemetry import log_lines

    for variable, default, words in table():
        log_lines.tell(f"{variable:34} {default:16} {words}")


@app.command(
    cls=Command,
    short_help="Look at the deployment: what is wrong, and the cure.",
    epilog=examples("adtally doctor", "adtally doctor -r recovery    with the recovery folder of the flow"),
)
def doctor(
    *,
    recovery: Annotated[
        Path | None,
        typer.Option(
            "--recovery",
            "-r",
            metavar="FOLDER",
            envvar="ADTALLY_RECOVERY_FOLDER",
            show_envvar=False,
            help="Recovery folder of the flow (default: ADTALLY_RECOVERY_FOLDER).",
        ),
    ] = None,
) -> int:
    """Look at Python, the engine, the Kafka client, brokers, topics, rights, the recovery folder, rates, the clock and each partition.

    One line each: ok, or what is wrong with the cure. Exit code 0 if all is well, 1 if something should be mended, 2 if something does
    not work. Nothing is changed.
    """
    from dataflows.commands.doctor.examination import examine
    from figures.rates.examination import rates_file, rates_topic

    return examine(settings_of("doctor"), recovery, [rates_file], [rates_topic])


@app.command(
    cls=Command,
    short_help="Ask whether processes are live or ready.",
    epilog=examples("adtally probe ready", "adtally probe live --processes 4"),
)
def probe(
    what: Annotated[Literal["live", "ready"], typer.Argument(help="live: it turns; ready: it does its work.")],
    *,
    processes: Annotated[
        int,
        typer.Option(
            parser=values.whole("a number of processes from 1 to 1000", 1, 1000),
            metavar="N",
            envvar="ADTALLY_PROCESSES",
            show_envvar=False,
            help="Number of processes on this machine, on ports in a row (default: ADTALLY_PROCESSES, or 1).",
            show_default=False,
        ),
    ] = 1,
) -> int:
    """Ask the processes of this machine whether they are live or ready, on ADTALLY_METRICS_PORT: for the probes of containers."""
    from dataflows.telemetry.probe import probe as ask

    return ask(what, processes)
