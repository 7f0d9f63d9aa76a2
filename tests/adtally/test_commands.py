"""The one command: its help, what it imports, how it ends, from any folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
import typer

from adtally import topic_commands
from adtally.__main__ import main
from dataflows.commands import frame
from dataflows.contract.errors import AdtallyError, BrokerError, InputError, SettingsError
from dataflows.contract.schema import Reason
from figures.files.formats import FORMATS
from figures.views.selection import INTERVALS
from tests.support.docs.commands_page import PAGE, commands, page

ADTALLY = str(Path(sys.executable).parent / "adtally")
HEAVY = {
    "bytewax",
    "confluent_kafka",
    "polars",
    "pyarrow",
    "panel",
    "bokeh",
    "numpy",
    "rich",
    "tornado",
    "prometheus_client",
}
LEAVES = [path for path, program, _ in commands() if not hasattr(program, "list_commands")]


def run(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ADTALLY_")}
    return subprocess.run(words, cwd=cwd, env=kept | environment, capture_output=True, text=True, timeout=120, check=False)


def test_the_page_of_commands_is_the_help() -> None:
    assert PAGE.read_text() == page(), "docs/commands.md is not the help: run python -m tests.support.docs.commands_page"


def test_these_are_the_commands() -> None:
    assert " ".join(path.removeprefix("adtally ") for path in LEAVES) == (
        "demo run broker kafka generate synthetic generate replay dashboard counters rejected rebuild export topics settings doctor probe"
    )


@pytest.mark.parametrize("path", LEAVES)
def test_the_help_of_every_command_has_an_example_of_it(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*path.split()[1:], "--help"]) == 0
    written = capsys.readouterr()
    assert written.err == ""
    _, word, examples = written.out.partition("Examples:")
    assert word
    assert path in examples
    assert "Options:" in written.out


@pytest.mark.parametrize("path", LEAVES)
def test_a_wrong_flag_is_one_line_and_exit_code_2(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*path.split()[1:], "--no-such-flag"]) == 2
    written = capsys.readouterr()
    assert written.out == ""
    (line,) = written.err.splitlines()
    assert line.startswith("adtally: no such option: --no-such-flag")
    assert line.endswith(f"(see {path} --help)")


@pytest.mark.parametrize(
    "flags", [["--help"], ["--version"], ["counters", "--help"], ["generate", "synthetic", "--help"], ["settings"]]
)
def test_a_command_imports_only_what_it_needs(flags: list[str], tmp_path: Path) -> None:
    program = (
        f"import sys; from adtally.__main__ import main; code = main({flags!r});"
        " print('|'.join(sys.modules), file=sys.stderr); sys.exit(code)"
    )
    done = run(sys.executable, "-c", program, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    loaded = {name.partition(".")[0] for name in done.stderr.split("|")}
    assert not loaded & HEAVY
    assert len(done.stderr.split("|")) < 450


def test_commands_run_from_any_folder_by_both_names(tmp_path: Path) -> None:
    (tmp_path / "calendar.py").touch()  # a file that happens to be named like a module of the standard library is not imported
    for words in ([ADTALLY], [sys.executable, "-m", "adtally"]):
        done = run(*words, "--version", cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert re.fullmatch(r"adtally \d+\.\d+\.\d+\n", done.stdout)
    lines = run(ADTALLY, "generate", "synthetic", "--dry-run", "--seed", "7", "--count", "3", cwd=tmp_path).stdout.splitlines()
    assert len(lines) == 3


def test_without_a_command_it_shows_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "missing command (see adtally --help)" in capsys.readouterr().err


def test_completion_of_the_shell_names_the_commands(tmp_path: Path) -> None:
    done = run(ADTALLY, cwd=tmp_path, _ADTALLY_COMPLETE="complete_bash", COMP_WORDS="adtally re", COMP_CWORD="1")
    assert done.stdout.split() == ["rejected", "rebuild"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SettingsError("a setting"), 2),
        (InputError("a file"), 2),
        (BrokerError("a broker"), 1),
        (AdtallyError("something"), 1),
        (PermissionError(13, "Permission denied", "here"), 1),
    ],
)
def test_an_error_that_a_user_can_cause_is_one_line_with_the_exit_code_of_its_kind(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    app = frame.new_app("A program.")

    @app.command()
    def fail() -> None:
        raise error

    assert frame.run(app, []) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"adtally: {'here' if code == 1 and isinstance(error, OSError) else error}")


def test_a_defect_keeps_its_traceback() -> None:
    app = frame.new_app("A program.")

    @app.command()
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        frame.run(app, [])


def test_ctrl_c_ends_a_command_with_130() -> None:
    app = frame.new_app("A program.")

    @app.command()
    def wait() -> None:
        raise KeyboardInterrupt

    assert frame.run(app, []) == frame.INTERRUPTED


def test_the_names_in_the_flags_are_those_of_the_code() -> None:
    assert set(topic_commands.REASONS) == set(get_args(Reason))
    assert list(topic_commands.FORMATS) == list(FORMATS)
    metavars = {one.name: one.metavar for one in typer.main.get_command(topic_commands.app).commands["export"].params}  # pyright: ignore[reportAttributeAccessIssue] - a group
    assert metavars["interval"] == "|".join(INTERVALS)
