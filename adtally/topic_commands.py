"""The commands that work on the topics: ``adtally counters``, ``rejected``, ``rebuild``, ``export`` and ``topics``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dataflows.commands import frame, values
from dataflows.commands.frame import Command, examples, settings_of

app = frame.new_app("Work on the topics.")

REASONS = ("malformed", "late", "too_far_ahead", "oversize")
"""The reasons for which an event is rejected, as `dataflows.contract.schema` has them."""

FORMATS = ("json", "jsonl", "csv", "arrow", "feather", "parquet")
"""The formats of an export, as `figures.files.formats` has them."""


@app.command(
    cls=Command, short_help="Show how far the flow is and what became of each message.", epilog=examples("adtally counters")
)
def counters() -> int:
    """Show how far the flow is in each partition, and what became of each message.

    For each partition, read = counted + duplicate + late + malformed; exit code 1 if that does not hold.
    """
    from dataflows.commands.counters import show

    return show(settings_of("counters"))


@app.command(
    cls=Command,
    short_help="List, correct and send again what could not be counted.",
    epilog=examples(
        "adtally rejected                                   the newest 20, and the count of each reason",
        "adtally rejected --reason malformed --payloads > wrong.jsonl",
        "adtally rejected --send corrected.jsonl",
    ),
)
def rejected(
    *,
    reason: Annotated[
        list[str] | None,
        typer.Option(
            parser=values.one_of(*REASONS), metavar="|".join(REASONS), help="Only this reason; may be given several times."
        ),
    ] = None,
    partition: Annotated[
        list[int] | None,
        typer.Option(parser=values.partition, metavar="N", help="Only this partition of the logs; may be given several times."),
    ] = None,
    containing: Annotated[str, typer.Option(metavar="TEXT", help="Only payloads that contain TEXT.", show_default=False)] = "",
    limit: Annotated[
        int,
        typer.Option(
            parser=values.whole("a number of events", 0),
            metavar="N",
            help="Show the newest N (default: 20); 0 shows the counts alone.",
            show_default=False,
        ),
    ] = 20,
    json: Annotated[bool, typer.Option("--json", help="Print the records as JSON lines, all of them.")] = False,
    payloads: Annotated[
        bool,
        typer.Option("--payloads", help="Print only the payloads, one a line, ready to be corrected and sent again with --send."),
    ] = False,
    send: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Send the events of FILE again (JSON lines; - is standard input); if one line is not valid, nothing is sent.",
        ),
    ] = None,
) -> None:
    """List the events that could not be counted, take their payloads out, and send corrected ones in again.

    A payload that is sent again is an event like any other: with an event_id that was never counted it counts, once. One that is late
    stays late; adtally rebuild --late counts it.
    """
    from dataflows.commands.rejected import Wanted, list_rejected, send_file
    from dataflows.telemetry.terminal import typed

    settings = settings_of("rejected")
    if send is not None:
        send_file(settings, send)
        return
    wanted = Wanted(frozenset(reason or ()), frozenset(partition or ()), typed(containing))
    list_rejected(settings, wanted, "json" if json else "payloads" if payloads else "lines", limit)


@app.command(
    cls=Command,
    short_help="Count past windows again from the logs.",
    epilog=examples(
        "adtally rebuild --from 2026-11-23T08:00:00Z --to 2026-11-23T09:00:00Z --dry-run",
        "adtally rebuild --from 2026-11-23T08:00:00Z --to 2026-11-23T09:00:00Z --late",
    ),
)
def rebuild(
    *,
    first: Annotated[
        int, typer.Option("--from", parser=values.moment, metavar="TIME", help="Start of the first window, RFC 3339 with a zone.")
    ],
    last: Annotated[
        int, typer.Option("--to", parser=values.moment, metavar="TIME", help="End of the last window, RFC 3339 with a zone.")
    ],
    late: Annotated[bool, typer.Option("--late", help="Also count what came later than the allowed lateness.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change; write nothing.")] = False,
) -> None:
    """Count past windows again from the logs, and write each result that gains events."""
    if first >= last:
        raise typer.BadParameter("--to must be later than --from", param_hint="--to")
    from dataflows.commands.rebuild import rebuild as count_again

    count_again(settings_of("rebuild"), first, last, late=late, dry_run=dry_run)


@app.command(
    cls=Command,
    short_help="Write results to a file.",
    epilog=examples(
        "adtally export --out results.csv",
        "adtally export --from 2026-11-23T00:00:00Z --interval hour --by channel --out day.parquet",
        "adtally export --out - --format jsonl | head",
    ),
)
def export(
    *,
    out: Annotated[str, typer.Option(metavar="FILE", help="The file; - writes to the terminal or a pipe.")],
    start: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="TIME", help="First window start, RFC 3339 with a zone, or a date in --tz (default: the oldest)."
        ),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Only windows that start before it (default: all).")
    ] = None,
    campaign: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this campaign; may be given several times.")
    ] = None,
    channel: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this channel; may be given several times.")
    ] = None,
    range: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Instead of --from and --to: today, yesterday, last7d, last30d, mtd, last_month, two dates such as "
            "2026-11-01..2026-11-15, or 15m to 30d; seen from the newest result.",
        ),
    ] = None,
    interval: Annotated[
        str,
        typer.Option(
            metavar="minute|quarter|hour|day|week|month|total",
            help="Time that a row covers (default: minute).",
            show_default=False,
        ),
    ] = "minute",
    tz: Annotated[
        str,
        typer.Option(
            metavar="ZONE", help="Time zone of the intervals and dates, such as Europe/Berlin (default: UTC).", show_default=False
        ),
    ] = "UTC",
    week: Annotated[
        str, typer.Option(metavar="monday|sunday", help="Day on which weeks begin (default: monday).", show_default=False)
    ] = "monday",
    currency: Annotated[
        str | None,
        typer.Option(
            metavar="CODE|native",
            help="Currency that money is converted to, or native for a row per currency (default: ADTALLY_CURRENCY).",
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="What splits a row: any of campaign,channel,currency and the fields of a breakdown, or none "
            "(default: campaign,channel and the fields of --breakdown).",
            show_default=False,
        ),
    ] = None,
    breakdown: Annotated[
        str | None, typer.Option(metavar="NAME", help="The results of this breakdown of ADTALLY_BREAKDOWNS.")
    ] = None,
    filter: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD=VALUE",
            help="Only rows of a breakdown with this value; x.FIELD=VALUE excludes it; FIELD.null=1 and FIELD.other=1 after f. or x. "
            "are rows without a value, and what was not admitted. May be given several times.",
        ),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            parser=values.one_of(*FORMATS),
            metavar="|".join(FORMATS),
            help="Format of the file (default: by the ending of FILE; csv without an ending).",
        ),
    ] = None,
    bom: Annotated[bool, typer.Option("--bom", help="Begin CSV with a byte order mark, for spreadsheets.")] = False,
    separator: Annotated[str | None, typer.Option(metavar="CHAR", help="Separator of CSV: , ; | or \\t (default: ,).")] = None,
    decimal_comma: Annotated[
        bool, typer.Option("--decimal-comma", help="Write CSV with decimal commas; needs another separator.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it exists.")] = False,
) -> None:
    """Write results to a file: the last value of each window, campaign and channel, as it is on the topic."""
    from figures.files.export import Wish
    from figures.files.export import export as write

    write(
        settings_of("export"),
        Wish(
            out=out,
            start=start,
            end=end,
            campaigns=campaign or [],
            channels=channel or [],
            range=range,
            interval=interval,
            tz=tz,
            week=week,
            currency=currency,
            by=by,
            breakdown=breakdown,
            filters=filter or [],
            format=format,
            bom=bom,
            separator=separator,
            decimal_comma=decimal_comma,
            force=force,
        ),
    )


@app.command(cls=Command, short_help="Create the topics that are missing.", epilog=examples("adtally topics"))
def topics() -> None:
    """Create the topics that are missing, once the broker answers, and report where one differs from the contract.

    A topic that exists is left as it is; a line names the property that differs and the command that mends it.
    """
    from deploy.kafka.topics import create

    create(settings_of("topics"))
