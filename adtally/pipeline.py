"""The commands that start processes: ``adtally demo``, ``run``, ``broker`` and ``kafka``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from dataflows.commands import frame, values
from dataflows.commands.frame import Command, examples

app = frame.new_app("Start processes.")

_COUNT = values.whole("a number of processes from 1 to 32", 1, 32)
_FLOW, _CLUSTER = "Recovery", "Several processes, as one cluster"

WithParent = Annotated[bool, typer.Option("--with-parent", help="End when the process that started this one ends.")]


@app.command(
    cls=Command,
    short_help="Run everything on this machine, with synthetic events.",
    epilog=examples(
        "adtally demo",
        "adtally demo --port 8504",
        "ADTALLY_BROKERS=host:9092 adtally demo    with that Kafka in place of the embedded broker",
    ),
)
def demo(
    *,
    port: Annotated[
        int,
        typer.Option(
            parser=values.port,
            metavar="N",
            envvar="PORT",
            show_envvar=False,
            help="Port of the dashboard (default: PORT, or 8503).",
            show_default=False,
        ),
    ] = 8503,
    with_parent: WithParent = False,
) -> None:
    """Run broker, generator, dataflow and dashboard on this machine, until Ctrl-C.

    Logs and the recovery folder are in the folder run/ of the current folder.
    """
    from deploy.demo import run_demo
    from deploy.processes.foreground import StopSignal

    run_demo(port, StopSignal(with_parent))


@app.command(
    cls=Command,
    short_help="Run the dataflow.",
    epilog=examples(
        "adtally run -r recovery                          one process, which resumes from the folder recovery",
        "adtally run -r recovery -w 2                     with two worker threads",
        "adtally run -r recovery --processes 4            a cluster of four processes on this machine",
        'adtally run -r recovery -i 0 -a "a:2101;b:2101"  process 0 of a cluster of two machines',
    ),
)
def run(
    *,
    workers: Annotated[
        int,
        typer.Option(
            "--workers",
            "-w",
            parser=values.whole("a number of workers from 1 to 64", 1, 64),
            metavar="N",
            help="Worker threads of each process (default: 1).",
            show_default=False,
        ),
    ] = 1,
    recovery: Annotated[
        Path | None,
        typer.Option(
            "--recovery",
            "-r",
            metavar="FOLDER",
            envvar="ADTALLY_RECOVERY_FOLDER",
            show_envvar=False,
            help="Recovery folder, created if it is not there (default: ADTALLY_RECOVERY_FOLDER). Without one, a restart counts from "
            "ADTALLY_START again.",
            rich_help_panel=_FLOW,
        ),
    ] = None,
    snapshot: Annotated[
        int,
        typer.Option(
            "--snapshot",
            "-s",
            parser=values.whole("a whole number of seconds from 0 to 3600", 0, 3600),
            metavar="SECONDS",
            help="Time between two snapshots (default: 5).",
            show_default=False,
            rich_help_panel=_FLOW,
        ),
    ] = 5,
    backup: Annotated[
        int,
        typer.Option(
            "--backup",
            "-b",
            parser=values.whole("a whole number of seconds from 0 to 31622400", 0, 31_622_400),
            metavar="SECONDS",
            help="How long old snapshots are kept for a backup of the folder that is copied meanwhile (default: 0).",
            show_default=False,
            rich_help_panel=_FLOW,
        ),
    ] = 0,
    processes: Annotated[
        int,
        typer.Option(
            parser=_COUNT,
            metavar="N",
            envvar="ADTALLY_PROCESSES",
            show_envvar=False,
            help="Processes on this machine, 1 to 32, which start and end together (default: ADTALLY_PROCESSES, or 1).",
            show_default=False,
            rich_help_panel=_CLUSTER,
        ),
    ] = 1,
    run_folder: Annotated[
        Path,
        typer.Option(
            "--run",
            metavar="FOLDER",
            envvar="ADTALLY_RUN_FOLDER",
            show_envvar=False,
            help="Where the logs of several processes go, and their recovery folder without -r "
            "(default: ADTALLY_RUN_FOLDER, or run/cluster).",
            show_default=False,
            rich_help_panel=_CLUSTER,
        ),
    ] = Path("run/cluster"),
    process_id: Annotated[
        int | None,
        typer.Option(
            "--process-id",
            "-i",
            parser=values.whole("the number of a process, from 0 on", 0),
            metavar="N",
            help="Number of this process among those of -a, from 0 on.",
            rich_help_panel=_CLUSTER,
        ),
    ] = None,
    addresses: Annotated[
        str | None,
        typer.Option(
            "--addresses",
            "-a",
            metavar="LIST",
            help="host:port of every process of the cluster, separated by semicolons; without it, ADTALLY_MEMBERS makes the list.",
            rich_help_panel=_CLUSTER,
        ),
    ] = None,
) -> None:
    """Run the dataflow until Ctrl-C or SIGTERM, which ends it with a last snapshot.

    It is python -m bytewax.run dataflows.marketing with a recovery folder that is created where it is missing.
    """
    if process_id is not None and addresses is None:
        raise typer.BadParameter("it needs -a, the addresses of all processes", param_hint="-i")
    if addresses is not None and process_id is None:
        raise typer.BadParameter("it needs -i, the number of this process", param_hint="-a")
    if addresses is not None and processes > 1:
        raise typer.BadParameter("not together with --processes, which starts all of them", param_hint="-a")
    from deploy.processes.launch import Launch, launch

    cluster = None if addresses is None or process_id is None else (process_id, addresses)
    launch(Launch(workers, recovery, snapshot, backup, processes, run_folder, cluster))


@app.command(
    cls=Command,
    short_help="Run a Kafka broker with nothing to install.",
    epilog=examples("adtally broker", "adtally broker --port 9192"),
)
def broker(
    *,
    port: Annotated[
        int,
        typer.Option(
            parser=values.port,
            metavar="N",
            help="Port to listen on (default: 9092); a free one if that is in use.",
            show_default=False,
        ),
    ] = 9092,
    address_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write host:port to FILE once clients can connect.")
    ] = None,
    with_parent: WithParent = False,
) -> None:
    """Run a Kafka broker with nothing to install, until Ctrl-C: in memory, for the demo and tests, not for data that matters.

    It keeps 5 MiB or 100,000 records a partition.
    """
    from deploy.kafka.embedded import run_broker

    run_broker(port, address_file, with_parent)


@app.command(
    cls=Command,
    short_help="Run a real Apache Kafka on this machine.",
    epilog=examples("adtally kafka run               until Ctrl-C", "adtally kafka start --port 19093", "adtally kafka stop"),
)
def kafka(
    what: Annotated[
        Literal["run", "start", "stop", "status"],
        typer.Argument(help="run: until Ctrl-C; start: in the background; status: exit code 1 if none runs."),
    ],
    *,
    port: Annotated[
        int,
        typer.Option(parser=values.port, metavar="N", help="Port to listen on (default: 19092).", show_default=False),
    ] = 19092,
    data: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Folder of its data and log (default: deploy/kafka/data in the source tree)."),
    ] = None,
) -> int:
    """Run a real Apache Kafka of one node on this machine; needs Java 17 and Maven."""
    from deploy.kafka.local import command

    return command(what, port, data)
