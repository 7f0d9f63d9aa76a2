"""Hours at a steady rate while the dataflow is restarted again and again: ``python -m benchmarks.soak.run --hours 2 --rate 5000``.

A real Kafka, the generator with 1 % late and 1 % repeated events, the dataflow with snapshots every 5 s and the dashboard run as users run
them. The oracle reads along and says at the end whether every figure is right. Tables go to standard output, every sample to ``soak.csv``,
the rest to ``soak.json`` and ``soak-logs``, where the other benchmarks put theirs. It ends with 0 if all is exact, 1 if it is not, 2 if it
can't run.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.session import folder as results_folder
from benchmarks.session import machine, say, session, write
from benchmarks.soak.record import SoakRecord, tables
from benchmarks.soak.stage import Soak, SoakError
from dataflows.contract.errors import AdtallyError
from dataflows.contract.settings import Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the soak; the exit code."""
    given = _parser().parse_args(arguments)
    pace: dict[str, float] = {"seconds": given.hours * 3600, "every": given.restart_every, "warm": given.warm * 60}
    try:
        with session() as kafka, tempfile.TemporaryDirectory(prefix="adtally-soak-", ignore_cleanup_errors=True) as folder:
            settings = Settings(brokers=kafka.brokers)
            with Soak(settings, (kafka.pid, kafka.data), Path(folder), rate=given.rate, seed=given.seed, **pace) as soak:
                try:
                    soak.run()
                    say("soak: all is counted; the oracle reads the rest")
                    soak.judge()
                except SoakError as error:
                    soak.record.faults.append(str(error))
                finally:
                    keep(soak.record, Path(folder))
    except AdtallyError as error:
        say(f"soak: {error}")
        return 2
    print(tables(soak.record))
    return 0 if soak.record.exact else 1


def keep(record: SoakRecord, logs: Path) -> None:
    """Write ``soak.csv`` with a line for each sample, ``soak.json`` with all else, and ``soak-logs``, the logs of the parts in `logs`."""
    kept = results_folder() / "soak-logs"
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir()
    for log in logs.glob("*.log"):
        shutil.copy(log, kept)
    lines = [sample.flat() for sample in record.samples]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(lines[0]) if lines else [])
    writer.writeheader()
    writer.writerows(lines)
    whole = {name: value for name, value in asdict(record).items() if name != "samples"}
    write("soak.json", json.dumps({"machine": machine(), "exact": record.exact, **whole}, indent=1))
    say(f"soak: written {write('soak.csv', text.getvalue())} and soak.json in the same folder")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak.run", description=(__doc__ or "").split("\n", maxsplit=1)[0])
    add = parser.add_argument
    add("--hours", type=_positive, default=2.0, help="how long the generator sends (default 2)")
    add("--rate", type=int, default=5000, help="messages a second (default 5000)")
    add(
        "--restart-every",
        type=_positive,
        default=240.0,
        metavar="SECONDS",
        help="between two restarts of the flow, give or take half (default 240)",
    )
    add(
        "--warm",
        type=_positive,
        default=25.0,
        metavar="MINUTES",
        help="leave the first minutes out of the slopes (default 25: until then the index of ids fills)",
    )
    add("--seed", type=int, default=1, help="of the events and of the restarts (default 1)")
    return parser


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e6:
        raise ValueError(text)
    return value


if __name__ == "__main__":
    sys.exit(main())
