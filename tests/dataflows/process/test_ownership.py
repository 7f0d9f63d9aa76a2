"""An environment in which another distribution owns a package of ours is refused; adtally's own files, however installed, are not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dataflows.contract.errors import SettingsError
from dataflows.process.ownership import PACKAGES, check_packages

ROOT = Path(__file__).parents[3]


def installed(folder: Path, name: str, *files: str) -> None:
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "RECORD").write_text("".join(f"{file},sha256=abc,1\n" for file in files))


def test_this_environment_is_accepted() -> None:
    check_packages()


@pytest.mark.parametrize("package", PACKAGES)
def test_a_distribution_that_owns_a_package_of_ours_is_named(tmp_path: Path, package: str) -> None:
    installed(tmp_path, "other_name", "other/__init__.py", f"{package}/__init__.py", f"{package}/base.py")
    with pytest.raises(
        SettingsError, match=rf"^the distribution other-name has a package {package} too, .*environment of its own\.$"
    ):
        check_packages([str(tmp_path)])


def test_our_own_files_and_names_that_only_begin_alike_are_no_matter(tmp_path: Path) -> None:
    installed(tmp_path, "adtally", *(f"{package}/__init__.py" for package in PACKAGES))
    installed(
        tmp_path, "dataflows_tools", "dataflows_tools/__init__.py", "tests/dataflows/__init__.py", "my_generator/__init__.py"
    )
    (tmp_path / "torn-1.0.dist-info" / "RECORD").mkdir(parents=True)
    check_packages([str(tmp_path), str(tmp_path / "nowhere"), ""])


@pytest.mark.parametrize(
    "command",
    [
        ("-m", "bytewax.run", "dataflows.marketing"),
        ("-m", "generator", "synthetic", "--count", "1"),
        ("-m", "panel_app", "--port", "65535"),
        ("-m", "adtally", "counters"),
        ("-m", "adtally", "demo"),
    ],
)
def test_no_command_starts_there(tmp_path: Path, command: tuple[str, ...]) -> None:
    installed(tmp_path, "dataflows", "dataflows/__init__.py")
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}", "ADTALLY_BROKERS": "127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    (line,) = done.stderr.splitlines()
    assert "the distribution dataflows has a package dataflows too" in line
    assert done.returncode == 2
