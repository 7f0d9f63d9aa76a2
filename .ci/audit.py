"""Holds the lock file against the known vulnerabilities: ``python .ci/audit.py [LOCK]``.

It ends with 1 where there is a finding or the audit itself is broken. Where the service can't be reached, or does not know a package, it
says so plainly and ends with 0: a build must not depend on someone else's server, and a skipped audit must not look like a clean one.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

_UNREACHABLE = re.compile(
    r"ConnectionError|NameResolutionError|MaxRetryError|ConnectTimeout|ReadTimeout|ServiceUnavailable|ServiceError"
)


def main(lock: str = "requirements.lock") -> int:
    """Run pip-audit on `lock`, say what it found in a line for each finding, and return the exit code."""
    # As on PATH, else the one next to this interpreter.
    tool = shutil.which("pip-audit") or str(Path(sys.executable).with_name("pip-audit"))
    flags = [
        "--require-hashes",
        "--disable-pip",
        "--vulnerability-service",
        "osv",
        "--format",
        "json",
        "--progress-spinner",
        "off",
    ]
    done = subprocess.run([tool, "--requirement", lock, *flags], capture_output=True, text=True, check=False)  # noqa: S603 - our own arguments
    try:
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        if _UNREACHABLE.search(done.stderr):
            _say(f"NOT AUDITED: the service that knows the vulnerabilities can't be reached from here; {lock} was not checked.")
            return 0
        _say(f"the audit of {lock} failed: {(done.stderr.strip().splitlines() or ['without a word'])[-1]}")
        return 1
    found = [(package, one) for package in packages for one in package.get("vulns", ())]
    for package, one in found:
        mended = ", ".join(one.get("fix_versions", ())) or "no version yet"
        _say(f"{package['name']} {package['version']}: {one['id']} (mended in {mended})")
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    if skipped:
        _say(f"NOT AUDITED: {len(skipped)} of {len(packages)} packages, which the service does not know: {', '.join(skipped)}")
    _say(f"{len(found)} known vulnerabilities in {len(packages) - len(skipped)} packages of {lock}")
    return 1 if found else 0


def _say(line: str) -> None:
    print(f"audit: {line}")  # noqa: T201 - what the command says


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
