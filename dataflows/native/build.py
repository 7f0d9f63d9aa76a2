"""Builds the native engine with the C compiler of the machine: ``python -m dataflows.native.build`` after a change of its sources.

An installation does it by itself (hatch_build.py). Like `dataflows.native.sources` it uses the standard library only.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from dataflows.native.sources import CSRC, FLAGS, FOLDER, LINKED, SOURCES, library_file


class BuildError(Exception):
    """Why the library can't be built, and the cure, in one line."""


def compiler() -> list[str]:
    """Return the command of a C compiler: ``CC``, else what the machine has; raises `BuildError` if it has none."""
    cc_command = shlex.split(os.environ.get("CC", ""))
    for command in [cc_command] if cc_command else [["cc"], ["gcc"], ["clang"]]:
        if shutil.which(command[0]):
            return command
    raise BuildError(
        f"no compiler: there is no {cc_command[0] if cc_command else 'cc'} on PATH; install gcc or clang and install adtally again."
    )


def build(folder: Path = FOLDER) -> Path:
    """Build the library into `folder`, in place of older ones, and return its path. Raises `BuildError`."""
    command, file = compiler(), folder / library_file().name
    try:
        with tempfile.NamedTemporaryFile(dir=folder, suffix=".part", delete=False) as part_file:
            part = Path(part_file.name)
    except OSError as error:
        raise BuildError(f"{folder} can't be written ({error.strerror}); give this user the right to.") from None
    architecture = shlex.split(os.environ.get("ARCHFLAGS", ""))  # where wheels of macOS are built
    try:
        done = subprocess.run(  # noqa: S603 - the compiler of the machine, on sources of our own
            [*command, *FLAGS, *architecture, "-o", str(part), *(str(CSRC / name) for name in SOURCES), *LINKED],
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
    for old in folder.glob("tally-*.so"):
        if old != file:
            old.unlink(missing_ok=True)
    return file


def main() -> int:
    """Build the library if it is not there; return 0 if it is there then."""
    try:
        if not library_file().exists():
            build()
    except BuildError as error:
        print(f"adtally: {error}", file=sys.stderr)  # noqa: T201 - a command's answer
        return 1
    print("the native engine is built")  # noqa: T201 - ditto
    return 0


if __name__ == "__main__":
    sys.exit(main())
