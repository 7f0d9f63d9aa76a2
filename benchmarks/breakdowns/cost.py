"""Cost of breakdowns: adtally with none, one, two and three on the same topics, in turn: ``python -m benchmarks.breakdowns.cost``.

Events have three fields with a value each. A larger topic covers more minutes at the same rate, so the slope between two sizes contains the
results and snapshots of every cell and not only the events. Ratios are to the run without a breakdown in the same round.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence

from benchmarks import summary
from benchmarks.drain import Filled, drain
from benchmarks.session import parsed_numbers, say, session
from benchmarks.summary import DrainRun, Spread
from benchmarks.systems import System, adtally
from benchmarks.workload import DIMENSIONS, Load
from dataflows.contract.errors import AdtallyError

HEAD = ("breakdowns", "CPU-s per million", "× none", "each, % more", "peak MB", "start-up CPU-s", "exact")


def system(count: int, engine: str) -> System:
    """adtally with the first `count` of `DIMENSIONS` as breakdowns."""
    return adtally(f"{count} breakdowns", "", breakdowns=";".join(DIMENSIONS[:count]), native=engine)


def loads(sizes: Sequence[int], rate: int, campaigns: int, values: int, partitions: int = 4) -> list[Load]:
    """Return a load of each size, `rate` events in a second of event time."""
    return [
        Load(size, campaigns=campaigns, values=values, partitions=partitions, minutes=max(1, round(size / rate / 60)))
        for size in sizes
    ]


def table(runs: Mapping[int, Sequence[DrainRun]]) -> str:
    """Return a line for each number of breakdowns."""
    slopes = {
        count: {number: summary.slope(*pair) for number, pair in summary.pairs(those).items()} for count, those in runs.items()
    }
    none = slopes[0]
    body: list[list[str]] = []
    for count, those in runs.items():
        ratios = [cost / none[number] for number, cost in slopes[count].items() if none.get(number)]
        each = [(ratio - 1) / count * 100 for ratio in ratios] if count else []
        starts = [pair[0].cpu - slopes[count][number] * pair[0].events / 1e6 for number, pair in summary.pairs(those).items()]
        body.append(
            [
                str(count),
                str(Spread.of(slopes[count].values())),
                str(Spread.of(ratios)) if ratios else "–",
                f"{Spread.of(each).median:+.0f}" if each else "–",
                f"{max(run.peak for run in those) / 2**20:,.0f}",
                f"{Spread.of(starts).median:.1f}",
                "yes" if all(run.exact for run in those) else "NO",
            ]
        )
    return summary.table(HEAD, body)


def main(arguments: Sequence[str] | None = None) -> int:
    """Drain the topics with each number of breakdowns, round after round; return 1 if a result was not exact."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.breakdowns.cost", description=__doc__)
    parser.add_argument("--sizes", type=parsed_numbers, default="600k,2400k", help="events, two sizes (default 600k,2400k)")
    parser.add_argument("--rate", type=int, default=5_000, help="events in a second of event time (default 5000)")
    parser.add_argument("--campaigns", type=int, default=50, help="campaigns, each with five channels (default 50)")
    parser.add_argument("--values", type=int, default=20, help="distinct values of each field (default 20)")
    parser.add_argument(
        "--counts", type=parsed_numbers, default="0,1,2,3", help="numbers of breakdowns; 0 is needed (default 0,1,2,3)"
    )
    parser.add_argument("--runs", type=int, default=3, help="rounds (default 3)")
    parser.add_argument("--native", choices=("on", "off"), default="on", help="the native engine or the reference (default on)")
    options = parser.parse_args(arguments)
    counts = sorted({0, *options.counts})
    if len(set(options.sizes)) != 2:
        parser.error("--sizes needs two sizes, such as 600k,2400k: the cost is the slope between them")
    if counts[-1] > len(DIMENSIONS):
        parser.error(f"--counts takes numbers up to {len(DIMENSIONS)}: the events have as many fields for breakdowns")
    runs: dict[int, list[DrainRun]] = {count: [] for count in counts}
    try:
        with session() as here:
            topics: list[Filled] = [
                here.fill(load) for load in loads(sorted(options.sizes), options.rate, options.campaigns, options.values)
            ]
            for number in range(1, options.runs + 1):
                for count in counts:
                    for topic in topics:
                        judged = number == 1 and topic is topics[0]
                        run = drain(system(count, options.native), topic, here.brokers, here.pid, number, oracle=judged)
                        runs[count].append(run)
                        verdict = "exact" if run.exact else f"NOT exact {(run.oracle or [])[:3]}"
                        say(
                            f"round {number}, {run.system} on {run.events:,}: {run.cpu:.2f} CPU-s, {run.peak / 2**20:,.0f} MB, {verdict}"
                        )
    except AdtallyError as error:
        print(f"breakdowns: {error}", file=sys.stderr)
        return 1
    print(table(runs))
    return 0 if all(run.exact for those in runs.values() for run in those) else 1


if __name__ == "__main__":
    sys.exit(main())
