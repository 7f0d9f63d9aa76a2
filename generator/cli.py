"""The commands ``adtally generate synthetic`` and ``adtally generate replay``; ``python -m generator`` is the same."""

from __future__ import annotations

from collections.abc import Sequence

from dataflows.commands import frame
from dataflows.commands.frame import Command, examples
from generator.options import PROGRAM
from generator.replay_command import replay
from generator.synthetic_command import synthetic

app = frame.new_app(
    "Send ad events to Kafka: synthetic ones, or real files replayed.\n\nExit code 0 if every event was acknowledged, 1 if one was not "
    "or no broker answers, 2 for an option or a file that can't be used."
)


@app.callback()
def generate() -> None:
    """Keep the two commands apart: what they share is in their own flags."""


app.command(
    cls=Command,
    short_help="Make events up.",
    epilog=examples(
        f"{PROGRAM} synthetic                                  20 events/s until Ctrl-C",
        f"{PROGRAM} synthetic --backfill 30m --malformed 1%    history first, then live, with faults",
        f"{PROGRAM} synthetic --rate 100000 --duration 1m      a load test",
        f"{PROGRAM} synthetic --dry-run --seed 7 --count 1000  the same 1,000 lines on every machine",
    ),
)(synthetic)
app.command(
    cls=Command,
    short_help="Send the events of real files.",
    epilog=examples(
        f"{PROGRAM} replay --format online-retail --speed max data/2010-12-*.csv",
        f"{PROGRAM} replay --format open-bandit --shift-to-now --speed 60 random-men.csv",
        f"{PROGRAM} replay --format jsonl events.jsonl.gz",
    ),
)(replay)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the generator alone; return the exit code."""
    return frame.run(app, arguments, PROGRAM)
