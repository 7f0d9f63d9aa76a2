"""CPU of adtally by campaigns, partitions and late, repeated and malformed events: ``python -m benchmarks.loads``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

from benchmarks import summary, systems
from benchmarks.drain import Filled, drain
from benchmarks.session import parsed_numbers, say, session
from benchmarks.summary import DrainRun, Spread
from benchmarks.workload import Load
from dataflows.contract.errors import AdtallyError

BASE = Load(0)
LOADS = {
    "50 campaigns, valid events in order": BASE,
    "500 campaigns": replace(BASE, campaigns=500),
    "5,000 campaigns": replace(BASE, campaigns=5_000),
    "50,000 campaigns": replace(BASE, campaigns=50_000),
    "1 % late": replace(BASE, late=0.01),
    "1 % duplicates": replace(BASE, duplicates=0.01),
    "1 % malformed": replace(BASE, malformed=0.01),
    "0.1 % malformed": replace(BASE, malformed=0.001),
    "1 partition": replace(BASE, partitions=1),
    "16 partitions": replace(BASE, partitions=16),
    "short ids": replace(BASE, ids="short"),
}


def slopes(runs: Sequence[DrainRun]) -> dict[int, float]:
    """Return the CPU-seconds per million events, by round."""
    return {number: summary.slope(*pair) for number, pair in summary.pairs(runs).items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Drain every load with adtally, round after round; return 1 if a result was not exact."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loads", description=__doc__)
    parser.add_argument(
        "--sizes", type=parsed_numbers, default="200k,1M", help="events of the two topics of each load (default 200k,1M)"
    )
    parser.add_argument("--runs", type=int, default=3, help="rounds (default 3)")
    options = parser.parse_args(arguments)
    sizes = sorted(options.sizes)
    ours = systems.chosen(["adtally"])[0]
    runs: dict[str, list[DrainRun]] = {name: [] for name in LOADS}
    try:
        with session() as here:
            topics: dict[str, list[Filled]] = {
                name: [here.fill(replace(load, events=size)) for size in sizes] for name, load in LOADS.items()
            }
            for number in range(1, options.runs + 1):
                for name, those in topics.items():
                    for place, topic in enumerate(those):
                        run = drain(ours, topic, here.brokers, here.pid, number, oracle=number == 1 and place == 0)
                        runs[name].append(run)
                        say(
                            f"round {number}, {name}, {run.events:,}: {run.cpu:.2f} CPU-s, {'exact' if run.exact else 'NOT exact'}"
                        )
    except AdtallyError as error:
        print(f"loads: {error}", file=sys.stderr)
        return 1
    clean = slopes(runs[next(iter(LOADS))])
    body: list[list[str]] = []
    for name, those in runs.items():
        found = slopes(those)
        ratios = [found[number] / clean[number] for number in found if clean.get(number)]
        peak = max(run.peak for run in those) / 2**20
        exact = "yes" if all(run.exact for run in those) else "NO"
        body.append([name, str(Spread.of(found.values())), str(Spread.of(ratios)) if ratios else "–", f"{peak:,.0f}", exact])
    print(summary.table(("load", "CPU-s per million", "× the first line", "peak MB", "exact"), body))
    return 0 if all(run.exact for those in runs.values() for run in those) else 1


if __name__ == "__main__":
    sys.exit(main())
