"""Runs the tests of what bypasses confluent-kafka's objects with the oldest and the newest version that ``pyproject.toml`` allows.

``python .ci/client_versions.py``; the lock file has one version only, and an installation from the wheel may get any of them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import tomllib
from importlib.util import find_spec
from pathlib import Path

NAME = "confluent-kafka"
TESTS = ("tests/dataflows/kafka/test_fetch.py", "tests/dataflows/kafka/test_produce.py", "tests/dataflows/flow/test_engines.py")


def allowed() -> tuple[str, str]:
    """Return the requirements that give the oldest and the newest version; raises `SystemExit` where the range is not bounded."""
    requirements = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    (bounds,) = [text.removeprefix(NAME) for text in requirements if text.startswith(NAME)]
    found = re.fullmatch(r">=([\d.]+),<[\d.]+", bounds)
    if found is None:
        raise SystemExit(f"{NAME}{bounds} in pyproject.toml has no lower or no upper bound")
    return f"{NAME}=={found[1]}", f"{NAME}{bounds}"


def run(requirement: str) -> bool:
    """Run the tests with what `requirement` gives, in front of the one that is installed; whether they passed."""
    pip = [sys.executable, "-m", "pip"] if find_spec("pip") else ["uv", "pip"]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*pip, "install", "--quiet", "--no-deps", "--target", folder, requirement], check=True)  # noqa: S603 - our own words
        path = os.pathsep.join([folder, os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "PYTHONPATH": path, "ADTALLY_REQUIRE": "native"}
        shown = (
            f"import confluent_kafka as k; assert k.__file__.startswith({folder!r}), k; print(k.__version__, k.libversion()[0])"
        )
        print(f"client versions: {requirement} is", flush=True)  # noqa: T201 - what the command says
        subprocess.run([sys.executable, "-c", shown], env=environment, check=True)  # noqa: S603 - ditto
        return not subprocess.run([sys.executable, "-m", "pytest", "-q", *TESTS], env=environment, check=False).returncode  # noqa: S603 - ditto


if __name__ == "__main__":
    passed = [run(requirement) for requirement in allowed()]
    sys.exit(0 if all(passed) else 1)
