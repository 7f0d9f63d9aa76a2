"""The jars of Apache Kafka, fetched once with Maven as ``deploy/kafka/pom.xml`` names them."""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from dataflows.contract.errors import AdtallyError

HOME = Path(__file__).parents[1] / "kafka"
JAVA = 17


def missing_tool(home: Path = HOME) -> str:
    """Return what keeps Kafka from running here, with its cure, in one line; empty if nothing does. `home` holds pom.xml and jars."""
    java = shutil.which("java")
    if not java or _java_version(java) < JAVA:
        return f"Apache Kafka needs Java {JAVA} or newer on PATH (Debian, Ubuntu: apt install openjdk-17-jre-headless)."
    if not jars_are_there(home) and not shutil.which("mvn"):
        return "Apache Kafka's jars come with Maven: put mvn on PATH (Debian, Ubuntu: apt install maven)."
    return ""


def _java_version(java: str) -> int:
    # macOS has a stub of this name that only says that Java is missing.
    java_version = subprocess.run([java, "-version"], capture_output=True, encoding="utf-8", errors="replace", check=False)  # noqa: S603 - as found on PATH
    match = re.search(r'version "(\d+)', java_version.stderr)
    return int(match[1]) if match and java_version.returncode == 0 else 0


def _stamp(home: Path) -> Path:
    """Return the file that is in lib/ when all jars of this very pom.xml are there."""
    return home / "lib" / f".pom-{hashlib.sha256((home / 'pom.xml').read_bytes()).hexdigest()[:16]}"


def jars_are_there(home: Path = HOME) -> bool:
    """Whether the jars that the pom.xml in `home` names have been fetched."""
    return _stamp(home).exists()


def fetch(say: Callable[[str], None] = lambda _line: None) -> Path:
    """Return the folder of the jars, fetched first if they are missing; raises `AdtallyError`, one line with the cure."""
    if problem := missing_tool():
        raise AdtallyError(problem)
    lib = HOME / "lib"
    lib.mkdir(exist_ok=True)
    with (lib / ".lock").open("w") as lock:
        # Tests that run in parallel fetch them at the same time.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not jars_are_there():
            say("fetching Apache Kafka's jars with Maven (once, about 45 MB) …")
            _copy(lib)
            _stamp(HOME).touch()
    return lib


def _copy(lib: Path) -> None:
    for old in (*lib.glob("*.jar"), *lib.glob(".pom-*")):
        old.unlink()
    command = ["mvn", "-q", "-B", "-f", str(HOME / "pom.xml"), "dependency:copy-dependencies", f"-DoutputDirectory={lib}"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)  # noqa: S603 - our own arguments
    if done.returncode:
        lines = [line for line in done.stdout.splitlines() if line.startswith("[ERROR]")]
        reason = lines[0].removeprefix("[ERROR] ") if lines else f"exit code {done.returncode}"
        raise AdtallyError(f"Maven can't download Apache Kafka's jars; check the network and try again. Maven says: {reason}")
