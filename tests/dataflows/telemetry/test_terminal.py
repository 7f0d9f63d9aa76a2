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
from tests.support.docs.commands_page import commands
from tests.support.flows import environment

ROOT = Path(__file__).parents[3]
PACKAGES = ("dataflows", "generator", "panel_app", "deploy")
ENCODINGS = {
    "C": {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
}
ALL_HELP = """
import sys
from adtally.__main__ import main
codes = [main([*path.split()[1:], "--help"]) for path in sys.argv[1:]]
sys.exit(any(codes))
"""


def clean_environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not re.match(r"PYTHON|LC_|LANG|ADTALLY_", name)}
    return {**kept, "PYTHONPATH": str(ROOT), **more}


@pytest.mark.parametrize("encoding", ["C", "ascii"])
def test_every_help_text_is_printed(encoding: str) -> None:
    names = [path for path, _, _ in commands()]
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
    assert done.stdout.count(b"Usage: ") == len(names)


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
            [sys.executable, "-m", "adtally", "rejected", flag, "--containing", "Café Ж".encode()],
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
    program = "import sys; from dataflows.telemetry.terminal import typed; print(ascii([typed(word) for word in sys.argv[1:]]))"
    done = subprocess.run(
        [sys.executable, "-c", program, "Été Ж 😀".encode(), b"\xe9t\xe9", "plain"],
        env=clean_environment(**ENCODINGS["C"]),
        cwd=ROOT,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.stderr == b""
    assert ast.literal_eval(done.stdout.decode()) == ["Été Ж 😀", "\udce9t\udce9", "plain"]
