"""The frame of every command: its declaration, the layout of its help, and its exit codes.

Exit codes: 0 done; 1 it could not be done; 2 the usage, the settings or an input file can't be used; 130 stopped by Ctrl-C. An error that
a user can cause is one line on standard error.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

import typer
from typer.core import TyperCommand
from typer.exceptions import TyperException
from typing_extensions import override

from dataflows.contract.errors import AdtallyError
from dataflows.contract.settings import Settings
from dataflows.process.ownership import check_packages
from dataflows.telemetry import log_lines

PROGRAM = "adtally"

DONE, FAILED, UNUSABLE, INTERRUPTED = 0, 1, 2, 130
"""The exit codes."""

LINE = 110
"""Longest line of a help text."""


class Command(TyperCommand):
    """A command whose help lists its options by group; no markup, so that any terminal can show it."""

    @override
    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options, those of each `rich_help_panel` under its name."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            row = parameter.get_help_record(ctx)
            if row is not None:
                argument = parameter.param_type_name == "argument"
                group = getattr(parameter, "rich_help_panel", None) or ("Arguments" if argument else "Options")
                # The text after an argument's name is its type in Python's words.
                groups.setdefault(group, []).append((row[0].partition(" <")[0], row[1]) if argument else row)
        for title, rows in groups.items():
            with formatter.section(title):
                formatter.write_dl(rows)


def new_app(description: str, *, completion: bool = False) -> typer.Typer:
    """Return an empty program: plain help, no traceback of its own. `completion` adds the options that install shell completion."""
    return typer.Typer(
        help=description,
        add_completion=completion,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["--help", "-h"], "max_content_width": LINE},
    )


def examples(*lines: str) -> str:
    """Return the end of a help text: `lines` as they are, under the word Examples."""
    return "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))


def run(app: typer.Typer, arguments: Sequence[str] | None = None, program: str = PROGRAM) -> int:
    """Run the command that `arguments` (the process's own by default) name; return its exit code."""
    try:
        code = typer.main.get_command(app)(args=arguments, prog_name=program, standalone_mode=False)
    except TyperException as error:
        return _unusable(error, program)
    except AdtallyError as error:
        fail(str(error))
        return error.exit_code
    except OSError as error:
        if error.filename is None:
            raise
        fail(f"{error.filename} can't be used ({error.strerror}); run this where you may write and where no file is in its way.")
        return FAILED
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    return code if isinstance(code, int) else DONE


def fail(line: str) -> None:
    """Print the one line of an error."""
    with contextlib.suppress(OSError):  # the terminal has been closed
        log_lines.say(PROGRAM, line)


def _unusable(error: TyperException, program: str) -> int:
    context = getattr(error, "ctx", None)
    words = " ".join(error.format_message().split()).removesuffix(".").replace("Value error, ", "")
    fail(f"{words[:1].lower()}{words[1:]} (see {context.command_path if context else program} --help)")
    return UNUSABLE


def settings_of(
    part: str, variables: Mapping[str, str | None] | None = None, *, secrets: Mapping[str, str] | None = None
) -> Settings:
    """Return the settings of this process, with `variables` overriding its environment, and set up its log lines.

    `part` names the process in JSON log lines; `secrets` are values that no log line may show. Raises `SettingsError`, also where another
    distribution owns a package of adtally.
    """
    check_packages()
    more = {name: value for name, value in (variables or {}).items() if value is not None}
    settings = Settings.from_environment({**os.environ, **more})
    log_lines.set_up(settings, part, secrets=secrets)
    return settings
