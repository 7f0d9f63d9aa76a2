"""Random faults while events flow: ``python -m tests.system.faults.chaos --seed 7 --runs 50``.

A run sends synthetic events (disorder, duplicates, late and malformed ones) at a steady rate to a real Kafka, with three breakdowns under
a bound of the seed's choice, declared event types and nine currencies, and meanwhile does to the flow, the network and the broker what its
seed says. When all is sent and read, the oracle compares the topics with the log. Each run has topics and a recovery folder of its own;
of one that was not exact, what the flow said is kept.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.system.faults.faults import COMMON, FAULTS
from tests.system.faults.proxy import ProxiedKafka
from tests.system.faults.stage import RunOutcome, Stage

KEPT = Path(__file__).parents[2] / "run" / "logs"


def summary(outcomes: Sequence[RunOutcome]) -> str:
    """What the runs were, in a few lines."""
    met = sum((one.faults for one in outcomes), Counter[str]())
    exact = sum(not one.wrong for one in outcomes)
    return "\n".join(
        [
            f"{exact} of {len(outcomes)} runs exact; {sum(one.sent for one in outcomes):,} messages, {met.total()} faults:",
            *(f"    {count:5} × {name}" for name, count in met.most_common()),
        ]
    )


def keep(log: Path, seed: int) -> Path:
    """Where the log of a run lies after the run."""
    KEPT.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(log, KEPT / f"chaos-seed-{seed}.log"))


def main() -> int:
    """Run as often as asked; 1 if any run was not exact."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.system.faults.chaos", description="Random faults, and the oracle as the judge."
    )
    parser.add_argument("--seed", type=int, default=1, help="of the first run; the next ones count up from it")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60, help="of traffic in a run")
    parser.add_argument("--rate", type=int, default=500, help="messages a second")
    parser.add_argument("--faults", default=",".join(COMMON), help=f"drawn from, separated by commas: {', '.join(FAULTS)}")
    given = parser.parse_args()
    names: list[str] = given.faults.split(",")
    if unknown := set(names) - set(FAULTS):
        parser.error(f"there is no fault {', '.join(sorted(unknown))}; there are {', '.join(FAULTS)}")
    outcomes: list[RunOutcome] = []
    with tempfile.TemporaryDirectory(prefix="adtally-chaos-") as place, ProxiedKafka(Path(place) / "kafka") as kafka:
        for seed in range(given.seed, given.seed + given.runs):
            folder = Path(place) / f"run-{seed}"
            folder.mkdir()
            outcomes.append(Stage(kafka, folder, seed, given.seconds, given.rate).run(names, FAULTS))
            print(outcomes[-1], flush=True)
            for line in outcomes[-1].wrong[:20]:
                print(f"    {line}", flush=True)
            if outcomes[-1].wrong:
                print(f"    what the flow said: {keep(folder / 'flow.log', seed)}", flush=True)
    print(summary(outcomes))
    return 1 if any(one.wrong for one in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
