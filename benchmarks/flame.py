"""Profile of the flow: a flame graph of the flow while it reads a backlog (``make profile``), or the share of time with the GIL (--gil).

py-spy samples the process from outside; it is installed into an environment of its own, once.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks import systems
from benchmarks.drain import PARTS
from benchmarks.fill import add_options, load_of, make_topic
from benchmarks.session import Session, folder, parsed_numbers, session
from benchmarks.systems import CACHE, SkippedError, SystemCommand, Workspace
from dataflows.contract.errors import AdtallyError

PY_SPY = ("py-spy==0.4.1",)
RATE = 200
"""Samples a second."""


def share(raw: Iterable[str], seconds: float, rate: int = RATE) -> float:
    """Return the share of `seconds`, 0 to 1, that the lines of a raw profile (frames, blank, samples) cover."""
    samples = sum(int(line.rpartition(" ")[2]) for line in raw if line.strip())
    return min(1.0, samples / (rate * seconds))


def record(command: SystemCommand, output: Path, seconds: int, *options: str) -> None:
    """Run a command under py-spy for `seconds`, then end it; raises `SkippedError` if py-spy fails."""
    spy = str(CACHE / "py-spy" / "bin" / "py-spy")
    wanted = ["record", "--rate", str(RATE), "--duration", str(seconds), "--output", str(output), *options, "--"]
    done = subprocess.run(
        [spy, *wanted, *command.arguments], env=command.environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )  # fmt: skip
    if not output.exists() or not output.stat().st_size:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise SkippedError(f"py-spy recorded nothing: {lines[-1] if lines else f'exit code {done.returncode}'}")


def observe(here: Session, name: str, topic: str, output: Path, seconds: int, *options: str) -> None:
    """Record the system `name` on a filled topic."""
    tag = uuid.uuid4().hex[:8]
    for kind in ("results", "rejected"):
        make_topic(here.brokers, f"{kind}-{tag}", PARTS)
    with tempfile.TemporaryDirectory(prefix="adtally-flame-", ignore_cleanup_errors=True) as place:
        where = Workspace(here.brokers, topic, f"results-{tag}", f"rejected-{tag}", Path(place))
        record(systems.chosen([name])[0].start(where)[0], output, seconds, *options)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the graph or print the shares; return 1 if this machine cannot record them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flame", description=__doc__)
    parser.add_argument("--events", type=parsed_numbers, default="4M", help="size of the backlog (default 4M)")
    parser.add_argument("--seconds", type=int, default=10, help="to record; the backlog should last longer (default 10)")
    parser.add_argument("--native", action="store_true", help="show frames of C and Rust too")
    parser.add_argument("--gil", action="store_true", help="only print how long the GIL is held, with one worker and with two")
    add_options(parser)
    options = parser.parse_args(arguments)
    try:
        systems.virtual_environment("py-spy", PY_SPY)
        with session() as here:
            topic = here.fill(load_of(options, options.events[0])).topic
            if not options.gil:
                file = folder() / "flame.svg"
                observe(here, "adtally", topic, file, options.seconds, *(["--native"] if options.native else []))
                print(f"flame graph: {file}")
                return 0
            for name in ("adtally", "adtally-w2"):
                file = folder() / f"gil-{name}.txt"
                observe(here, name, topic, file, options.seconds, "--gil", "--format", "raw")
                held = share(file.read_text().splitlines(), options.seconds)
                print(f"{name}: the GIL is held {100 * held:.0f} % of {options.seconds} s, start included")
    except (AdtallyError, SkippedError) as error:
        print(f"profile: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
