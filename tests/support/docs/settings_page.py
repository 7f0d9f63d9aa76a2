"""Writes docs/settings.md out of the code: ``python -m tests.support.docs.settings_page``. A test holds that the page is what this writes.

The settings come from their tables, flags and defaults from the parsers of the commands themselves; only what shell scripts and Make
read has its words here.
"""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

from bytewax import run as bytewax_run

from dataflows.contract.settings import table
from panel_app.server.access import PREFIX, TABLE

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "settings.md"

COMMANDS = {
    "python -m tests.system.oracle": "tests.system.oracle.__main__",
    "python -m tests.system.faults.chaos": "tests.system.faults.chaos",
}
"""Each command other than ``adtally`` that takes flags, and the module whose `main` reads them."""

OTHERS = (
    ("ADTALLY_RECOVERY_FOLDER", "", "`adtally run`: its recovery folder; `/recovery` in the image"),
    (
        "ADTALLY_RUN_FOLDER",
        "run/cluster",
        "`adtally run --processes`: where the logs of the processes go; `/tmp/cluster` in the image",
    ),
    ("ADTALLY_PROCESSES", "1", "`adtally run`: processes of the dataflow on this machine, as one cluster"),
    ("ADTALLY_MEMBERS", "1", "containers: number of containers of the cluster, each with one process"),
    (
        "ADTALLY_MEMBER",
        "",
        "containers: number of this container, from 0, or a name that ends in it, such as the name of a pod",
    ),
    ("ADTALLY_MEMBER_ADDRESS", "", "containers: host:port of each member, with {} instead of its number"),
    ("ADTALLY_MEMBER_LISTEN", "", "containers: address on which this member listens; by default its own member address"),
    (
        "ADTALLY_REQUIRE",
        "",
        "tests: markers whose tests must not be skipped, separated by commas: kafka, browser, long, native, promtool",
    ),
    ("ADTALLY_ARTEFACTS", "", "tests and benchmarks: folder for screenshots, tables and the SBOM"),
    ("PORT", "8503", "`adtally demo`, `make demo`: port of the dashboard"),
    ("KAFKA_PORT", "19092", "`make kafka`: port of the broker"),
    ("PYTHON", "", "`make setup`: the Python that creates `.venv`"),
    ("VENV", ".venv", "`make` and `deploy/setup.sh`: the folder of the virtual environment"),
    ("CC", "", "`make setup`: the C compiler for the native engine; by default the first of cc, gcc, clang"),
    ("TESTS", "", "`make test`: arguments of pytest"),
    ("SEED", "1", "`make chaos`: seed of the random faults"),
    ("RUNS", "5", "`make chaos`: number of runs; `make bench…`: number of rounds"),
    ("SIZES", "", "`make bench…`: number of events of each run, such as 1M,4M"),
    ("ONLY", "", "`make bench…`: systems to run"),
    ("LATENCY", "", "`make bench…`: duration of the latency measurement in seconds; 0 skips it"),
    ("CAMPAIGNS", "", "`make bench…`: number of campaigns"),
    ("PARTITIONS", "", "`make bench…`: number of partitions of each topic"),
    ("HOURS", "2", "`make soak`: duration in hours"),
    ("RATE", "5000", "`make soak`: messages per second"),
)
"""What scripts, Make and the tests read: variable, default, what it sets."""

HEAD = """# Settings

This page lists every environment variable. The flags of `adtally` are on [a page of their own](commands.md). It is generated from the
code by `python -m tests.support.docs.settings_page`, and a test checks that it is current. An empty variable means the default. A
misspelt variable, or a value that can't be used, ends the command with one line that names it. Any other variable that begins with
`ADTALLY_` and has no effect is named in a warning.

A recovery folder can only be resumed with the same logs topic, window size, out-of-orderness, allowed lateness, currency, breakdowns
and event types ([how to change them](operations.md#changing-window-size-or-lateness)). Every other setting can be changed by a restart.
"""

LOGIN = (
    "Each variable may end in `_FILE` and name the file that holds the value ([security](security.md#access-to-the-dashboard))."
)
BENCHMARKS = "Benchmarks print their flags with `--help`: `python -m benchmarks.bench --help`, for example.\n"


class _CaughtError(Exception):
    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.parser = parser


def parser_of(main: Callable[[], object]) -> argparse.ArgumentParser:
    """The parser that `main` reads its arguments with; nothing is run."""

    def caught(parser: argparse.ArgumentParser, *_args: object, **_options: object) -> None:
        raise _CaughtError(parser)

    with mock.patch.object(argparse.ArgumentParser, "parse_known_args", caught):
        try:
            main()
        except _CaughtError as found:
            return found.parser
    raise AssertionError(f"{main.__module__}.{main.__name__} reads no arguments")


def parsers() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Each command and its parser, subcommands on their own."""
    yield "python -m bytewax.run dataflows.marketing", parser_of(bytewax_run._parse_args)  # pyright: ignore[reportPrivateUsage, reportUnknownArgumentType] - bytewax shows its flags nowhere else
    for command, module in COMMANDS.items():
        yield from _with_subcommands(command, parser_of(importlib.import_module(module).main))


def _with_subcommands(command: str, parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]  # pyright: ignore[reportPrivateUsage] - argparse has no other way to its actions
    if not below:
        yield command, parser
    for action in below:
        for name, one in action.choices.items():
            yield from _with_subcommands(f"{command} {name}", one)


def flags(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str, str]]:
    """Each argument as (spelling, default, help)."""
    for action in parser._actions:  # pyright: ignore[reportPrivateUsage] - argparse has no other way to its actions
        if isinstance(action, argparse._HelpAction):  # pyright: ignore[reportPrivateUsage] - the same
            continue
        formatter = parser._get_formatter()  # pyright: ignore[reportPrivateUsage] - what --help itself is made by
        value = "" if action.nargs == 0 else " " + formatter._format_args(action, _metavar(action))  # pyright: ignore[reportPrivateUsage] - the same
        spelling = f"{', '.join(action.option_strings)}{value}".strip()
        shown = "" if action.default in (None, False, [], argparse.SUPPRESS) else str(action.default).removeprefix(f"{ROOT}/")
        words = "" if action.help in (None, argparse.SUPPRESS) else formatter._expand_help(action)  # pyright: ignore[reportPrivateUsage] - the same
        yield spelling, shown, words


def _metavar(action: argparse.Action) -> str:
    return action.dest.upper() if action.option_strings else action.dest


def _row(name: str, default: str, words: str) -> str:
    cells = (f"`{name}`", f"`{default}`" if default else "", " ".join(words.replace("<", "&lt;").split()))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def page() -> str:
    """The whole page."""
    head = "|---|---|---|"
    lines = [HEAD, "## Variables of every part", "", "| variable | default | sets |", head]
    lines += [_row(*row) for row in table()]
    lines += [
        "",
        "## Access to the dashboard",
        "",
        LOGIN,
        "",
    ]
    lines += ["| variable | default | sets |", head, *(_row(PREFIX + name, "", words) for name, words in TABLE.items())]
    lines += ["", "## Variables of scripts, Make and the tests", "", "| variable | default | sets |", head]
    lines += [_row(*row) for row in OTHERS]
    lines += ["", "## Flags of other commands", "", BENCHMARKS]
    for command, parser in parsers():
        found = list(flags(parser))
        if found:
            lines += [f"### `{command}`", "", "| flag | default | |", head, *(_row(*row) for row in found), ""]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
