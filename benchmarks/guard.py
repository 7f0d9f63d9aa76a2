"""A guard against the absurd, for CI: adtally's CPU an event against the bare loop's in the same run: ``python -m benchmarks.guard``.

It never fails for a time, which says more of the machine than of the code, but for inexact results, and for a ratio of more than twice what
``guard.json`` says.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import figures, systems
from benchmarks.bench import drains, rows
from benchmarks.load import Load
from benchmarks.session import numbers, say, session, write
from dataflows.contract.errors import AdtallyError

WRITTEN = Path(__file__).with_name("guard.json")


def verdict(lines: Sequence[figures.Row], expected: float) -> str:
    """What is wrong with the rows, in one line; empty if nothing is."""
    ours = next((line for line in lines if line.system == "adtally"), None)
    if ours is None or ours.ratio is None:
        return "there is no figure for adtally beside the bare loop; look above for what kept it from running"
    if not ours.exact:
        return f"adtally's results are not exact: {ours.lost.median:.2f} % of the events are missing, or the oracle found differences"
    if ours.ratio.median > 2 * expected:
        return f"adtally needs {ours.ratio.median:.2f} times the CPU of the bare loop; {expected:g} is written down in {WRITTEN.name}"
    return ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table and the ratio; 1 if it is absurd or the results are not exact."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guard", description=__doc__)
    parser.add_argument("--sizes", default="100k,600k", help="events of the two topics (default 100k,600k)")
    parser.add_argument("--runs", type=int, default=3, help="rounds (default 3)")
    options = parser.parse_args(arguments)
    expected = float(json.loads(WRITTEN.read_text())["ratio"])
    try:
        with session() as here:
            filled = [here.fill(Load(size)) for size in sorted(numbers(options.sizes))]
            lines = rows(drains(here, systems.chosen([systems.LOOP, "adtally"]), filled, options.runs))
    except AdtallyError as error:
        print(f"guard: {error}", file=sys.stderr)
        return 1
    shown = figures.table(figures.HEAD, [figures.cells(line) for line in lines])
    print(shown)
    say(f"written: {write('guard.md', shown + chr(10))}")
    problem = verdict(lines, expected)
    ratio = next((line.ratio for line in lines if line.system == "adtally"), None)
    print(f"guard: {problem}" if problem else f"guard: {ratio} times the bare loop's CPU; {expected:g} is written down")
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
