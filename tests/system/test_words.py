"""The word list of `make lint` finds what it bans wherever people read it, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = next(folder for folder in Path(__file__).parents if (folder / "pyproject.toml").is_file())


def check(folder: Path, name: str, source: str) -> list[str]:
    """Return the lines that the command prints about a file."""
    file = folder / name
    file.write_text(source, encoding="utf-8")
    command = [sys.executable, ".ci/words.py", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == bool(done.stdout)
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("name", "source", "line"),
    [
        ("page.md", "First.\n\nThe broker was told.\n", 3),
        ("page.md", "It is kept for\never.\n", 1),
        ("code.py", "x = 1\n# Nobody reads it.\n", 2),
        ("code.py", 'def f():\n    """Whoever calls it."""\n', 2),
        ("code.py", 'line = f"{1} stands here"\n', 1),
        ("code.py", "# for\n# ever\n", 1),
        ("test_code.py", "def test_the_clock_is_no_fault() -> None: ...\n", 1),
        ("code.c", "int a;\n/* one\n * that is let\n * go */\n", 3),
        ("code.js", "let a;\nlog(`so many ${a}`);\n", 2),
        ("run.sh", "true # begin anew\n", 1),
        ("Makefile", "all: ## what he wished\n", 1),
    ],
)
def test_a_banned_word_is_found_with_its_line(tmp_path: Path, name: str, source: str, line: int) -> None:
    findings = check(tmp_path, name, source)
    assert findings
    assert f"{name}:{line}: " in findings[0]


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("page.md", "There is no broker. It is no longer used. HTTP stands for a protocol. An odd number of text/plain parts."),
        ("page.md", "Who may see the dashboard? The heading is the house of the besides."),
        ("code.py", "told = 1\nif told:\n    heard = told\n"),
        ("code.c", "int let, go; // released\n"),
        ("picture.png", "told"),
    ],
)
def test_what_is_not_banned_passes(tmp_path: Path, name: str, source: str) -> None:
    assert check(tmp_path, name, source) == []
