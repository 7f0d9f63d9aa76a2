"""Refuse to start if another distribution has installed files into a package of adtally (PyPI has a ``dataflows`` of its own)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from dataflows.contract.errors import SettingsError

PACKAGES = ("adtally", "dataflows", "deploy", "figures", "generator", "panel_app")
"""The packages that the wheel installs."""


def check_packages(paths: Sequence[str] | None = None) -> None:
    """Raise `SettingsError` if a distribution other than adtally owns one of `PACKAGES`; `paths`: where Python looks (`sys.path`).

    It reads the lists of installed files themselves: `importlib.metadata` takes a hundred times as long.
    """
    for folder in dict.fromkeys(sys.path if paths is None else paths):
        for record in Path(folder or ".").glob("*.dist-info/RECORD"):
            name = record.parent.name.removesuffix(".dist-info").rpartition("-")[0]
            package = None if name.lower() == "adtally" else _owned(record)
            if package is not None:
                raise SettingsError(
                    f"the distribution {name.replace('_', '-')} has a package {package} too, in {folder}, and one overwrote the other; "
                    "install adtally into an environment of its own."
                )


def _owned(record: Path) -> str | None:
    """Return the first of `PACKAGES` that the distribution with this list of files owns."""
    try:
        files = b"\n" + record.read_bytes()
    except OSError:
        return None
    return next((package for package in PACKAGES if f"\n{package}/__init__.py,".encode() in files), None)
