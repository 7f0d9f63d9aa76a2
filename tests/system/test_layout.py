"""Folders are small enough to be read at a glance, and a test module depends on the product and on tests/support only."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = sorted(path.name for path in ROOT.iterdir() if path.is_dir() and any(path.glob("*.py")))
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
NOT_COUNTED = {"__init__.py", "__main__.py", "conftest.py"}
TEST_MODULES = [path for path in MODULES if path.is_relative_to(ROOT / "tests")]


def imported(tree: ast.AST) -> set[str]:
    """Full names of what `tree` imports, also inside functions: ``from a import b`` is both a and a.b."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def is_test_module(name: str) -> bool:
    """Whether `name` is that of a test module or a conftest, or of something in one."""
    return name.startswith("tests.") and any(part == "conftest" or part.startswith("test_") for part in name.split("."))


def test_no_folder_has_more_than_18_modules() -> None:
    folders = Counter(path.parent.relative_to(ROOT) for path in MODULES if path.name not in NOT_COUNTED)
    assert {str(folder): number for folder, number in folders.items() if number > 18} == {}


def test_a_test_module_imports_no_other_one_and_no_benchmark_unless_it_tests_it() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in TEST_MODULES
        for name in sorted(imported(ast.parse(path.read_text(encoding="utf-8"))))
        if is_test_module(name)
        or (name.partition(".")[0] == "benchmarks" and not path.is_relative_to(ROOT / "tests" / "benchmarks"))
    ]
    assert wrong == []
