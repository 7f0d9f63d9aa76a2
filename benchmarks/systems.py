"""The systems that are compared: how each is prepared and started on a topic of events and a topic for its results."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dataflows.contract.settings import Settings
from tests.support.flows import FLOW, environment, free_port, recovery_folder

PEERS = Path(__file__).parent / "peers"
CACHE = Path(__file__).parent / ".cache"
"""Folder in which the peers are installed, one folder each; Git ignores it."""

Run = Callable[..., subprocess.CompletedProcess[str]]
"""Runs a command, as `subprocess.run` does."""

LOOP = "loop"
"""The system with which the others are compared."""


class SkippedError(Exception):
    """A system can't be run here; the text says why."""


@dataclass(frozen=True)
class Workspace:
    """Brokers, topics and folder of one run of a system."""

    brokers: str
    logs: str
    results: str
    rejected: str
    folder: Path
    partitions: int = 4


@dataclass(frozen=True)
class SystemCommand:
    """A process of a system."""

    arguments: list[str]
    environment: dict[str, str]


@dataclass(frozen=True)
class System:
    """`prepare` installs what is missing, or raises `SkippedError`; `start` gives the processes to start.

    `quiet`: seconds without a result after which a drain that lacks events is over; `settings` of adtally, None of a peer.
    """

    name: str
    what: str
    prepare: Callable[[], None]
    start: Callable[[Workspace], Sequence[SystemCommand]]
    quiet: float = 20.0
    settings: dict[str, object] | None = field(default=None)


def settings_of(place: Workspace, **given: object) -> Settings:
    """adtally's settings for a place."""
    topics = {"logs_topic": place.logs, "results_topic": place.results, "rejected_topic": place.rejected}
    return Settings(brokers=place.brokers, group=place.results, partitions=place.partitions, **topics, **given)  # pyright: ignore[reportArgumentType]  # by name


def adtally(name: str, what: str, *arguments: str, processes: int = 1, snapshot: str = "5", **settings: object) -> System:
    """adtally with its recovery store, a snapshot every `snapshot` seconds; `arguments` go to ``bytewax.run``."""

    def start(place: Workspace) -> Sequence[SystemCommand]:
        workers = processes * (int(arguments[1]) if arguments[:1] == ("-w",) else 1)
        store = recovery_folder(place.folder / "recovery", workers)
        addresses = ";".join(f"127.0.0.1:{free_port()}" for _ in range(processes))
        common = [*FLOW, "-r", str(store), "-s", snapshot, "-b", "0", *arguments]
        return [
            SystemCommand(
                [*common, *(["-i", str(number), "-a", addresses] if processes > 1 else [])],
                environment(settings_of(place, **settings)),
            )
            for number in range(processes)
        ]

    return System(name, what, lambda: None, start, settings=settings)


def _python(
    name: str, what: str, program: str, quiet: float, *extra: str, packages: Sequence[str] = (), **variables: str
) -> System:
    def interpreter() -> str:
        return str(CACHE / name / "bin" / "python") if packages else sys.executable

    def start(place: Workspace) -> Sequence[SystemCommand]:
        arguments = [interpreter(), str(PEERS / program), place.brokers, place.logs, place.results, *extra]
        return [SystemCommand(arguments, {**os.environ, "TMPDIR": str(place.folder), **variables})]

    return System(name, what, lambda: virtual_environment(name, packages) if packages else None, start, quiet)


OPENED = (
    *("java.lang", "java.lang.reflect", "java.net", "java.io", "java.nio", "java.text", "java.time", "java.util"),
    *("java.util.concurrent", "java.util.concurrent.atomic", "java.util.concurrent.locks", "sun.nio.ch"),
)
"""Java packages that Flink accesses by reflection."""


def _java(name: str, what: str, project: str, main: str, quiet: float, *extra: str) -> System:
    def start(place: Workspace) -> Sequence[SystemCommand]:
        home = CACHE / project
        options = [
            *("-Xms1g", "-Xmx1g", "-XX:+UseParallelGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"),
            *(f"-Djava.io.tmpdir={place.folder}", "--add-exports=java.base/sun.net.util=ALL-UNNAMED"),
            *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in OPENED),
        ]
        arguments = [
            "java",
            *options,
            "-cp",
            f"{home / 'classes'}:{home / 'lib'}/*",
            main,
            place.brokers,
            place.logs,
            place.results,
            *extra,
        ]
        return [SystemCommand(arguments, dict(os.environ))]

    return System(name, what, lambda: compile_java(project), start, quiet)


