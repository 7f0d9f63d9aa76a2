"""A terminal or pipe that is not UTF-8 gets readable words from every command, and never a traceback."""

from __future__ import annotations

import ast
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dataflows.contract.schema import Rejected, encode, rejected_key
from dataflows.contract.settings import Settings
from dataflows.kafka.clients import deliver
from dataflows.telemetry.terminal import json_for
from tests.support.flows import environment

ROOT = Path(__file__).parents[3]
PACKAGES = ("dataflows", "generator", "panel_app", "deploy")
ENCODINGS = {
    "C": {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
}
ALL_HELP = """
import contextlib, runpy, sys
for module in sys.argv[1:]:
    sys.argv = [module, "--help"]
    with contextlib.suppress(SystemExit):
        runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


def commands() -> list[str]:
    """Every module that can be run with ``python -m`` and reads flags."""
    found: list[str] = []
    for package in (*PACKAGES, "figures"):
        for file in (ROOT / package).rglob("*.py"):
            text = file.read_text(encoding="utf-8")
            if file.name == "__main__.py" or '__name__ == "__main__"' in text:
                module = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__")
                if file.name == "__main__.py" or "ArgumentParser" in text:
                    found.append(module)
    return sorted(found)


def clean_environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not re.match(r"PYTHON|LC_|LANG|ADTALLY_", name)}
    return {**kept, "PYTHONPATH": str(ROOT), **more}


@pytest.mark.parametrize("encoding", ["C", "ascii"])
def test_every_help_text_is_printed(encoding: str) -> None:
    names = commands()
    assert {"dataflows.commands.rejected", "generator", "panel_app", "figures.files.export", "deploy.demo"} <= set(names)
    done = subprocess.run(
        [sys.executable, "-c", ALL_HELP, *names],
        env=clean_environment(**ENCODINGS[encoding]),
        cwd=ROOT,
        capture_output=True,
        timeout=240,
        check=False,
    )
    assert b"Traceback" not in done.stderr
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert done.stdout.count(b"usage: ") >= len(names)


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_any_package_makes_output_take_every_character(package: str) -> None:
    program = f"import sys, {package}; print('a…\\u2192b é Ж 😀 \\ud800'); print('Ж', file=sys.stderr)"
    for name, expected in (("ascii", rb"a...->b \u00e9 \u0416 \ud83d\ude00 \ud800"), ("utf-8", "a…→b é Ж 😀 \\ud800".encode())):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=clean_environment(PYTHONIOENCODING=name),
            cwd=ROOT,
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert (done.returncode, done.stdout.strip()) == (0, expected), done.stderr


@pytest.mark.parametrize("encoding", ["C", "latin-1"])
def test_payloads_are_the_same_json_in_every_encoding(settings: Settings, encoding: str) -> None:
    event = Rejected("malformed", "words…", "logs", 0, 1, "2026-01-01T00:00:00Z", '{"campaign_id":"Café Ж 😀","channel":"…"}')
    deliver(settings, "test", settings.rejected_topic, [(rejected_key("logs", 0, 1), encode(event))])
    env = {**environment(settings), **ENCODINGS[encoding], "PYTHONPATH": str(ROOT)}
    for flag, expected in (("--payloads", json.loads(event.payload or "")), ("--json", json.loads(encode(event)))):
        done = subprocess.run(
            [sys.executable, "-m", "dataflows.commands.rejected", flag, "--containing", "Café Ж".encode()],
            env=env,
            cwd=ROOT,
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout.isascii()
        assert json.loads(done.stdout) == expected


def test_json_for_a_stream_that_is_utf_8_is_unchanged() -> None:
    assert json_for(io.TextIOWrapper(io.BytesIO(), "utf8"), '"é"') == '"é"'
    assert json_for(io.StringIO(), '"é"') == '"é"'
    assert json_for(io.TextIOWrapper(io.BytesIO(), "cp1252"), '"é😀"') == r'"\u00e9\ud83d\ude00"'


def test_a_name_typed_where_the_locale_has_no_such_characters_is_that_name() -> None:
    program = (
        "import sys; from figures.files.export import parser; given = parser().parse_args(sys.argv[1:]);"
        " print(ascii([given.campaign, given.channel]))"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            program,
            "--out=-",
            "--campaign",
            "Été Ж 😀".encode(),
            "--channel",
            b"\xe9t\xe9",
            "--channel",
            "plain",
        ],
        env=clean_environment(**ENCODINGS["C"]),
        cwd=ROOT,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.stderr == b""
    assert ast.literal_eval(done.stdout.decode()) == [["Été Ж 😀"], ["\udce9t\udce9", "plain"]]
