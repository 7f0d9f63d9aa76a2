"""Limiting a process to a share of a processor: the cgroup files that are written, and the error where the machine does not allow it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.shares import PERIOD, Shares
from dataflows.contract.errors import AdtallyError


def groups(root: Path) -> list[Path]:
    return [one for one in root.iterdir() if one.name.startswith("adtally-")]


def test_an_error_says_what_is_needed_where_cgroups_are_not_available(tmp_path: Path) -> None:
    with (
        Shares(tmp_path) as shares,
        pytest.raises(AdtallyError, match=r"--share needs a cgroup of its own in .*cpu.*run it as root"),
    ):
        shares.limit(os.getpid(), 0.25)


def test_the_share_and_the_process_are_written_to_both_kinds_of_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Path.mkdir

    def mkdir(self: Path) -> None:
        """As the kernel does: with the files of the group in it."""
        made(self)
        if self.parent == tmp_path:
            (self / "cpu.max").touch()

    monkeypatch.setattr(Path, "mkdir", mkdir)
    monkeypatch.setattr(Path, "rmdir", lambda _self: None)
    (tmp_path / "cpu").mkdir()
    with Shares(tmp_path) as shares:
        shares.limit(17, 0.25)
        (group,) = groups(tmp_path / "cpu")
        assert {file.name: file.read_text() for file in group.iterdir()} == {
            "cpu.cfs_period_us": str(PERIOD),
            "cpu.cfs_quota_us": str(PERIOD // 4),
            "cgroup.procs": "17",
        }
    (tmp_path / "cgroup.controllers").touch()
    with Shares(tmp_path) as shares:
        shares.limit(18, 1.5)
        (group,) = groups(tmp_path)
        assert (group / "cpu.max").read_text() == f"{PERIOD * 3 // 2} {PERIOD}"
        assert (group / "cgroup.procs").read_text() == "18"
