"""The audit of CI: findings fail a build, a service that is away does not, and neither goes unsaid."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.deploy.processes import ROOT

SOUND = {"name": "polars", "version": "1.0", "vulns": []}
HURT = {"name": "tornado", "version": "6.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["6.1"]}]}
UNKNOWN = {"name": "adtally", "skip_reason": "not found"}


def audit(folder: Path, packages: list[dict[str, Any]] | None = None, complaint: str = "", code: int = 0) -> tuple[int, str]:
    """What `.ci/audit.py` makes of a pip-audit that answers so."""
    tool = folder / "pip-audit"
    answer = "" if packages is None else json.dumps({"dependencies": packages})
    (folder / "answer").write_text(answer)
    (folder / "complaint").write_text(complaint)
    tool.write_text(f"#!/bin/sh\ncat {folder}/answer; cat {folder}/complaint >&2; exit {code}\n")
    tool.chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    done = subprocess.run(
        [sys.executable, ".ci/audit.py", "requirements.lock"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def test_a_finding_fails_and_is_named_with_the_version_that_mends_it(tmp_path: Path) -> None:
    code, said = audit(tmp_path, [SOUND, HURT], code=1)
    assert code == 1
    assert "tornado 6.0: PYSEC-1 (mended in 6.1)" in said


def test_no_finding_passes_and_says_of_how_many(tmp_path: Path) -> None:
    assert audit(tmp_path, [SOUND]) == (0, "audit: 0 known vulnerabilities in 1 packages of requirements.lock\n")


def test_what_the_service_does_not_know_is_named(tmp_path: Path) -> None:
    code, said = audit(tmp_path, [SOUND, UNKNOWN])
    assert code == 0
    assert "NOT AUDITED: 1 of 2 packages, which the service does not know: adtally" in said


def test_a_service_that_is_away_is_said_and_fails_nothing(tmp_path: Path) -> None:
    code, said = audit(tmp_path, complaint="requests.exceptions.ConnectionError: Failed to resolve 'api.osv.dev'\n", code=1)
    assert (code, said.count("\n")) == (0, 1)
    assert "NOT AUDITED: the service that knows the vulnerabilities can't be reached" in said


@pytest.mark.parametrize("complaint", ["pip-audit: error: unrecognized arguments: --no-such\n", ""])
def test_an_audit_that_is_broken_fails(tmp_path: Path, complaint: str) -> None:
    code, said = audit(tmp_path, complaint=complaint, code=2)
    assert code == 1
    assert "failed" in said
