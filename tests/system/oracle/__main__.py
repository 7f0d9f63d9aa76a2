"""The oracle as a command: ``python -m tests.system.oracle --brokers host:port``, for a deployment without traffic.

With ``--follow`` it judges what comes while it comes, in bounded memory, until its standard input ends; then it must stand still.

It ends with 0 if all is exact, 1 if there are differences, 2 if it could not judge.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from confluent_kafka import KafkaError, KafkaException

from tests.system.oracle.compare import Audit, Evidence, found_in, gather
from tests.system.oracle.judge import Terms
from tests.system.oracle.topics import Where, committed, follow, partitions, properties

SHOWN = 20
"""Differences that are printed."""

LINE_SECONDS = 60.0
"""With --follow, the interval of lines on standard error."""

Gather = Callable[..., Evidence]
"""Reads what the topics hold, as `gather` does."""


def main(arguments: Sequence[str] | None = None, gather: Gather = gather) -> int:
    """Judge the topics, read by `gather`, and print what was found; return the exit code."""
    given = _parser().parse_args(arguments)
    terms = Terms(given.window, given.out_of_order, given.lateness, given.max_ahead, given.currency, not given.no_dedup)
    try:
        where = {**properties(given.client), "bootstrap.servers": given.brokers} if given.client else given.brokers
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        print(f"oracle: --client {given.client} can't be used: {why}.", file=sys.stderr)
        return 2
    try:
        judged = _followed(where, given, terms) if given.follow else _gathered(where, given, terms, gather)
    except KafkaException as error:
        inner = error.args[0]
        why = inner.str() if isinstance(inner, KafkaError) else str(inner)
        print(f"oracle: the topics can't be read from {given.brokers}: {why}; are --brokers and --client right?", file=sys.stderr)
        return 2
    if judged is None:
        print(f"oracle: topic {given.logs} does not exist on {given.brokers}; name it with --logs.", file=sys.stderr)
        return 2
    wrong, summary = judged
    if not wrong:
        print(f"exact: {summary}")
        return 0
    print(f"NOT EXACT: {len(wrong):,} differences in {summary}")
    for line in wrong[:SHOWN]:
        print(f"  {line}")
    if len(wrong) > SHOWN:
        print(f"  … and {len(wrong) - SHOWN:,} more")
    return 1


Judged = tuple[list[str], str]
"""The differences, and what was read in words."""


def _gathered(where: Where, given: argparse.Namespace, terms: Terms, gather: Gather) -> Judged | None:
    evidence = gather(where, given.logs, given.results, given.rejected, group=given.group, progress=True)
    if not evidence.partitions:
        return None
    return found_in(evidence, terms, progress=True), _told(len(evidence.logs), len(evidence.results), len(evidence.rejected))


def _followed(where: Where, given: argparse.Namespace, terms: Terms) -> Judged | None:
    count = len(partitions(where, given.logs))
    if not count:
        return None
    told_to_end = threading.Thread(target=sys.stdin.read, daemon=True)
    told_to_end.start()
    audit = Audit(given.logs, terms)
    read = [0, 0, 0]
    next_line = time.monotonic() + LINE_SECONDS
    for batch in follow(where, [given.logs, given.results, given.rejected], lambda: not told_to_end.is_alive()):
        records = batch[given.logs], batch[given.results], batch[given.rejected]
        for take, those in zip((audit.log, audit.results, audit.rejected), records, strict=True):
            take(those)
        read = [before + len(those) for before, those in zip(read, records, strict=True)]
        if time.monotonic() >= next_line:
            next_line = time.monotonic() + LINE_SECONDS
            print(f"oracle: {_told(*read)}", file=sys.stderr, flush=True)
    shown = committed(where, given.logs, given.group) if given.group else None
    return audit.differences(count, shown), _told(*read)


def _told(logs: int, results: int, rejected: int) -> str:
    return f"{logs:,} messages, {results:,} records of results, {rejected:,} of rejected"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.system.oracle",
        description="Works out again, from the log alone, what the topics must hold, and prints every difference. Stop the flow first "
        "(or let it come to rest): what it has not written yet is a difference too.",
    )
    add = parser.add_argument
    add("--brokers", default="127.0.0.1:9092", help="Kafka bootstrap servers, host:port (default: %(default)s)")
    add("--client", type=Path, metavar="FILE", help="client properties, a name=value in each line: security.protocol=SASL_SSL …")
    for topic in ("logs", "results", "rejected"):
        add(f"--{topic}", default=topic, help=f"the topic (default: {topic})")
    add(
        "--group",
        default="",
        help="also compare the counters that the flow committed to this consumer group (as a rule: adtally)",
    )
    standard = Terms()
    add("--window", type=int, default=standard.window, help="seconds of a window (default: %(default)s)")
    add("--out-of-order", type=float, default=standard.out_of_order, help="seconds (default: %(default)s)")
    add("--lateness", type=float, default=standard.lateness, help="allowed, in seconds (default: %(default)s)")
    add("--max-ahead", type=float, default=standard.max_ahead, help="seconds (default: %(default)s)")
    add("--currency", default=standard.currency, help="of the deployment (default: %(default)s)")
    add("--follow", action="store_true", help="judge while it runs, until standard input ends; the topics must be there")
    add("--no-dedup", action="store_true", help="a repeated event_id counts (ADTALLY_DEDUP=false)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
