"""Disks that are small, or that can't be written, for a test that needs one; such a test skips where this user may not mount any."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


def _mount(*arguments: str) -> None:
    if sys.platform != "linux" or os.geteuid():
        reason = "needs root on Linux: it mounts a small disk of its own"
    else:
        done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
        if not done.returncode:
            return
        reason = f"can't mount a small disk here: {done.stderr.strip()}"
    pytest.skip(reason)


def _unmount(folder: Path) -> None:
    # Lazy: what still holds a file open there does not keep the test from ending.
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def small_disk(folder: Path, kib: int) -> Generator[Path]:
    """A disk of `kib` KiB, with room for 30 files, at `folder`, which is made."""
    folder.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={kib}k,nr_inodes=30", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        _unmount(folder)


@contextmanager
def read_only(folder: Path) -> Generator[None]:
    """Context in which no user, not even root, can write to `folder`."""
    _mount("--bind", str(folder), str(folder))
    try:
        _mount("-o", "remount,ro,bind", str(folder))
        yield
    finally:
        _unmount(folder)


def fill(disk: Path) -> None:
    """Leave no room on it."""
    with (disk / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while filler.write(bytes(4096)):
            pass


def grow(folder: Path, kib: int) -> None:
    """Make room on a `small_disk`."""
    _mount("-o", f"remount,size={kib}k", str(folder))
