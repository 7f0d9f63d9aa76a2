"""The commands ``adtally generate synthetic`` and ``adtally generate replay``; ``python -m generator`` is the same.

Only their flags: what a run needs is imported once it runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import typer

from dataflows.commands import frame, values
from dataflows.commands.frame import Command, examples
from generator import options
from generator.options import FORMAT_NAMES, PROGRAM, Replaying, Synthesis, Target

_SHARE = values.checked("a share such as 0.05 or 5%", values.fraction, 0.0, 1.0)
_DURATION = values.checked("a duration such as 30m, 90s or 2h (at most 366d)", values.seconds, 0.0, 366 * 86_400.0)
_WEIGHT = values.checked("a weight of 0 or more", float, 0.0, 1e9)
_RATE = values.checked("a rate from 0.001 to 10000000", float, 0.001, 1e7)
_SPEED = values.checked("1, another positive number, or max", options.speed, 1e-6)
_COUNT = values.whole("a number of events", 0, 10**12)
_SEED = values.whole("a whole number from 0 to 2**63 - 1", 0, 2**63 - 1)
_CAMPAIGNS = values.whole("a number from 1 to 100000", 1, 100_000)

_AMOUNT, _WHAT, _FAULTS, _WHERE = "How much", "What", "Faults, as shares of all messages", "Where to"

Brokers = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="Kafka bootstrap servers (default: ADTALLY_BROKERS).", rich_help_panel=_WHERE),
]
Topic = Annotated[str | None, typer.Option(metavar="NAME", help="Topic (default: ADTALLY_LOGS_TOPIC).", rich_help_panel=_WHERE)]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Write events to standard output, one a line, without waiting; Kafka is not used.",
        rich_help_panel=_WHERE,
    ),
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", help="Show errors, bad rows and the summary only, without progress.", rich_help_panel=_WHERE),
]

app = frame.new_app(
    "Send ad events to Kafka: synthetic ones, or real files replayed.\n\nExit code 0 if every event was acknowledged, 1 if one was not "
    "or no broker answers, 2 for an option or a file that can't be used."
)


@app.callback()
def generate() -> None:
    """Keep the two commands apart: what they share is in their own flags."""


@app.command(
    cls=Command,
    short_help="Make events up.",
    epilog=examples(
        f"{PROGRAM} synthetic                                  20 events/s until Ctrl-C",
        f"{PROGRAM} synthetic --backfill 30m --malformed 1%    history first, then live, with faults",
        f"{PROGRAM} synthetic --rate 100000 --duration 1m      a load test",
        f"{PROGRAM} synthetic --dry-run --seed 7 --count 1000  the same 1,000 lines on every machine",
    ),
)
def synthetic(
    *,
    rate: Annotated[
        float,
        typer.Option(
            parser=_RATE,
            metavar="N",
            help="Messages per second, faults included (default: 20).",
            show_default=False,
            rich_help_panel=_AMOUNT,
        ),
    ] = 20.0,
    count: Annotated[
        int | None,
        typer.Option(
            parser=_COUNT, metavar="N", help="End after N messages, backfill and faults included.", rich_help_panel=_AMOUNT
        ),
    ] = None,
    duration: Annotated[
        float | None,
        typer.Option(
            parser=_DURATION,
            metavar="TIME",
            help="End after this time: 90s, 30m, 2h (backfill not included).",
            rich_help_panel=_AMOUNT,
        ),
    ] = None,
    backfill: Annotated[
        float | None,
        typer.Option(
            parser=_DURATION,
            metavar="TIME",
            help="Begin this long before now: the past is sent at once, at the density of the rate, then live (default: 0).",
            rich_help_panel=_AMOUNT,
        ),
    ] = None,
    start_time: Annotated[
        int | None,
        typer.Option(
            parser=values.moment,
            metavar="TIME",
            help="Begin at this time, with a zone; the past is sent at once. Not together with --backfill.",
            rich_help_panel=_AMOUNT,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            parser=_SEED,
            metavar="N",
            help="The same seed, begin and options give the same events, byte for byte (default: a random one, which is shown). "
            "For a dry run with a seed, now is 2026-01-01T12:00:00Z.",
            rich_help_panel=_AMOUNT,
        ),
    ] = None,
    campaigns: Annotated[
        int,
        typer.Option(
            parser=_CAMPAIGNS,
            metavar="N",
            help="Number of campaigns: the 12 of the demo first, generated ones after them (default: 12).",
            show_default=False,
            rich_help_panel=_WHAT,
        ),
    ] = 12,
    channels: Annotated[
        str,
        typer.Option(
            parser=options.channels,
            metavar="N|NAMES",
            help="Number of channels out of search, social, display, video, email, affiliate, or names separated by commas (default: 6).",
            show_default=False,
            rich_help_panel=_WHAT,
        ),
    ] = "6",
    impressions: Annotated[
        float,
        typer.Option(
            parser=_WEIGHT,
            metavar="W",
            help="Weight of impressions in the mix (default: 80).",
            show_default=False,
            rich_help_panel=_WHAT,
        ),
    ] = 80.0,
    clicks: Annotated[
        float,
        typer.Option(
            parser=_WEIGHT, metavar="W", help="Weight of clicks (default: 17).", show_default=False, rich_help_panel=_WHAT
        ),
    ] = 17.0,
    conversions: Annotated[
        float,
        typer.Option(
            parser=_WEIGHT,
            metavar="W",
            help="Weight of conversions, purchases among them; refunds and cost events are added, about 0.2 % (default: 3).",
            show_default=False,
            rich_help_panel=_WHAT,
        ),
    ] = 3.0,
    disorder: Annotated[
        float,
        typer.Option(
            parser=_SHARE,
            metavar="SHARE",
            help="Events that arrive after younger ones: 0.05 or 5% (default: 0).",
            show_default=False,
            rich_help_panel=_FAULTS,
        ),
    ] = 0.0,
    disorder_seconds: Annotated[
        float,
        typer.Option(
            parser=_DURATION,
            metavar="TIME",
            help="Largest delay of such an event (default: 3s).",
            show_default=False,
            rich_help_panel=_FAULTS,
        ),
    ] = 3.0,
    duplicates: Annotated[
        float,
        typer.Option(
            parser=_SHARE,
            metavar="SHARE",
            help="Events sent a second time (default: 0).",
            show_default=False,
            rich_help_panel=_FAULTS,
        ),
    ] = 0.0,
    late: Annotated[
        float,
        typer.Option(
            parser=_SHARE,
            metavar="SHARE",
            help="Events that come after the allowed lateness, none in the first 200 (default: 0).",
            show_default=False,
            rich_help_panel=_FAULTS,
        ),
    ] = 0.0,
    malformed: Annotated[
        float,
        typer.Option(
            parser=_SHARE,
            metavar="SHARE",
            help="Payloads that break the contract, in 21 ways (default: 0).",
            show_default=False,
            rich_help_panel=_FAULTS,
        ),
    ] = 0.0,
    brokers: Brokers = None,
    topic: Topic = None,
    dry_run: DryRun = False,
    quiet: Quiet = False,
) -> int:
    """Make events up and send them, live or from the past on (docs/generator.md)."""
    if backfill is not None and start_time is not None:
        raise typer.BadParameter("not allowed with --start-time", param_hint="--backfill")
    from generator.run import run_synthetic

    return run_synthetic(
        Synthesis(
            rate=rate,
            count=count,
            duration=duration,
            backfill=backfill or 0.0,
            start_time=start_time,
            seed=seed,
            campaigns=campaigns,
            channels=channels,
            impressions=impressions,
            clicks=clicks,
            conversions=conversions,
            disorder=disorder,
            disorder_seconds=disorder_seconds,
            duplicates=duplicates,
            late=late,
            malformed=malformed,
        ),
        Target(brokers=brokers, topic=topic, dry_run=dry_run, quiet=quiet),
    )


@app.command(
    cls=Command,
    short_help="Send the events of real files.",
    epilog=examples(
        f"{PROGRAM} replay --format online-retail --speed max data/2010-12-*.csv",
        f"{PROGRAM} replay --format open-bandit --shift-to-now --speed 60 random-men.csv",
        f"{PROGRAM} replay --format jsonl events.jsonl.gz",
    ),
)
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
            help="Zone of times that have none (default: Europe/London for online-retail; elsewhere such rows are bad).",
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
            keep_bad=keep_bad,
        ),
        Target(brokers=brokers, topic=topic, dry_run=dry_run, quiet=quiet),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the generator alone; return the exit code."""
    return frame.run(app, arguments, PROGRAM)
