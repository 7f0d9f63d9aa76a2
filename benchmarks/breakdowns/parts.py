"""Breakdowns in one process without Kafka: CPU of intake and windows, and the snapshot: ``python -m benchmarks.breakdowns.parts``.

The settings take turns in each round, so that a disturbance of the machine affects all of them.
"""

from __future__ import annotations

import argparse
import pickle
import statistics
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.breakdowns.cost import loads
from benchmarks.session import parsed_numbers
from benchmarks.summary import Spread, table
from benchmarks.targets import LoadRecord, records
from benchmarks.workload import DIMENSIONS
from dataflows.contract.constants import SHARDS
from dataflows.contract.settings import Settings
from dataflows.flow.connection import CHUNK, POLL
from dataflows.flow.engines import Engine
from dataflows.intake.partition import IntakeState
from dataflows.windows.panes import Panes
from dataflows.windows.shards import split
from dataflows.windows.watermark import SourceClock

HEAD = (
    "breakdowns",
    "intake, µs an event",
    "windows, µs an event",
    "× none",
    "cells",
    "snapshot MB",
    "snapshot CPU-ms",
)


class PartsRun(NamedTuple):
    """One run: CPU-seconds of the intake, of the windows and of a snapshot (`pause`); cells held; bytes of the snapshot."""

    intake: float
    windows: float
    cells: int
    size: int
    pause: float


def run(those: Sequence[LoadRecord], settings: Settings) -> PartsRun:
    """Count the records of one partition, a poll at a time, and take a snapshot at the end."""
    engine = Engine(settings)
    intake = engine.make_intake(0, IntakeState(), time.time)
    shards = [Panes(settings, engine.make_tables()) for _ in range(SHARDS)]
    spent = [0.0, 0.0]
    for start in range(0, len(those), POLL):
        begun = time.process_time()
        for chunk in range(start, min(start + POLL, len(those)), CHUNK):
            intake.take(those[chunk : chunk + CHUNK])
        shares, _ = intake.fetch()
        taken = time.process_time()
        clock = SourceClock(intake.clock, idle=False)
        for shard, partial in split(0, 1, clock, shares, behind=True):
            shards[int(shard)].take([partial], time.time())
        spent[0] += taken - begun
        spent[1] += time.process_time() - taken
    begun = time.process_time()
    size = sum(len(pickle.dumps(one.state())) for one in shards)
    pause = time.process_time() - begun
    cells = sum(sum(one.figures().cells) for one in shards)
    return PartsRun(spent[0], spent[1], cells, size, pause)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each number of breakdowns."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.breakdowns.parts", description=__doc__)
    parser.add_argument("--events", type=parsed_numbers, default="1500k", help="of the only partition (default 1500k)")
    parser.add_argument("--rate", type=int, default=5_000, help="events in a second of event time (default 5000)")
    parser.add_argument("--campaigns", type=int, default=50, help="campaigns, each with five channels (default 50)")
    parser.add_argument("--values", type=int, default=20, help="distinct values of each field (default 20)")
    parser.add_argument("--rounds", type=int, default=3, help="of each measurement (default 3)")
    options = parser.parse_args(arguments)
    (load,) = loads(options.events, options.rate, options.campaigns, options.values, partitions=1)
    those = records(load)[:-1]  # without the event that ends the last windows
    runs: dict[int, list[PartsRun]] = {count: [] for count in range(len(DIMENSIONS) + 1)}
    for _ in range(options.rounds):
        for count, found in runs.items():
            found.append(run(those, Settings(breakdowns=";".join(DIMENSIONS[:count]))))
    body: list[list[str]] = []
    for count, found in runs.items():
        ratios = [(one.intake + one.windows) / (none.intake + none.windows) for one, none in zip(found, runs[0], strict=True)]
        micros = [str(Spread.of(getattr(one, part) / len(those) * 1e6 for one in found)) for part in ("intake", "windows")]
        size = statistics.median(one.size for one in found) / 2**20
        pause = statistics.median(one.pause for one in found) * 1000
        body.append(
            [
                str(count),
                *micros,
                str(Spread.of(ratios)),
                f"{found[0].cells:,}",
                f"{size:.1f}",
                f"{pause:.0f}",
            ]
        )
    print(table(HEAD, body))
    return 0


if __name__ == "__main__":
    sys.exit(main())
