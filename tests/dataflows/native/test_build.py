"""What a person meets of the native engine: where there is no compiler, where it fails, and what ADTALLY_NATIVE does."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dataflows import native
from dataflows.contract.errors import SettingsError
from dataflows.contract.settings import Settings
from dataflows.flow.engines import Engine
from dataflows.intake.partition import IntakeState
from dataflows.native import CSRC, FOLDER, HEADERS, SOURCES, structs
from dataflows.native.library import SIGNATURES, library

pytestmark = pytest.mark.native


def test_a_missing_compiler_is_one_line() -> None:
    command = [sys.executable, "-m", "dataflows.native.build"]
    code = (
        "import pathlib, sys, dataflows.native.build as b; b.library_file = lambda: pathlib.Path('/no/x.so'); sys.exit(b.main())"
    )
    without = {"PATH": "/nowhere", "PYTHONPATH": "."}
    done = subprocess.run([sys.executable, "-c", code], env=without, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "adtally: no compiler: there is no cc on PATH; install gcc or clang and install adtally again.\n"
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "the native engine is built\n", "")


def test_a_compiler_that_fails_is_named_with_its_first_error() -> None:
    code = "import dataflows.native.build as b; b.SOURCES = ('no.c',); b.build()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert re.search(r"BuildError: the C compiler \(\S+\) failed: .*no\.c", done.stderr)
    assert not list(FOLDER.glob("*.part"))


@pytest.mark.usefixtures("asked_anew")
def test_requiring_a_missing_native_engine_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "why_not", lambda: "it is not built")
    with pytest.raises(SettingsError, match=r"ADTALLY_NATIVE=on, but .*it is not built; install a C compiler"):
        Engine(Settings(native="on")).make_intake(0, IntakeState(), lambda: 0.0)
    engine = Engine(Settings())
    assert type(engine.make_intake(0, IntakeState(), lambda: 0.0)).__name__ == "PythonIntake"
    assert not engine.fetches_natively
    assert not engine.sends_natively


def test_it_is_taken_where_it_is_built_and_left_where_it_is_switched_off() -> None:
    for wanted, name in ((Settings(), "Native"), (Settings(native="on"), "Native"), (Settings(native="off"), "Python")):
        assert type(Engine(wanted).make_intake(0, IntakeState(), lambda: 0.0)).__name__ == f"{name}Intake"


@pytest.mark.parametrize("name", [*HEADERS, *SOURCES])
def test_no_line_of_c_is_too_long_to_be_read(name: str) -> None:
    assert [line for line in (CSRC / name).read_text().splitlines() if len(line) > 120] == []


@pytest.mark.skipif(sys.platform != "linux", reason="symbols of other systems are written otherwise")
def test_nothing_is_to_be_had_from_the_library_but_what_is_called_from_outside() -> None:
    command = ["nm", "-D", "--defined-only", native.library_file()]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert {line.split()[-1] for line in lines} == {*SIGNATURES, "conf_init"}


def test_a_library_of_other_sources_is_not_used(tmp_path: Path) -> None:
    for name in (*HEADERS, *SOURCES):
        shutil.copy(CSRC / name, tmp_path)
    before = native.library_file().name
    assert native.library_file(tmp_path).name == before
    (tmp_path / "ids.c").write_text("/* another */")
    assert native.library_file(tmp_path).name != before


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"Row.cost": 16}, "Row.cost is 16 in Python and 8 in C"),
        ({"Fetched": 1}, "Fetched is 1 in Python and "),
        ({"LATE": 6}, "LATE is 6 in Python and 5 in C"),
        ({"Row.of_another_version": 0}, "Row.of_another_version is known only to Python"),
    ],
)
@pytest.mark.usefixtures("asked_anew")
def test_a_library_whose_structs_are_laid_out_otherwise_is_not_used(
    wrong: dict[str, int], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = structs.expected() | wrong
    monkeypatch.setattr(structs, "expected", lambda: taken)
    found, why = library.__wrapped__()
    assert found is None
    assert reason in why


def test_a_field_that_only_c_knows_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = structs.expected()
    del taken["Group.at"]
    monkeypatch.setattr(structs, "expected", lambda: taken)
    assert "Group.at is known only to C" in library.__wrapped__()[1]
