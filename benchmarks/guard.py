"""Regression guard for CI: adtally's CPU per event as a multiple of the bare loop's in the same run: ``python -m benchmarks.guard``.

It fails for inexact results and for a ratio of more than twice that of ``guard.json``. It never fails for a time, which depends on the
machine.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import summary, systems
from benchmarks.bench import drains, rows
from benchmarks.session import parsed_numbers, say, session, write
from benchmarks.workload import Load
from dataflows.contract.errors import AdtallyError

WRITTEN = Path(__file__).with_name("guard.json")


def verdict(lines: Sequence[summary.SystemRow], expected: float) -> str:
    """Return what is wrong with the rows in one line; empty if nothing is."""
    ours = next((line for line in lines if line.system == "adtally"), None)
    if ours is None or ours.ratio is None:
        return "there is no ratio of adtally to the bare loop; the lines above say why one of them did not run"
    if not ours.exact:
        return f"adtally's results are not exact: {ours.lost.median:.2f} % of the events are missing, or the oracle found differences"
    if ours.ratio.median > 2 * expected:
        return f"adtally needs {ours.ratio.median:.2f} times the CPU of the bare loop; {WRITTEN.name} has {expected:g}"
    return ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table and the ratio; return 1 if the ratio is too high or the results are not exact."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guard", description=__doc__)
    parser.add_argument("--sizes", type=parsed_numbers, default="100k,600k", help="events of the two topics (default 100k,600k)")
    parser.add_argument("--runs", type=int, default=3, help="rounds (default 3)")
    options = parser.parse_args(arguments)
    expected = float(json.loads(WRITTEN.read_text())["ratio"])
    try:
        with session() as here:
            filled = [here.fill(Load(size)) for size in sorted(options.sizes)]
            lines = rows(drains(here, systems.chosen([systems.LOOP, "adtally"]), filled, options.runs))
    except AdtallyError as error:
        print(f"guard: {error}", file=sys.stderr)
        return 1
    shown = summary.table(summary.HEAD, [summary.cells(line) for line in lines])
    print(shown)
    say(f"written: {write('guard.md', shown + chr(10))}")
    problem = verdict(lines, expected)
    ratio = next((line.ratio for line in lines if line.system == "adtally"), None)
    print(f"guard: {problem}" if problem else f"guard: {ratio} times the bare loop's CPU; {WRITTEN.name} has {expected:g}")
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
