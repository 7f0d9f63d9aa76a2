"""What import-linter, which holds the layers in `make lint` (pyproject.toml), can't say."""

from __future__ import annotations

from pathlib import Path


def test_there_is_no_package_at_the_root() -> None:
    assert not (Path(__file__).parents[2] / "__init__.py").exists()
