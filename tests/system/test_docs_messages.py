"""Each error message that the operations guide explains is one that the code prints."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
FOLDERS = ("adtally", "dataflows", "deploy", "figures", "generator", "panel_app")
FROM_ELSEWHERE = ("make: ***", "adtally: invalid value for")
"""Messages of other programs that the guide explains."""


def messages() -> Iterator[str]:
    """Yield the messages in the first column of the table, without the name of the part that prints them."""
    table = OPERATIONS.partition("## Error messages")[2].partition("\n## ")[0]
    for row in re.findall(r"^\| (`.*?) \| ", table, re.MULTILINE):
        for message in re.findall(r"`([^`]+)`", row):
            if not message.startswith(FROM_ELSEWHERE):
                yield re.sub(r"^(adtally|setup|kafka|waiting): ", "", message)


def text_of(node: ast.AST) -> str | None:
    """Return a string literal as it is printed, with … for each value that is put in; None for anything else."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) or "…" for part in node.values)
    return None


@cache
def printed() -> str:
    """Return every string of the Python code and every line of the shell scripts."""
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    found = [text for path in files for node in ast.walk(ast.parse(path.read_text())) if (text := text_of(node))]
    scripts = [path.read_text() for path in [*(ROOT / "deploy").glob("*.sh"), ROOT / "start_mvp.sh"]]
    return "\n".join(re.sub(r"%[sd]|\$\{?\w+\}?", "…", text) for text in [*found, *scripts])


@pytest.mark.parametrize("message", messages())
def test_a_message_that_the_guide_explains_is_printed(message: str) -> None:
    parts = [part.strip(" ;,") for part in message.split("…")]
    assert any(len(part) > 5 for part in parts), "nothing of it can be found in the code"
    assert [part for part in parts if part not in printed()] == []
