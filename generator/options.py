"""The command line of the generator: every flag, with its help and its bounds."""

from __future__ import annotations

import argparse
import datetime as dt
import math
import re
from collections.abc import Callable
from typing import NoReturn
from zoneinfo import ZoneInfo

from dataflows.contract.schema import to_micros
from generator.formats.numbers import MARKS
from generator.formats.registry import FORMATS
from generator.formats.times import ORDERS
from generator.report import PROGRAM

EXAMPLES = f"""examples:
  {PROGRAM} synthetic                                    20 events/s until Ctrl-C
  {PROGRAM} synthetic --backfill 30m --malformed 1%      history first, then live, with faults
  {PROGRAM} synthetic --rate 100000 --duration 1m        a load test
  {PROGRAM} synthetic --dry-run --seed 7 --count 1000    the same 1,000 lines on every machine
  {PROGRAM} replay --format online-retail --speed max data/2010-12-*.csv
  {PROGRAM} replay --format open-bandit --shift-to-now --speed 60 random-men.csv
  {PROGRAM} replay --format jsonl events.jsonl.gz

The broker and the topic come from ADTALLY_BROKERS and ADTALLY_LOGS_TOPIC, or from --brokers and --topic.
It ends with 0 if every event was acknowledged, 1 if one was not or there is no broker, 2 for an option or a file that can't be used."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        """Exit with 2 and one line."""
        self.exit(2, f"{PROGRAM}: {message} (see {self.prog} --help)\n")


def _checked(what: str, parse: Callable[[str], float], low: float, high: float = math.inf) -> Callable[[str], float]:
    def convert(text: str) -> float:
        try:
            value = parse(text.strip())
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
        return value

    return convert


def duration(text: str) -> float:
    """Seconds of ``30m``, ``90s``, ``1.5h``, ``500ms``, ``2d`` or ``45``; raises `ValueError`."""
    match = re.fullmatch(r"([0-9]*\.?[0-9]+)(ms|s|m|h|d)?", text)
    if match is None:
        raise ValueError(text)
    return float(match[1]) * _UNITS[match[2] or "s"]


def share(text: str) -> float:
    """0.05 of ``5%`` or ``0.05``; raises `ValueError`."""
    return float(text[:-1]) / 100 if text.endswith("%") else float(text)


def moment(text: str) -> int:
    """Microseconds since 1970 of a time with a zone; raises `argparse.ArgumentTypeError`."""
    try:
        parsed = dt.datetime.fromisoformat(text)
    except ValueError:
        parsed = None
    if parsed is None or parsed.tzinfo is None or not 1970 <= parsed.year <= 2999:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time with a zone in the years 1970 to 2999, such as 2026-01-01T12:00:00Z"
        )
    return to_micros(parsed)


def zone(text: str) -> ZoneInfo:
    """A time zone by its IANA name; raises `argparse.ArgumentTypeError`."""
    try:
        return ZoneInfo(text)
    except (ValueError, OSError, KeyError):  # unknown, no name at all, a folder of the database
        raise argparse.ArgumentTypeError(f"{text!r} is not a time zone, such as Europe/London") from None


def encoding(text: str) -> str:
    """Return the name of a text encoding; raises `argparse.ArgumentTypeError` if Python does not know it."""
    try:
        "a".encode(text).decode(text)
    except (LookupError, UnicodeError, ValueError):  # unknown, not a text encoding, or unable to encode ASCII
        raise argparse.ArgumentTypeError(f"{text!r} is not a text encoding, such as utf-8 or cp1252") from None
    return text


def speed(text: str) -> float:
    """A positive factor, or infinity for ``max``; raises `ValueError`."""
    return math.inf if text == "max" else float(text)


def _whole(text: str) -> int:
    return int(text.replace(",", "").replace("_", ""))


def _channels(text: str) -> str:
    names = [part.strip() for part in text.split(",")]
    unwritable = any("\ud800" <= character <= "\udfff" for character in text)  # bytes that are not UTF-8
    if unwritable or not all(0 < len(part) <= 256 for part in names) or (text.isdecimal() and not 1 <= int(text) <= 1000):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number from 1 to 1000 nor names separated by commas")
    return text


_SHARE = _checked("a share such as 0.05 or 5%", share, 0.0, 1.0)
_DURATION = _checked("a duration such as 30m, 90s or 2h (at most 366d)", duration, 0.0, 366 * 86_400.0)
_WEIGHT = _checked("a weight of 0 or more", float, 0.0, 1e9)
_COUNT = _checked("a number of events", _whole, 0, 10**12)


def parser() -> Parser:
    """The whole command line."""
    root = Parser(
        prog=PROGRAM,
        description="Sends ad events to Kafka: synthetic ones, or real files replayed.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = root.add_subparsers(dest="command", required=True, metavar="{synthetic,replay}", parser_class=Parser)
    _synthetic(
        commands.add_parser("synthetic", help="make events up", description="Makes events up (docs/generator.md says how).")
    )
    _replay(
        commands.add_parser(
            "replay", help="send the events of real files", description="Sends the rows of real files as events, ordered by time."
        )
    )
    return root


def _common(command: argparse.ArgumentParser) -> None:
    where = command.add_argument_group("where to")
    where.add_argument("--brokers", metavar="HOST:PORT", help="Kafka bootstrap servers (default: ADTALLY_BROKERS)")
    where.add_argument("--topic", help="topic (default: ADTALLY_LOGS_TOPIC)")
    where.add_argument(
        "--dry-run", action="store_true", help="write events to standard output, one a line, without waiting; no Kafka"
    )
    where.add_argument("--quiet", action="store_true", help="only errors, bad rows and the summary; no progress")


def _synthetic(command: argparse.ArgumentParser) -> None:
    amount = command.add_argument_group("how much")
    add = amount.add_argument
    add(
        "--rate",
        type=_checked("a rate from 0.001 to 10000000", float, 0.001, 1e7),
        default=20.0,
        metavar="N",
        help="messages per second, faults included (default: 20)",
    )
    add("--count", type=_COUNT, metavar="N", help="end after N messages, backfill and faults included")
    add("--duration", type=_DURATION, metavar="TIME", help="end after so long: 90s, 30m, 2h (backfill not included)")
    begin = amount.add_mutually_exclusive_group()
    begin.add_argument(
        "--backfill",
        type=_DURATION,
        default=0.0,
        metavar="TIME",
        help="begin so long ago: the past goes out at once, at the density of the rate, then live (default: 0)",
    )
    begin.add_argument(
        "--start-time",
        type=moment,
        metavar="TIME",
        help="begin at this time, with a zone; the past goes out at once",
    )
    add(
        "--seed",
        type=_checked("a whole number from 0 to 2**63 - 1", _whole, 0, 2**63 - 1),
        metavar="N",
        help="the same seed, begin and options give the same events, byte for byte (default: a new one, which is shown); a dry run "
        "with a seed takes 2026-01-01T12:00:00Z for now",
    )
    add = command.add_argument_group("what").add_argument
    add(
        "--campaigns",
        type=_checked("a number from 1 to 100000", _whole, 1, 100_000),
        default=12,
        metavar="N",
        help="how many: the 12 demo campaigns first, generated ones after them (default: 12)",
    )
    add(
        "--channels",
        type=_channels,
        default="6",
        metavar="N|NAMES",
        help="how many of search, social, display, video, email, affiliate, or names separated by commas (default: 6)",
    )
    add("--impressions", type=_WEIGHT, default=80.0, metavar="W", help="weight of impressions in the mix (default: 80)")
    add("--clicks", type=_WEIGHT, default=17.0, metavar="W", help="weight of clicks (default: 17)")
    add(
        "--conversions",
        type=_WEIGHT,
        default=3.0,
        metavar="W",
        help="weight of conversions, purchases among them (default: 3); refunds and cost events come on top, 0.2 %% or so",
    )
    add = command.add_argument_group("faults, as shares of all messages").add_argument
    add("--disorder", type=_SHARE, default=0.0, metavar="SHARE", help="events that arrive after younger ones: 0.05 or 5%%")
    add("--disorder-seconds", type=_DURATION, default=3.0, metavar="TIME", help="by how much at most (default: 3s)")
    add("--duplicates", type=_SHARE, default=0.0, metavar="SHARE", help="events sent a second time")
    add(
        "--late",
        type=_SHARE,
        default=0.0,
        metavar="SHARE",
        help="events that come after the allowed lateness (none in the first 200)",
    )
    add("--malformed", type=_SHARE, default=0.0, metavar="SHARE", help="payloads that break the contract, in 21 ways")
    _common(command)


def _replay(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add(
        "files",
        nargs="+",
        metavar="FILE",
        help="files (also compressed: gzip, zip, ...), pipes, folders, or - for standard input; several are merged by time",
    )
    add("--format", required=True, choices=sorted(FORMATS), help="what the files are")
    add(
        "--speed",
        type=_checked("1, another positive number, or max", speed, 1e-6),
        default=1.0,
        metavar="1|N|max",
        help="1 as it happened, N times as fast, or max: at once (default: 1)",
    )
    add(
        "--shift-to-now",
        action="store_true",
        help="move the times, by whole windows, so that no event lies ahead of its sending and the "
        "last ends now: with --speed 1 the first event is now, with max the last one",
    )
    add(
        "--timezone",
        type=zone,
        metavar="NAME",
        help="zone of times that have none (default: Europe/London for online-retail; elsewhere such rows are bad)",
    )
    add(
        "--dates",
        choices=ORDERS,
        help="order of ambiguous dates such as 1/12/2010; with iso, such rows are bad (default: month-first for online-retail, as it is "
        "published; other files with such dates are refused)",
    )
    add(
        "--decimal",
        choices=MARKS,
        help="decimal mark of ambiguous numbers such as 1,234 (default: files with such numbers are refused)",
    )
    add(
        "--encoding",
        type=encoding,
        metavar="NAME",
        help="encoding of the files, such as cp1252 (default: UTF-8, UTF-16 or UTF-32, as detected in each file)",
    )
    add("--keep-bad", action="store_true", help="jsonl: also send lines that are not events, so that the dataflow rejects them")
    _common(command)
