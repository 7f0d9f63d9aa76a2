"""The command ``adtally generate synthetic``: only its flags, for what a run needs is imported once it runs."""

from __future__ import annotations

from typing import Annotated

import typer

from dataflows.commands import values
from generator import options
from generator.options import Brokers, DryRun, Quiet, Synthesis, Target, Topic

_SHARE = values.checked("a share such as 0.05 or 5%", values.fraction, 0.0, 1.0)
_DURATION = values.checked("a duration such as 30m, 90s or 2h (at most 366d)", values.seconds, 0.0, 366 * 86_400.0)
_WEIGHT = values.checked("a weight of 0 or more", float, 0.0, 1e9)
_RATE = values.checked("a rate from 0.001 to 10000000", float, 0.001, 1e7)
_COUNT = values.whole("a number of events", 0, 10**12)
_SEED = values.whole("a whole number from 0 to 2**63 - 1", 0, 2**63 - 1)
_CAMPAIGNS = values.whole("a number from 1 to 100000", 1, 100_000)
_ADS = values.whole("a number from 1 to 1000", 1, 1_000)
_KEYWORDS = values.whole("a number from 1 to 10000", 1, 10_000)

_AMOUNT, _WHAT, _FAULTS = "How much", "What", "Faults, as shares of all messages"


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
    ads: Annotated[
        int,
        typer.Option(
            parser=_ADS,
            metavar="N",
            help="Number of ads of a campaign on a channel, in ad groups of three (default: 8).",
            show_default=False,
            rich_help_panel=_WHAT,
        ),
    ] = 8,
    keywords: Annotated[
        int,
        typer.Option(
            parser=_KEYWORDS,
            metavar="N",
            help="Number of keywords of an ad group in search, and of its placements in display and video (default: 40).",
            show_default=False,
            rich_help_panel=_WHAT,
        ),
    ] = 40,
    currencies: Annotated[
        str | None,
        typer.Option(
            parser=options.currencies,
            metavar="CODES",
            help="Currencies in which campaigns are billed, separated by commas: most in the first one, the others in turn in the rest "
            "(default: ADTALLY_CURRENCY and EUR, or USD where that is EUR). Event types come from ADTALLY_EVENT_TYPES.",
            show_default=False,
            rich_help_panel=_WHAT,
        ),
    ] = None,
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
            help="Payloads that break the contract, in 25 ways (default: 0).",
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
            ads=ads,
            keywords=keywords,
            currencies=currencies,
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
