"""The options of a run of the generator, and the parsers of its own types of flags."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import msgspec
import typer

if TYPE_CHECKING:
    from generator.formats.numbers import Mark
    from generator.formats.times import Order


PROGRAM = "adtally generate"
WHERE = "Where to"

_CURRENCY = re.compile("[A-Z]{3}")

FORMAT_NAMES = ("jsonl", "online-retail", "open-bandit", "ad-report", "snowplow")
"""Names of the formats in `generator.formats.registry`, which is slow to import."""

Brokers = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="Kafka bootstrap servers (default: ADTALLY_BROKERS).", rich_help_panel=WHERE),
]
Topic = Annotated[str | None, typer.Option(metavar="NAME", help="Topic (default: ADTALLY_LOGS_TOPIC).", rich_help_panel=WHERE)]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Write events to standard output, one a line, without waiting; Kafka is not used.",
        rich_help_panel=WHERE,
    ),
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", help="Show errors, bad rows and the summary only, without progress.", rich_help_panel=WHERE),
]


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where events go: to `topic` at `brokers` (None: as the environment says), or with `dry_run` to standard output."""

    brokers: str | None = None
    topic: str | None = None
    dry_run: bool = False
    quiet: bool = False


class Synthesis(msgspec.Struct, frozen=True, kw_only=True):
    """Which events to generate: `rate` a second, `duration` and `backfill` in seconds, faults as shares of all messages."""

    rate: float
    count: int | None
    duration: float | None
    backfill: float
    start_time: int | None
    """Microseconds since 1970."""
    seed: int | None
    campaigns: int
    channels: str
    ads: int
    keywords: int
    currencies: str | None
    """Separated by commas; None for the deployment's and another one."""
    impressions: float
    clicks: float
    conversions: float
    disorder: float
    disorder_seconds: float
    duplicates: float
    late: float
    malformed: float


class Replaying(msgspec.Struct, frozen=True, kw_only=True):
    """Which files to replay, how fast (`speed`: a factor, infinite for at once), and how to read what is ambiguous in them."""

    files: list[str]
    format: str
    speed: float
    shift_to_now: bool
    timezone: ZoneInfo | None
    dates: Order | None
    decimal: Mark | None
    encoding: str | None
    currency: str | None
    fields: tuple[tuple[str, str], ...]
    """Fields of an event, each with the column that it is read from."""
    keep_bad: bool


def zone(text: str) -> ZoneInfo:
    """Return a time zone by its IANA name; raises `typer.BadParameter`."""
    try:
        return ZoneInfo(text)
    except (ValueError, OSError, KeyError):  # unknown, an empty name, a folder of the database
        raise typer.BadParameter(f"{text!r} is not a time zone, such as Europe/London") from None


def encoding(text: str) -> str:
    """Return the name of a text encoding; raises `typer.BadParameter` if Python does not know it."""
    try:
        "a".encode(text).decode(text)
    except (LookupError, UnicodeError, ValueError):  # unknown, not a text encoding, or unable to encode ASCII
        raise typer.BadParameter(f"{text!r} is not a text encoding, such as utf-8 or cp1252") from None
    return text


def speed(text: str) -> float:
    """Return a positive factor, or infinity for ``max``; raises `ValueError`."""
    return math.inf if text == "max" else float(text)


def channels(given: object) -> str:
    """Return a number of channels, 1 to 1000, or names separated by commas, as it was given; raises `typer.BadParameter`."""
    text = str(given)
    names = [part.strip() for part in text.split(",")]
    unwritable = any("\ud800" <= character <= "\udfff" for character in text)  # bytes that are not UTF-8
    if unwritable or not all(0 < len(part) <= 256 for part in names) or (text.isdecimal() and not 1 <= int(text) <= 1000):
        raise typer.BadParameter(f"{text!r} is neither a number from 1 to 1000 nor names separated by commas")
    return text


def fields(given: list[str]) -> tuple[tuple[str, str], ...]:
    """Return field and column of each ``field=column``; raises `typer.BadParameter`."""
    pairs: dict[str, str] = {}
    for text in given:
        field, _, column = (part.strip() for part in text.partition("="))
        if not field or not column or any("\ud800" <= character <= "\udfff" for character in field):
            raise typer.BadParameter(f"{text!r} is not a field and a column, such as product=Description", param_hint="--field")
        if field in pairs:
            raise typer.BadParameter(f"it gives the field {field!r} twice", param_hint="--field")
        pairs[field] = column
    return tuple(pairs.items())


def currency(given: object) -> str:
    """Return an ISO 4217 code; raises `typer.BadParameter`."""
    text = str(given)
    if not _CURRENCY.fullmatch(text):
        raise typer.BadParameter(f"{text!r} is not a currency, such as USD: three capital letters")
    return text


def currencies(given: object) -> str:
    """Return different ISO 4217 codes, separated by commas; raises `typer.BadParameter`."""
    codes = [currency(part.strip()) for part in str(given).split(",")]
    if len(set(codes)) < len(codes):
        raise typer.BadParameter(f"{str(given)!r} names a currency twice")
    return ",".join(codes)
