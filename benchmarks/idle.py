"""CPU cost of adtally at low load and when idle: ``python -m benchmarks.idle``.

Measures the CPU time of each process: for the demo at 20 events/s, and for an idle flow on a real Apache Kafka with one worker, two
workers, and two processes. CPU time, unlike wall time, can be measured on a machine that also runs other programs.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.session import say, session
from benchmarks.session import write as write_result
from benchmarks.summary import table
from dataflows.contract.errors import AdtallyError
from dataflows.process import ports
from deploy.processes.supervisor import python
from deploy.processes.watchdog import end

ROOT = Path(__file__).parents[1]
HEAD = ("what runs", "process", "% of a processor", "switches/s")
ROLES = {
    "demo": "demo",
    "deploy.processes.watchdog": "watchdog",
    "broker": "broker",
    "generator": "generator",
    "dataflows.marketing": "dataflow",
    "panel_app": "dashboard",
}
"""Names of processes, by an argument of their command line."""


def role(command: Sequence[str]) -> str:
    """Return the role of a process in adtally by its command line; for other processes the name of the program."""
    return next((name for word, name in ROLES.items() if word in command), Path(command[0]).name if command else "ended")


def sample(roots: Sequence[int]) -> dict[str, tuple[float, int]]:
    """Return CPU seconds and voluntary context switches so far, by role, of the processes `roots` and their children."""
    found: dict[str, tuple[float, int]] = {}
    for root in map(psutil.Process, roots):
        for process in (root, *root.children(recursive=True)):
            with contextlib.suppress(psutil.Error):  # it has ended
                times, name = process.cpu_times(), role(process.cmdline())
                seconds, switches = found.get(name, (0.0, 0))
                found[name] = seconds + times.user + times.system, switches + process.num_ctx_switches().voluntary
    return found


def shares(
    before: dict[str, tuple[float, int]], after: dict[str, tuple[float, int]], seconds: float
) -> list[tuple[str, float, float]]:
    """Return per cent of a processor and switches per second, by role, between two samples `seconds` apart; the sum last."""
    rows: list[tuple[str, float, float]] = []
    for name, (cpu, switches) in after.items():
        begun, counted = before.get(name, (0.0, 0))
        rows.append((name, 100 * (cpu - begun) / seconds, (switches - counted) / seconds))
    rows.sort(key=lambda row: -row[1])
    return [*rows, ("all", sum(row[1] for row in rows), sum(row[2] for row in rows))]


@contextmanager
def running(commands: Sequence[Sequence[str]], settings: dict[str, str]) -> Generator[list[int]]:
    """Run these commands for the time of the block, each in its own process group; yield the process ids."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("ADTALLY_")}
    started: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryFile() as output:
        try:
            for command in commands:
                started.append(  # noqa: PERF401 - if one fails to start, the others must still be ended
                    subprocess.Popen(
                        command, cwd=ROOT, env=plain | settings, stdout=output, stderr=output, start_new_session=True
                    )
                )
            yield [process.pid for process in started]
            if any(process.poll() is not None for process in started):
                output.seek(0)
                raise AdtallyError(f"a process ended by itself: {output.read().decode(errors='replace').strip()[-500:]}")
        finally:
            end([process.pid for process in started], grace=20)
            for process in started:
                process.wait()


def measure(
    commands: Sequence[Sequence[str]], settings: dict[str, str], warm: float, seconds: float
) -> list[tuple[str, float, float]]:
    """Run these commands, and return their shares over `seconds`, after a warm-up of `warm` seconds."""
    with running(commands, settings) as roots:
        time.sleep(warm)
        before, begun = sample(roots), time.monotonic()
        time.sleep(seconds)
        return shares(before, sample(roots), time.monotonic() - begun)


def flow(folder: Path, name: str, *arguments: str) -> list[str]:
    """Create a recovery folder under `folder`, and return the command of a flow that uses it."""
    recovery = folder / name
    recovery.mkdir()
    subprocess.run(python("-m", "bytewax.recovery", str(recovery), "1"), check=True, cwd=ROOT)
    return python("-m", "bytewax.run", "dataflows.marketing", "-r", str(recovery), "-s", "5", "-b", "0", *arguments)


def flows(brokers: str, folder: Path) -> dict[str, tuple[list[list[str]], dict[str, str]]]:
    """Return the commands and settings of each idle flow, by name."""
    addresses = ";".join(f"{ports.HOST}:{ports.free()}" for _ in range(2))
    made = {
        "idle flow": [flow(folder, "one")],
        "idle flow, -w 2": [flow(folder, "two", "-w", "2")],
        "idle flow, two processes": [flow(folder, f"pair{number}", "-i", str(number), "-a", addresses) for number in (0, 1)],
    }
    topics = ("LOGS", "RESULTS", "REJECTED")
    return {
        name: (commands, {"ADTALLY_BROKERS": brokers} | {f"ADTALLY_{topic}_TOPIC": f"idle{number}-{topic}" for topic in topics})
        for number, (name, commands) in enumerate(made.items())
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print the table; return 1 after one line if it can't run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.idle", description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long each is measured (default 30)")
    parser.add_argument("--warm", type=float, default=60.0, help="how long each runs before that (default 60)")
    parser.add_argument("--demo-only", action="store_true", help="leave out the flows on a real Kafka, which needs Java")
    options = parser.parse_args(arguments)
    rows: list[list[str]] = []

    def add(name: str, commands: list[list[str]], settings: dict[str, str]) -> None:
        say(f"{name}: {options.warm + options.seconds:g} s")
        rows.extend(
            [name, process, f"{share:.1f}", f"{switches:,.0f}"]
            for process, share, switches in measure(commands, settings, options.warm, options.seconds)
        )

    try:
        add("demo", [python("-m", "adtally", "demo")], {"PORT": str(ports.free()), "ADTALLY_METRICS_PORT": "0"})
        if not options.demo_only:
            with session() as here, tempfile.TemporaryDirectory(prefix="adtally-idle-", ignore_cleanup_errors=True) as folder:
                for name, (commands, settings) in flows(here.brokers, Path(folder)).items():
                    add(name, commands, settings)
    except AdtallyError as error:
        print(f"idle: {error}", file=sys.stderr)
        return 1
    shown = table(HEAD, rows)
    print(shown)
    say(f"written: {write_result('idle.md', shown + chr(10))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