def virtual_environment(name: str, packages: Sequence[str], cache: Path = CACHE, run: Run = subprocess.run) -> None:
    """Create an environment with `packages` in `cache`, once for each list; `run` runs the commands. Raises `SkippedError`."""
    folder = cache / name
    stamp = folder / f".{hashlib.sha256(' '.join(packages).encode()).hexdigest()[:16]}"
    if stamp.exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    _call([sys.executable, "-m", "venv", str(folder)], run)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _call([*pip, *packages], run)
    stamp.touch()


def compile_java(project: str, cache: Path = CACHE) -> None:
    """Fetch the jars that a peer's pom.xml names and compile its classes, in `cache`, once for each version; raises `SkippedError`."""
    folder, source = cache / project, PEERS / project
    files = [source / "pom.xml", *sorted(source.glob("*.java"))]
    stamp = folder / f".{hashlib.sha256(b''.join(file.read_bytes() for file in files)).hexdigest()[:16]}"
    if stamp.exists():
        return
    for command in ("java", "javac", "mvn"):
        if shutil.which(command) is None:
            raise SkippedError(f"needs {command} on PATH (a JDK 17 and Maven)")
    folder.mkdir(parents=True, exist_ok=True)
    _call(["mvn", "-q", "-B", "-f", str(files[0]), "dependency:copy-dependencies", f"-DoutputDirectory={folder / 'lib'}"])
    _call(["javac", "-cp", f"{folder / 'lib'}/*", "-d", str(folder / "classes"), *map(str, files[1:])])
    stamp.touch()


def _call(command: list[str], run: Run = subprocess.run) -> None:
    done = run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        raise SkippedError(f"{Path(command[0]).name} failed: {lines[0][:160] if lines else f'exit code {done.returncode}'}")


SYSTEMS = (
    _python(LOOP, "confluent-kafka, msgspec and a dict: no engine", "loop.py", 20),
    adtally("adtally", "everything on: recovery, snapshots every 5 s, dedup, rejected, counters"),
    adtally("adtally-nodedup", "the same, ADTALLY_DEDUP=false", dedup=False),
    adtally("adtally-python", "the same as adtally, ADTALLY_NATIVE=off: the engine of a machine without a C compiler", native="off"),
    adtally("adtally-python-nodedup", "the same, ADTALLY_DEDUP=false", native="off", dedup=False),
    adtally("adtally-2proc", "the same as adtally in two processes", processes=2),
    adtally("adtally-w2", "the same as adtally with two workers in a process", "-w", "2"),
    adtally("adtally-s1", "the same as adtally, a snapshot every second", snapshot="1"),
    _python("naive", "Bytewax as its guide shows, window clock waits 5 s", "bytewax_naive.py", 20, TAIL="0"),
    _python("naive-day", "the same, window clock waits a day", "bytewax_naive.py", 60, TAIL="0", WAIT="86400"),
    _java("flink", "Flink 2.2 DataStream, hand-tuned Jackson, two slots, checkpoints", "flink", "Ds", 20),
    _java("flink-sql", "Flink 2.2 SQL, two slots, checkpoints", "flink", "Sql", 20),
    _java("kstreams", "Kafka Streams 4.3, at least once, a grace of a day", "kstreams", "Ks", 45),
    _java("kstreams-grace5", "the same with a grace of 5 s", "kstreams", "Ks", 45, "at_least_once", "5000"),
    _java("kstreams-eos", "Kafka Streams 4.3, exactly once, a grace of a day", "kstreams", "Ks", 20, "exactly_once_v2"),
    _python(
        "pathway", "Pathway, floor and groupby", "pathway_ads.py", 30, "floor",
        packages=("pathway==0.33.0",), PATHWAY_THREADS="1", PATHWAY_PROCESSES="1",
    ),
    _python("quix", "Quix Streams, a grace of a week", "quix_ads.py", 45, packages=("quixstreams==3.28.1",)),
)  # fmt: skip
"""All systems that ONLY can name; the loop is first."""

OURS = ("adtally", "adtally-nodedup", "adtally-2proc", "adtally-w2", "adtally-python")
DEFAULT = ("loop", *OURS, "naive", "naive-day", "flink", "flink-sql", "kstreams", "kstreams-grace5", "pathway", "quix")
QUICK = ("loop", "adtally", "naive", "naive-day")


def chosen(names: Sequence[str]) -> list[System]:
    """Return the systems of these names, in the order of `SYSTEMS`; raises `SkippedError` for an unknown name."""
    known = {system.name: system for system in SYSTEMS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SkippedError(f"unknown system {unknown[0]}; use one of {', '.join(known)}")
    return [system for system in SYSTEMS if system.name in names]


def ready(systems: Sequence[System], say: Callable[[str], None]) -> list[System]:
    """Return the systems that can run here; the reason for each other one is passed to `say`."""
    able: list[System] = []
    for system in systems:
        try:
            system.prepare()
        except SkippedError as error:
            say(f"skipped {system.name}: {error}")
        else:
            able.append(system)
    return able
