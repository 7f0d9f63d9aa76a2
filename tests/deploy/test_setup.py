"""Finding a Python that can run adtally, and making .venv of it: the scripts are run with fake interpreters on PATH."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.deploy.processes import ROOT

TOOLS = ("sh", "cat", "cksum", "grep", "head", "tail", "mkdir", "rm", "dirname", "pwd", "touch", "ls")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A PATH of one folder: the shell's tools and nothing else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found
        (folder / tool).symlink_to(found)
    return folder


def program(path: Path, name: str, body: str) -> None:
    file = path / name
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)


def interpreter(path: Path, name: str, verdict: str) -> None:
    """A Python that answers the probe with `verdict`: good, bare (no ensurepip) or other (another version)."""
    program(path, name, f'echo "{verdict} {path}/{name}"')


def find(path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    script = ROOT / "deploy" / "find-python.sh"
    return subprocess.run([str(script)], env={"PATH": str(path), **environment}, capture_output=True, text=True, check=False)


def test_python_3_12_comes_before_3_11_and_python3(path: Path) -> None:
    for name in ("python3", "python3.11", "python3.12"):
        interpreter(path, name, "good")
    assert find(path).stdout == f"{path}/python3.12\n"


def test_a_shim_that_does_not_work_is_passed_over(path: Path) -> None:
    program(path, "python3.12", "echo 'pyenv: python3.12: command not found' >&2; exit 127")
    interpreter(path, "python3.11", "good")
    assert find(path).stdout == f"{path}/python3.11\n"


def test_python3_is_taken_if_its_version_fits(path: Path) -> None:
    interpreter(path, "python3", "good")
    assert find(path).stdout == f"{path}/python3\n"


def test_uv_is_the_way_out_where_no_version_fits(path: Path) -> None:
    interpreter(path, "python3", "other")
    program(path, "uv", "echo uv 0.9")
    assert find(path).stdout == "uv\n"


def test_without_any_one_line_says_what_to_install_and_why(path: Path) -> None:
    interpreter(path, "python3", "other")
    found = find(path)
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr.count("\n") == 1
    assert "Python 3.12 or 3.11" in found.stderr
    assert "Bytewax" in found.stderr


def test_a_python_without_ensurepip_is_named_with_the_package_to_install(path: Path) -> None:
    interpreter(path, "python3", "bare")
    found = find(path)
    assert found.returncode == 1
    assert found.stderr.count("\n") == 1
    assert "apt install python3-venv" in found.stderr


def test_uv_comes_before_a_python_without_ensurepip(path: Path) -> None:
    interpreter(path, "python3", "bare")
    program(path, "uv", "echo uv 0.9")
    assert find(path).stdout == "uv\n"


def test_the_python_that_was_asked_for_is_taken_or_refused(path: Path) -> None:
    interpreter(path, "python3.12", "good")
    interpreter(path, "mine", "good")
    interpreter(path, "old", "other")
    assert find(path, PYTHON=f"{path}/mine").stdout == f"{path}/mine\n"
    refused = find(path, PYTHON=f"{path}/old")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith(f"setup: PYTHON={path}/old is not a working Python 3.12 or 3.11")
    assert find(path, PYTHON="/no/such").returncode == 1


def test_this_very_interpreter_passes_the_probe() -> None:
    found = find(Path("/usr/bin"), PYTHON=sys.executable)
    assert found.stdout.strip() == sys.executable, found.stderr


# A Python whose venv is a copy of itself, and whose pip writes down what it was asked to do.
FAKE = """
case "$*" in
*"find_python"*|*"ensurepip"*) echo "good $0" ;;
*"base_prefix"*) echo /fake ;;
"-m venv "*) mkdir -p "$3/bin"; cat "$0" > "$3/bin/python"; chmod +x "$3/bin/python"; echo >"$3/pyvenv.cfg" ;;
*"pip install"*) echo "$*" >> asked.txt; echo "Collecting bokeh==3 (from -r x)"; echo "$PIP_SAYS"; exit "${PIP_CODE:-0}" ;;
esac
"""

UV = """
case "$*" in
--version) echo uv 0.9 ;;
"venv "*) mkdir -p "$5/bin"; cat "$4" > "$5/bin/python"; chmod +x "$5/bin/python"; echo >"$5/pyvenv.cfg" ;;
*"pip install"*) echo "uv $*" >> asked.txt; echo "$UV_SAYS" >&2; exit "${UV_CODE:-0}" ;;
esac
"""


@pytest.fixture
def tree(tmp_path: Path, path: Path) -> Path:
    """A tree with the scripts and small lock files, and a fake Python on PATH."""
    tree = tmp_path / "tree"
    (tree / "deploy").mkdir(parents=True)
    for name in ("setup.sh", "find-python.sh"):
        shutil.copy(ROOT / "deploy" / name, tree / "deploy")
    (tree / "pyproject.toml").write_text("[project]\n")
    (tree / "requirements.lock").write_text("bokeh==3\n")
    (tree / "requirements-dev.lock").write_text("bokeh==3\npytest==9\n")
    program(path, "python3.12", FAKE)
    chmod = shutil.which("chmod")
    assert chmod
    (path / "chmod").symlink_to(chmod)
    return tree


def setup(tree: Path, path: Path, kind: str = "run", **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(tree / "deploy" / "setup.sh"), kind]
    return subprocess.run(command, env={"PATH": str(path), **environment}, capture_output=True, text=True, check=False)


def asked(tree: Path) -> list[str]:
    return (tree / "asked.txt").read_text().splitlines()


def test_setup_installs_with_hashes_and_then_the_tree_itself(tree: Path, path: Path) -> None:
    done = setup(tree, path)
    assert (done.returncode, done.stderr) == (0, "")
    first, second = asked(tree)
    assert "--require-hashes -r requirements.lock" in first
    assert "--no-deps --no-build-isolation -e ." in second


def test_setup_does_nothing_when_nothing_changed(tree: Path, path: Path) -> None:
    setup(tree, path)
    again = setup(tree, path)
    assert (again.returncode, again.stdout) == (0, "")
    assert len(asked(tree)) == 2


def test_setup_runs_again_when_the_lock_file_changed(tree: Path, path: Path) -> None:
    setup(tree, path)
    (tree / "requirements.lock").write_text("bokeh==4\n")
    setup(tree, path)
    assert len(asked(tree)) == 4


def test_an_environment_for_development_serves_the_demo_too(tree: Path, path: Path) -> None:
    setup(tree, path, "dev")
    assert setup(tree, path, "run").stdout == ""
    assert len(asked(tree)) == 2


def test_a_half_failed_setup_is_mended_by_the_next(tree: Path, path: Path) -> None:
    assert setup(tree, path, PIP_CODE="1", PIP_SAYS="ERROR: disk full").returncode == 1
    assert setup(tree, path).returncode == 0
    (tree / ".venv" / "bin" / "python").unlink()
    mended = setup(tree, path)
    assert mended.returncode == 0
    assert "is not complete and is created again" in mended.stdout


def test_a_network_that_is_down_gives_one_line(tree: Path, path: Path) -> None:
    done = setup(tree, path, PIP_CODE="1", PIP_SAYS="WARNING: Retrying: NewConnectionError: Name or service not known")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "the package index can't be reached" in done.stderr


def test_what_else_pip_says_is_passed_on_in_one_line(tree: Path, path: Path) -> None:
    done = setup(tree, path, PIP_CODE="1", PIP_SAYS="ERROR: No space left on device")
    assert done.stderr == "setup: packages could not be installed: ERROR: No space left on device (log: run/setup.log)\n"


def test_uv_installs_the_same_lock_file_with_hashes_where_it_is(tree: Path, path: Path) -> None:
    program(path, "uv", UV)
    done = setup(tree, path, "dev")
    assert (done.returncode, done.stderr) == (0, "")
    first, second = asked(tree)
    assert first == "uv pip install --python .venv/bin/python --require-hashes -r requirements-dev.lock"
    assert second == "uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation -e ."
    assert setup(tree, path).stdout == ""


def test_what_uv_can_not_fetch_pip_may_with_its_own_mirror(tree: Path, path: Path) -> None:
    program(path, "uv", UV)
    done = setup(tree, path, UV_CODE="1", UV_SAYS="error sending request for url")
    assert (done.returncode, done.stderr) == (0, "")
    assert "setup: uv could not install them: error sending request for url; trying pip" in done.stdout
    assert [line.partition(" ")[0] for line in asked(tree)] == ["uv", "-m", "-m"]


def test_an_environment_of_another_name_leaves_the_first_alone_and_never_replaces_another_folder(tree: Path, path: Path) -> None:
    setup(tree, path)
    assert setup(tree, path, VENV=".venv-3.11").returncode == 0
    assert setup(tree, path).stdout == ""
    (tree / "docs").mkdir()
    refused = setup(tree, path, VENV="docs")
    assert (refused.returncode, refused.stderr) == (1, "setup: VENV=docs is a folder of something else; name another one\n")
    assert (tree / "docs").is_dir()
