"""adtally and its peers on the same topics, in turn: ``make bench``, or ``python -m benchmarks.bench --help``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from benchmarks import latency, picture, summary, systems
from benchmarks.drain import Filled, drain
from benchmarks.fill import add_options, load_of
from benchmarks.session import Session, machine, numbers, say, session, words, write
from benchmarks.summary import DrainRun, SystemRow
from benchmarks.systems import LOOP, SkippedError, System
from dataflows.contract.errors import AdtallyError


def drains(
    here: Session, able: Sequence[System], filled: Sequence[Filled], rounds: int, share: float | None = None
) -> list[DrainRun]:
    """Run each system on each size, round after round, so that a disturbance of the machine affects all of them.

    `share`: share of a processor for each process of a system. The oracle checks adtally's results of the first round, on the smallest
    size.
    """
    runs: list[DrainRun] = []
    for number in range(1, rounds + 1):
        for system in able:
            for topic in filled:
                judged = number == 1 and topic is filled[0]
                try:
                    run = drain(system, topic, here.brokers, here.pid, number, share=share, oracle=judged)
                except AdtallyError as error:
                    say(f"round {number}: {error}")
                    continue
                runs.append(run)
                say(f"round {number}: {_in_words(run)}")
    return runs


def _in_words(run: DrainRun) -> str:
    verdict = "exact" if run.exact else f"NOT exact: {run.lost:,} events lost, {run.wrong:,} cells wrong"
    judged = "" if run.oracle is None else f"; the oracle found {len(run.oracle)} differences"
    return (
        f"{run.system} on {run.events:,}: {run.cpu:.2f} CPU-s, {run.wall:.1f} s, {run.peak / 2**20:,.0f} MB, {verdict}{judged}"
        + "".join(f"\n    {line}" for line in (run.oracle or [])[:5])
    )


def rows(runs: Sequence[DrainRun]) -> list[SystemRow]:
    """Return a row for each system, in the order of its first run."""
    loop = [run for run in runs if run.system == LOOP]
    names = list(dict.fromkeys(run.system for run in runs))
    return [summary.row(name, [run for run in runs if run.system == name], loop) for name in names]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the selected systems, print the tables, write JSON and SVG; return 1 if adtally was not exact."""
    options = _parser().parse_args(arguments)
    try:
        sizes = sorted(set(numbers(options.sizes)))
        wanted = systems.chosen(words(options.only) or (systems.QUICK if options.quick else systems.DEFAULT))
    except (ValueError, KeyError):
        print(f"bench: {options.sizes!r} is not a list of sizes; use numbers such as 1M,4M", file=sys.stderr)
        return 2
    except SkippedError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    skipped: list[str] = []
    able = systems.ready(wanted, lambda line: (say(line), skipped.append(line))[0])
    try:
        with session() as here:
            filled = [here.fill(load_of(options, size)) for size in sizes]
            runs = drains(here, able, filled, options.runs, options.share)
            lags = [] if options.quick or not options.latency else _latencies(here, able, options.latency, runs)
    except AdtallyError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    silent = [system.name for system in able if not any(run.system == system.name for run in runs)]
    code = _report(options, rows(runs), runs, lags, skipped + [f"{name} produced no result" for name in silent])
    return 1 if any(name.startswith("adtally") for name in silent) else code


def _latencies(here: Session, able: Sequence[System], seconds: float, runs: Sequence[DrainRun]) -> list[latency.Lag]:
    """Measure adtally at 5,000 events/s, with a snapshot a second, and at half its highest rate; measure peers at 5,000 events/s.

    That half is limited to `latency.MOST`, the highest rate that the sender sustains.
    """
    best = max((run.counted / run.wall for run in runs if run.system == "adtally"), default=0.0)
    plan: list[tuple[System, int]] = [(system, 5000) for system in able if system.name in latency.MEASURED]
    if ours := [system for system in able if system.name == "adtally"]:
        plan += [(systems.chosen(["adtally-s1"])[0], 5000)]
        plan += [(ours[0], min(latency.MOST, int(best / 2) // 1000 * 1000))] if best else []
    lags: list[latency.Lag] = []
    for system, rate in plan:
        lag = latency.measure(system, here.brokers, rate=rate, seconds=seconds)
        say(f"latency: {lag}")
        lags.append(lag)
    return lags


def _report(
    options: argparse.Namespace, lines: list[SystemRow], runs: list[DrainRun], lags: list[latency.Lag], skipped: list[str]
) -> int:
    print(summary.table(summary.HEAD, [summary.cells(line) for line in lines]))
    if lags:
        print()
        print(summary.table(latency.HEAD, [latency.cells(lag) for lag in lags]))
    for line in skipped:
        print(line)
    around = machine()
    found = {
        "machine": around,
        "options": vars(options),
        "rows": [asdict(line) for line in lines],
        "runs": [asdict(run) for run in runs],
        "latency": [asdict(lag) for lag in lags],
        "skipped": skipped,
    }
    note = f"{options.sizes} events, {options.runs} rounds, {options.campaigns} campaigns, "
    note += f"{around['processors']} processors, load {around['load'][0]}"
    print(f"\nwritten: {write('bench.json', json.dumps(found, indent=1))} and {write('bench.svg', picture.chart(lines, note))}")
    wrong = [run for run in runs if run.system.startswith("adtally") and not run.exact]
    return 1 if wrong and options.duplicates + options.late + options.malformed == 0 else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench", description=__doc__)
    parser.add_argument(
        "--sizes",
        default="1M,4M",
        help="number of events of each topic; the cost is the slope between two of them (default 1M,4M)",
    )
    parser.add_argument("--runs", type=int, default=3, help="rounds (default 3)")
    parser.add_argument("--only", default="", help=f"systems: {', '.join(system.name for system in systems.SYSTEMS)}")
    parser.add_argument("--quick", action="store_true", help=f"only {', '.join(systems.QUICK)}, and no latency")
    parser.add_argument(
        "--latency", type=float, default=150, help="length of each latency run in seconds; 0 skips them (default 150)"
    )
    parser.add_argument(
        "--share",
        type=float,
        help="share of a processor for each process of a system, which shows how several processes perform when each has its own",
    )
    add_options(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
