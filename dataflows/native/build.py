"""Builds the native engine with the C compiler of the machine: ``python -m dataflows.native.build``."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from dataflows.native.library import CSRC, FLAGS, FOLDER, LINKED, SOURCES, library_file


class BuildError(Exception):
    """Why the library can't be built, and the cure, in one line."""


def compiler() -> list[str]:
    """The command of a C compiler: ``CC``, else what the machine has; raises `BuildError` if it has none."""
    given = shlex.split(os.environ.get("CC", ""))
    for command in [given] if given else [["cc"], ["gcc"], ["clang"]]:
        if shutil.which(command[0]):
            return command
    raise BuildError(f"there is no C compiler ({given[0] if given else 'cc'}); install gcc or clang and run it again.")


def build() -> Path:
    """Build the library where it belongs, in place of older ones; its path. Raises `BuildError`."""
    command, file = compiler(), library_file()
    try:
        with tempfile.NamedTemporaryFile(dir=FOLDER, suffix=".part", delete=False) as made:
            part = Path(made.name)
    except OSError as error:
        raise BuildError(f"{FOLDER} can't be written ({error.strerror}); give this user the right to.") from None
    try:
        done = subprocess.run(  # noqa: S603 - the compiler of the machine, on sources of our own
            [*command, *FLAGS, "-o", str(part), *(str(CSRC / name) for name in SOURCES), *LINKED],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        if done.returncode:
            reason = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr.strip()[:200])
            raise BuildError(f"the C compiler ({command[0]}) failed: {reason}")
        part.chmod(0o755)
        part.replace(file)  # at once: a flow that starts meanwhile finds it whole or not at all
    finally:
        part.unlink(missing_ok=True)
    for old in FOLDER.glob("tally-*.so"):
        if old != file:
            old.unlink(missing_ok=True)
    return file


def main() -> int:
    """The command; 0 if the library is there."""
    parser = argparse.ArgumentParser(prog="python -m dataflows.native.build", description="Build adtally's native engine.")
    parser.add_argument("--if-possible", action="store_true", help="say it, and go on, where it can't be built")
    optional = parser.parse_args().if_possible
    try:
        if not library_file().exists():
            build()
    except BuildError as error:
        if optional:
            print(f"the native engine is not built: {error} adtally is as exact without it, and takes about three times the CPU.")  # noqa: T201 - a command's answer
            return 0
        print(f"adtally: {error}", file=sys.stderr)  # noqa: T201 - ditto
        return 1
    print("the native engine is built")  # noqa: T201 - ditto
    return 0


if __name__ == "__main__":
    sys.exit(main())
