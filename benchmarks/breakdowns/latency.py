"""Latency of results without breakdowns and with three, in turn on the same events: ``python -m benchmarks.breakdowns.latency``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmarks import latency, summary
from benchmarks.breakdowns.cost import system
from benchmarks.session import parsed_numbers, say, session
from benchmarks.workload import DIMENSIONS
from dataflows.contract.errors import AdtallyError


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure each number of breakdowns, round after round, and print a line for each run; return 1 if a probe was never counted."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.breakdowns.latency", description=__doc__)
    parser.add_argument("--rate", type=int, default=5_000, help="events a second (default 5000)")
    parser.add_argument("--seconds", type=float, default=60, help="length of a run (default 60)")
    parser.add_argument("--values", type=int, default=20, help="distinct values of each field (default 20)")
    parser.add_argument("--counts", type=parsed_numbers, default="0,3", help="numbers of breakdowns (default 0,3)")
    parser.add_argument("--runs", type=int, default=3, help="rounds (default 3)")
    parser.add_argument("--native", choices=("on", "off"), default="on", help="the native engine or the reference (default on)")
    options = parser.parse_args(arguments)
    if max(options.counts) > len(DIMENSIONS):
        parser.error(f"--counts takes numbers up to {len(DIMENSIONS)}: the events have as many fields for breakdowns")
    lags: list[latency.Lag] = []
    try:
        with session() as here:
            for _ in range(options.runs):
                for count in options.counts:
                    lag = latency.measure(
                        system(count, options.native),
                        here.brokers,
                        rate=options.rate,
                        seconds=options.seconds,
                        warm=options.seconds / 6,
                        values=options.values,
                    )
                    say(f"latency: {lag}")
                    lags.append(lag)
    except AdtallyError as error:
        print(f"latency: {error}", file=sys.stderr)
        return 1
    print(summary.table(latency.HEAD, [latency.cells(lag) for lag in lags]))
    return 1 if any(lag.lost for lag in lags) else 0


if __name__ == "__main__":
    sys.exit(main())
