"""Checks of the recovery folder: owner, parts, version of the state, age of the last snapshot, room on its disk."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from dataflows.commands.doctor.check_result import CheckResult, fail, ok, warn
from dataflows.flow.state import VERSION, stored_versions

ROOM_BYTES = 1 << 30
"""Free bytes below which a disk gets a warning."""

FULL_BYTES = 16 << 20
"""Free bytes below which a disk is too full for a snapshot."""

OLD_SECONDS = 300.0
"""Age of the last snapshot above which a running flow has a problem."""

CREATE = "adtally run -r creates it"


def recovery(folder: Path | None) -> Iterator[CheckResult]:
    """Check `folder`; None: a run without one."""
    if folder is None:
        yield ok("recovery", "no folder given (-r or ADTALLY_RECOVERY_FOLDER): nothing was checked")
        return
    parts = sorted(folder.glob("part-*.sqlite3")) if folder.is_dir() else []
    if not parts:
        there = "does not contain a recovery store" if folder.is_dir() else "does not exist"
        yield warn("recovery", f"{folder} {there}; {CREATE}")
        return
    yield _owner(folder)
    try:
        yield _store(folder, parts)
    except (OSError, sqlite3.Error) as error:
        yield fail("recovery", f"{folder} can't be read ({error}); restore it from a backup")
    yield _disk(folder)


def _owner(folder: Path) -> CheckResult:
    status = folder.stat()
    if not os.access(folder, os.W_OK | os.X_OK):
        return fail("recovery", f"{folder} can't be written by this user; give it write access, or use another folder")
    if status.st_mode & 0o077:
        return warn("recovery", f"{folder} is open to other users, who could run code by what they put there: chmod 700 {folder}")
    if status.st_uid != os.getuid():
        return warn("recovery", f"{folder} belongs to user {status.st_uid}; make it this user's: chown {os.getuid()} {folder}")
    return ok("recovery", f"{folder}: of this user alone")


def _store(folder: Path, parts: list[Path]) -> CheckResult:
    counts = {_one(part, "SELECT max(part_count) FROM parts") for part in parts}
    wanted = max((count for count in counts if isinstance(count, int)), default=0)
    if len(parts) < wanted:
        return warn(
            "recovery",
            f"{folder} has {len(parts)} of the {wanted} parts of its store; if no other machine has the rest, bring it back from a backup",
        )
    if not any(_one(part, "SELECT count(*) FROM snaps") for part in parts):
        return ok("recovery", f"{folder}: a new store of {len(parts)} parts, without a snapshot")
    try:
        versions = {version for part in parts for version in stored_versions(part)}
    except ValueError as error:
        return fail("recovery", f"{folder} holds a state that this adtally can't read ({error}); {_other_version()}")
    if versions - {VERSION}:
        other_versions = ", ".join(map(str, sorted(versions - {VERSION}, key=str)))
        return fail("recovery", f"{folder} holds a state of version {other_versions}; {_other_version()}")
    age = time.time() - max(file.stat().st_mtime for part in parts for file in folder.glob(f"{part.name}*"))
    words = f"{folder}: state of version {VERSION}, last snapshot {age:,.0f} s ago"
    if not _in_use(folder):
        return ok("recovery", f"{words}; no flow uses it now")
    if age > OLD_SECONDS:
        return warn("recovery", f"{words}, though a flow uses it; look at the log of the flow, and at the broker")
    return ok("recovery", f"{words}; a flow uses it")


def _other_version() -> str:
    return f"this one reads {VERSION}: use the version that wrote it, or a new folder and another ADTALLY_RESULTS_TOPIC"


def _disk(folder: Path) -> CheckResult:
    free = shutil.disk_usage(folder).free
    words = f"{free / (1 << 30):,.1f} GiB free on the disk of {folder}"
    if free < FULL_BYTES:
        return fail("disk", f"{words}: too little for a snapshot; make room there")
    return warn("disk", f"{words}; make room there") if free < ROOM_BYTES else ok("disk", words)


def _one(part: Path, query: str) -> Any:
    with closing(sqlite3.connect(f"{part.resolve().as_uri()}?mode=ro", uri=True, timeout=5)) as store:
        return store.execute(query).fetchone()[0]


def _in_use(folder: Path) -> bool:
    for lock in folder.glob("adtally-*.lock"):
        try:
            with lock.open() as handle:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False
