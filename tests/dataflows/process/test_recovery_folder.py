from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from dataflows.contract.errors import AdtallyError, RecoveryError
from dataflows.flow.lifecycle import Lifecycle
from dataflows.process.recovery_folder import lock_recovery
from dataflows.process.stop import set_back
from tests.support.disks import small_disk
from tests.support.flows import recovery_folder


def part_of(folder: Path) -> Path:
    (part,) = folder.glob("part-*.sqlite3")
    return part


def test_a_new_recovery_folder_is_taken_and_closed_to_others(tmp_path: Path) -> None:
    folder = recovery_folder(tmp_path / "recovery")
    lock_recovery(folder, 0)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_two_processes_of_one_cluster_share_a_folder_and_two_runs_do_not(tmp_path: Path) -> None:
    folder = recovery_folder(tmp_path / "recovery")
    held = lock_recovery(folder, 0), lock_recovery(folder, 1)
    with pytest.raises(RecoveryError, match="another flow uses the recovery folder"):
        lock_recovery(folder, 1)
    del held


def truncated(part: Path) -> None:
    os.truncate(part, part.stat().st_size // 2)


def garbage(part: Path) -> None:
    part.write_bytes(b"no database at all" * 1000)


def emptied(part: Path) -> None:
    part.write_bytes(b"")


@pytest.mark.parametrize("damage", [truncated, garbage, emptied])
def test_a_damaged_store_is_one_line_that_names_the_file_and_the_cure(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    folder = recovery_folder(tmp_path / "recovery")
    damage(part_of(folder))
    with pytest.raises(RecoveryError, match=r"part-0\.sqlite3 of the recovery folder is damaged .*backup") as caught:
        lock_recovery(folder, 0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("make", [lambda _: None, lambda folder: folder.mkdir()], ids=["no folder", "an empty one"])
def test_a_folder_without_a_store_is_one_line_with_the_command_that_makes_it(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "recovery")
    with pytest.raises(RecoveryError, match=r"python -m bytewax\.recovery"):
        lock_recovery(tmp_path / "recovery", 0)


def test_outside_of_the_command_an_error_passes_through() -> None:
    with pytest.raises(AdtallyError, match="the culprit"), Lifecycle().one_line_errors():
        raise AdtallyError("the culprit, the cure")


def test_a_clock_set_back_is_reported_and_one_set_forward_or_adjusted_is_not() -> None:
    steps = iter([1.0, 3600.0, 1.0, -4.0, 0.5, -7200.0])  # of the wall clock, while the other goes on by a second
    clocks = {"wall": 1_000_000.0, "monotonic": 50.0}
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        clocks["wall"] += next(steps)
        clocks["monotonic"] += seconds

    error = set_back(wait, lambda: clocks["wall"], lambda: clocks["monotonic"])
    assert str(error).startswith("the clock of this machine was set back by 7,201 s, which would stall the flow; run the same")
    assert len(waited) == 6


def test_a_folder_on_a_full_disk_is_reported_as_full_and_not_as_forbidden(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 100) as disk:
        folder = recovery_folder(disk / "recovery")
        with suppress(OSError):  # until there is no room for a lock file either
            for number in itertools.count():
                (disk / f"filler {number}").touch()
        with pytest.raises(RecoveryError, match=f"the disk of the recovery folder {folder} is full; free some space there"):
            lock_recovery(folder, 0)
