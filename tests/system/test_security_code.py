"""What the code must not do: unpickle or run what comes from outside, or trust everybody."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.deploy.processes import ROOT

PACKAGES = ("dataflows", "generator", "panel_app", "deploy")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

UNPICKLING = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
"""Modules that make objects, and so run code, out of bytes."""

RUNNING = {"eval", "exec", "compile", "__import__"}


def nodes(path: Path) -> Iterator[ast.AST]:
    yield from ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_but_bytewax_from_its_own_folder_unpickles(path: Path) -> None:
    assert not imported(path) & UNPICKLING
    names = {node.id for node in nodes(path) if isinstance(node, ast.Name)}
    attributes = {node.attr for node in nodes(path) if isinstance(node, ast.Attribute)}
    assert not names & RUNNING
    assert not attributes & {"read_pickle", "to_pickle", "unsafe_load", "allow_pickle"}
    # numpy and polars read arrays of objects only on request.
    keywords = {node.arg for node in nodes(path) if isinstance(node, ast.keyword)}
    assert "allow_pickle" not in keywords
    assert not any(isinstance(node, ast.keyword) and node.arg == "shell" for node in nodes(path))


def test_the_test_above_would_find_it(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    for line in (
        "import pickle",
        "from pickle import loads",
        "eval('1')",
        "frame = polars.read_pickle('x')",
        "run('x', shell=True)",
    ):
        bad.write_text(line)
        with pytest.raises(AssertionError):
            test_nothing_but_bytewax_from_its_own_folder_unpickles(bad)
