"""The command ``adtally generate replay``: only its flags, for what a run needs is imported once it runs."""

from __future__ import annotations

from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import typer

from dataflows.commands import values
from generator import options
from generator.options import FORMAT_NAMES, Brokers, DryRun, Quiet, Replaying, Target, Topic

_SPEED = values.checked("1, another positive number, or max", options.speed, 1e-6)


def replay(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE",
            help="Files (also compressed: gzip, zip, ...), pipes, folders, or - for standard input; several are merged by time.",
        ),
    ],
    *,
    format: Annotated[
        str,
        typer.Option(parser=values.one_of(*FORMAT_NAMES), metavar="|".join(FORMAT_NAMES), help="Format of the files."),
    ],
    speed: Annotated[
        float,
        typer.Option(
            parser=_SPEED,
            metavar="1|N|max",
            help="1 as it happened, N times as fast, or max: at once (default: 1).",
            show_default=False,
        ),
    ] = 1.0,
    shift_to_now: Annotated[
        bool,
        typer.Option(
            "--shift-to-now",
            help="Move the times, by whole windows, so that no event lies ahead of its sending and the last ends now: with --speed 1 "
            "the first event is now, with max the last one.",
        ),
    ] = False,
    timezone: Annotated[
        ZoneInfo | None,
        typer.Option(
            parser=options.zone,
            metavar="NAME",
            help="Zone of times that have none (default: Europe/London for online-retail, UTC for ad-report and snowplow; elsewhere such "
            "rows are bad).",
        ),
    ] = None,
    dates: Annotated[
        Literal["day-first", "month-first", "iso"] | None,
        typer.Option(
            help="Order of ambiguous dates such as 1/12/2010; with iso, such rows are bad (default: month-first for online-retail, as it "
            "is published; other files with such dates are refused).",
        ),
    ] = None,
    decimal: Annotated[
        Literal["point", "comma"] | None,
        typer.Option(help="Decimal mark of ambiguous numbers such as 1,234 (default: files with such numbers are refused)."),
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option(
            parser=options.encoding,
            metavar="NAME",
            help="Encoding of the files, such as cp1252 (default: UTF-8, UTF-16 or UTF-32, as detected in each file).",
        ),
    ] = None,
    currency: Annotated[
        str | None,
        typer.Option(
            parser=options.currency,
            metavar="CODE",
            help="Currency of files that name none, not for jsonl (default: none, which counts as ADTALLY_CURRENCY).",
        ),
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=COLUMN",
            help="A further field of each event and the column that it is read from, such as product=Description; may be repeated, and "
            "replaces a field of the format. Not for jsonl.",
        ),
    ] = None,
    keep_bad: Annotated[
        bool,
        typer.Option("--keep-bad", help="jsonl: also send lines that are not events, so that the dataflow rejects them."),
    ] = False,
    brokers: Brokers = None,
    topic: Topic = None,
    dry_run: DryRun = False,
    quiet: Quiet = False,
) -> int:
    """Send the rows of real files as events, ordered by time (docs/generator.md)."""
    from generator.run import run_replay

    return run_replay(
        Replaying(
            files=files,
            format=format,
            speed=speed,
            shift_to_now=shift_to_now,
            timezone=timezone,
            dates=dates,
            decimal=decimal,
            encoding=encoding,
            currency=currency,
            fields=options.fields(field or []),
            keep_bad=keep_bad,
        ),
        Target(brokers=brokers, topic=topic, dry_run=dry_run, quiet=quiet),
    )
