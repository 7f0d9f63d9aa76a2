"""What it costs that two processes are *one* flow: ``python -m benchmarks.pairs``.

Two processes cost more CPU an event than one for two reasons: they work at the same time, on processors and caches that they share with
each other and with the broker, and they have to talk. So a cluster of two is held against one process, and against two flows that know
nothing of each other, each with half of the events on a topic of its own: what is over the latter is the price of the cluster.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from benchmarks import summary, systems
from benchmarks.drain import Filled, drain
from benchmarks.session import Session, parsed_numbers, say, session
from benchmarks.summary import DrainRun
from benchmarks.systems import System
from benchmarks.workload import Load
from dataflows.contract.errors import AdtallyError


def measure(sizes: tuple[int, int], rounds: int) -> dict[str, list[float]]:
    """CPU-seconds per million by what ran, one figure a round. Raises `AdtallyError` where a result is not exact, or Kafka is missing."""
    one, two = systems.chosen(["adtally", "adtally-2proc"])
    with session() as here:
        whole = {size: [here.fill(Load(size))] for size in sizes}
        halves = {size: [here.fill(Load(size // 2, partitions=2, seed=seed)) for seed in (1, 2)] for size in sizes}

        kinds = {"one process": (one, whole), "one flow in two processes": (two, whole), "two separate flows": (one, halves)}
        found: dict[str, list[float]] = {name: [] for name in kinds}
        for number in range(1, rounds + 1):
            for name, (system, topics) in kinds.items():
                small, large = (_together(here, system, topics[size]) for size in sizes)
                cost = summary.slope(small, large)
                found[name].append(cost)
                say(f"round {number}, {name}: {cost:.2f} CPU-s per million")
    return found


def _together(here: Session, system: System, topics: Sequence[Filled]) -> DrainRun:
    with ThreadPoolExecutor(len(topics)) as pool:
        runs = list(pool.map(lambda topic: drain(system, topic, here.brokers, here.pid, 1), topics))
    if not all(one.exact for one in runs):
        raise AdtallyError(f"the results of {', '.join(topic.topic for topic in topics)} are not exact")
    return replace(runs[0], cpu=sum(one.cpu for one in runs), events=sum(one.events for one in runs))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table of what each costs, and × what one process costs in the same round."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pairs", description=__doc__)
    parser.add_argument("--sizes", type=parsed_numbers, default="1M,4M", help="events, two sizes (default 1M,4M)")
    parser.add_argument("--runs", type=int, default=3, help="rounds (default 3)")
    options = parser.parse_args(arguments)
    try:
        sizes = sorted(set(options.sizes))
        if len(sizes) != 2:
            parser.error("--sizes needs two sizes, such as 1M,4M: the cost is the slope between them")
        found = measure((sizes[0], sizes[1]), options.runs)
    except AdtallyError as error:
        print(f"pairs: {error}", file=sys.stderr)
        return 1
    base = found["one process"]
    body = [
        [name, str(summary.Spread.of(costs)), f"{statistics.median(cost / of for cost, of in zip(costs, base, strict=True)):.2f}"]
        for name, costs in found.items()
    ]
    print(summary.table(("adtally, everything on", "CPU-s per million", "× one process"), body))
    return 0


if __name__ == "__main__":
    sys.exit(main())
