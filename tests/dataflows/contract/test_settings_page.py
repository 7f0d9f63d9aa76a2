"""docs/settings.md is complete, and says what the code does."""

from __future__ import annotations

import re
import subprocess

import pytest

from dataflows.contract.client_properties import CLIENT_PREFIX
from tests.support.docs import settings_page
from tests.support.docs.settings_page import COMMANDS, PAGE, ROOT

VARIABLE = re.compile(r"\bADTALLY_[A-Z0-9_]*[A-Z0-9]\b")
READERS = (
    "adtally",
    "dataflows",
    "generator",
    "panel_app",
    "deploy",
    "benchmarks",
    ".ci",
    "Makefile",
    "start_mvp.sh",
    "tests/conftest.py",
)


def test_the_page_is_what_the_code_says_now() -> None:
    assert PAGE.read_text() == settings_page.page(), (
        "docs/settings.md is not what the code says: run python -m tests.support.docs.settings_page"
    )


def test_every_variable_that_the_code_names_is_on_the_page() -> None:
    files = subprocess.run(
        ["git", "ls-files", *READERS], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    code = "\n".join((ROOT / name).read_text() for name in files if not name.endswith((".md", ".json", ".c", ".h")))
    named = {name for name in VARIABLE.findall(code) if not name.startswith(CLIENT_PREFIX)}
    assert len(named) > 20
    rows = set(re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.MULTILINE))
    assert {name if name in rows else name.removesuffix("_FILE") for name in named} <= rows
    for name, _, _ in settings_page.OTHERS:
        assert re.search(rf"\b{name}\b", code), f"nothing reads {name}"


@pytest.mark.parametrize(("name", "default"), [(name, default) for name, default, _ in settings_page.OTHERS if default])
def test_the_default_of_what_scripts_read_is_the_one_that_they_have(name: str, default: str) -> None:
    files = ("deploy/processes/launch.py", "adtally/pipeline.py", "adtally/checks.py", "Makefile")
    code = "\n".join((ROOT / file).read_text() for file in files)
    assert re.search(
        rf'{name}"\) or "{default}"|default: {name}, or {default}\)|{name} \?= {default}\b|\(or \$\({name}\),{default}\)',
        code,
        re.M,
    ), name


def test_every_other_command_that_reads_flags_has_its_table() -> None:
    folders = ("adtally", "dataflows", "figures", "generator", "panel_app", "deploy")
    reading = {
        ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for folder in folders
        for file in (ROOT / folder).rglob("*.py")
        if "ArgumentParser(" in file.read_text() and "\ndef main(" in file.read_text()
    }
    assert reading <= set(COMMANDS.values())
