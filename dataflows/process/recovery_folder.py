"""The recovery folder of a run: locked for one process of the cluster, and checked before anything is read."""

from __future__ import annotations

import errno
import fcntl
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import TextIO

from dataflows.contract.errors import RecoveryError
from dataflows.process.last_words import full


def lock_recovery(folder: Path, process: int) -> TextIO:
    """Lock `folder` for this process of the cluster while the returned file is open; raises `RecoveryError` if it can't be used.

    The store may be with process 0 alone: the folders of the others are then empty.
    """
    make = f"create it with: mkdir -p {folder} && python -m bytewax.recovery {folder} 4"
    if not folder.is_dir():
        raise RecoveryError(f"the recovery folder {folder} does not exist; {make}")
    if not process and not any(folder.glob("part-*.sqlite3")):
        raise RecoveryError(f"the folder {folder} does not contain a recovery store; {make}")
    try:
        with suppress(OSError):  # it belongs to another user, but this one may write to it
            # Its content is pickle: who can write there can run code here.
            folder.chmod(0o700)
        handle = (folder / f"adtally-{process}.lock").open("w")
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise full(folder) from None
        raise RecoveryError(
            f"the recovery folder {folder} can't be written ({error.strerror}); give this user write access, or use another -r."
        ) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise RecoveryError(f"another flow uses the recovery folder {folder}; stop it first, or use another folder.") from None
    for part in sorted(folder.glob("part-*.sqlite3")):
        _check_store(part)
    return handle


def _check_store(part: Path) -> None:
    """Raise `RecoveryError` if a file of the recovery store is not an intact SQLite database."""
    try:
        with closing(sqlite3.connect(f"{part.resolve().as_uri()}?mode=ro", uri=True, timeout=5)) as store:
            (verdict,) = store.execute("PRAGMA quick_check(1)").fetchone()
            tables = store.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    except sqlite3.OperationalError as error:
        if "locked" in str(error) or "busy" in str(error):
            return  # another process of the cluster is writing: it is alive
        verdict, tables = str(error), 0
    except sqlite3.DatabaseError as error:
        verdict, tables = str(error), 0
    if verdict != "ok" or not tables:
        raise RecoveryError(
            f"{part} of the recovery folder is damaged ({verdict if verdict != 'ok' else 'it is empty'}); restore the folder "
            "from a backup, or start with an empty "
            "recovery folder and another ADTALLY_RESULTS_TOPIC."
        )
