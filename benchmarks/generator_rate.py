"""How fast the generator is, and how well it keeps a rate: ``python benchmarks/generator_rate.py [--brokers HOST:PORT]``.

Without ``--brokers`` it starts the cluster built into librdkafka in a process of its own. The generator runs pinned to one core, its
librdkafka threads included; CPU time is that of its process.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

MOCK = (
    "import sys\n"
    "from confluent_kafka import Producer\n"
    "cluster = Producer({'test.mock.num.brokers': 1, 'log_level': 2})\n"
    "print(list(cluster.list_topics(timeout=10).brokers.values())[0].port, flush=True)\n"
    "sys.stdin.read()\n"
)


DATA = Path(__file__).parents[1] / "tests" / "data"


def write_rows(form: str, path: Path, rows: int) -> None:
    """Write `rows` rows to `path`: the excerpt of a data set, repeated, or synthetic events for jsonl."""
    if form == "jsonl":
        with path.open("wb") as file:
            generate = [
                sys.executable,
                "-m",
                "generator",
                "synthetic",
                "--dry-run",
                "--quiet",
                "--seed",
                "7",
                "--count",
                str(rows),
            ]
            subprocess.run(generate, stdout=file, stderr=subprocess.DEVNULL, check=True)
        return
    with (DATA / f"{form}.csv").open(newline="") as source, path.open("w", newline="") as file:
        head, *content = csv.reader(source)
        csv.writer(file).writerows([head, *itertools.islice(itertools.cycle(content), rows)])


def run(brokers: str, *options: str) -> tuple[float, float, int]:
    """Run the generator on core 0, by default synthetic; returns wall seconds, CPU seconds and messages acknowledged."""
    environment = {**os.environ, "ADTALLY_BROKERS": brokers, "ADTALLY_LOGS_TOPIC": f"rate-{uuid.uuid4().hex[:8]}"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "generator", *(options if options[0] == "replay" else ("synthetic", "--seed", "7", *options))],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {0}) if hasattr(os, "sched_setaffinity") else None,
    )  # fmt: skip
    wall = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = re.search(r"acknowledged ([\d,]+)", done.stderr)
    assert found, done.stderr
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, int(found[1].replace(",", ""))


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--brokers", help="a running broker (default: one of its own, built into librdkafka)")
    parser.add_argument("--events", type=int, default=2_000_000)
    options = parser.parse_args()
    mock = None
    brokers = options.brokers
    if brokers is None:
        mock = subprocess.Popen([sys.executable, "-c", MOCK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert mock.stdout
        brokers = f"127.0.0.1:{mock.stdout.readline().strip()}"
    try:
        # The slope between two sizes leaves out the start of the process.
        print(f"{'':42}{'events/s':>12}{'CPU µs/event':>14}")
        history = ["--rate", "100000", "--backfill", "1h", "--duration", "0", "--count"]
        for title, extra in (
            ("made and written to /dev/null", ["--dry-run"]),
            ("made, sent and acknowledged", []),
            ("… with 5 % disorder, 1 % each other fault", ["--disorder=5%", "--duplicates=1%", "--late=1%", "--malformed=1%"]),
        ):
            small, large = (run(brokers, *history, str(size), *extra) for size in (options.events // 10, options.events))
            number = large[2] - small[2]
            print(f"{title:42}{number / (large[0] - small[0]):12,.0f}{(large[1] - small[1]) / number * 1e6:14.2f}")
        with tempfile.TemporaryDirectory() as folder:
            for form in ("jsonl", "online-retail", "open-bandit"):
                measured: list[tuple[float, float, int]] = []
                for size in (options.events // 40, options.events // 4):
                    path = Path(folder) / form
                    write_rows(form, path, size)
                    measured.append(run(brokers, "replay", "--dry-run", "--format", form, str(path)))
                (wall, cpu, number), (wall_large, cpu_large, number_large) = measured
                number = number_large - number
                title = f"replay --dry-run of {form}"
                print(f"{title:42}{number / (wall_large - wall):12,.0f}{(cpu_large - cpu) / number * 1e6:14.2f}")
        for rate, seconds in ((100_000, 10), (20, 60)):
            wall, cpu, number = run(brokers, "--rate", str(rate), "--duration", str(seconds))
            title = f"--rate {rate} for {seconds} s"
            print(f"{title:42}{number / seconds:12,.1f}{cpu / number * 1e6:14.2f}   in {wall:.1f} s with start and end")
    finally:
        if mock is not None:
            mock.kill()
            mock.wait()


if __name__ == "__main__":
    main()
