"""Limit each process to a share of a processor with Linux's cgroups, so that several have equal resources on a small machine."""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from pathlib import Path
from types import TracebackType
from typing import Self

from dataflows.contract.errors import AdtallyError

ROOT = Path("/sys/fs/cgroup")
PERIOD = 20_000
"""Microseconds in which a share is measured out: short, that a process waits often and not long."""


class Shares:
    """A context in which processes are held to a share (0 to 1, or more for several processors); their children are too."""

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root if (root / "cgroup.controllers").exists() else root / "cpu"
        self._groups: list[Path] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for group in self._groups:
            for _ in range(50):  # a group goes once the last of its processes is gone
                with contextlib.suppress(OSError):
                    group.rmdir()
                    break
                time.sleep(0.1)

    def limit(self, pid: int, share: float) -> None:
        """Hold a process to its share; raises `AdtallyError` where this machine, or its owner, does not allow it."""
        group = self._root / f"adtally-{os.getpid()}-{uuid.uuid4().hex[:6]}"
        quota = round(share * PERIOD)
        try:
            group.mkdir()
            self._groups.append(group)
            if (group / "cpu.max").exists():
                (group / "cpu.max").write_text(f"{quota} {PERIOD}")
            else:
                (group / "cpu.cfs_period_us").write_text(str(PERIOD))
                (group / "cpu.cfs_quota_us").write_text(str(quota))
            (group / "cgroup.procs").write_text(str(pid))
        except OSError as error:
            raise AdtallyError(f"--share needs a cgroup of its own in {self._root} ({error.strerror}); run it as root.") from None
