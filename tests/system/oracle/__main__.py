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

from tests.system.oracle.compare import Audit, Evidence, found_in, gather, topics_of
from tests.system.oracle.terms import Terms
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
    times = given.window, given.out_of_order, given.lateness, given.max_ahead
    kinds = given.breakdowns, given.breakdown_cells, given.event_types
    terms = Terms(*times, given.currency, not given.no_dedup, True, *kinds)
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
    evidence = gather(where, given.logs, given.results, given.rejected, terms, group=given.group, progress=True)
    if not evidence.partitions:
        return None
    rows = sum(map(len, evidence.breakdowns.values()))
    return found_in(evidence, terms, progress=True), _in_words(
        len(evidence.logs), len(evidence.results) + rows, len(evidence.rejected)
    )


def _followed(where: Where, given: argparse.Namespace, terms: Terms) -> Judged | None:
    count = len(partitions(where, given.logs))
    if not count:
        return None
    asked_to_end = threading.Thread(target=sys.stdin.read, daemon=True)
    asked_to_end.start()
    audit = Audit(given.logs, terms)
    tables = {topic: name for name, topic in topics_of(given.results, terms).items()}
    read = [0, 0, 0]
    next_line = time.monotonic() + LINE_SECONDS
    for batch in follow(where, [given.logs, *tables, given.rejected], lambda: not asked_to_end.is_alive()):
        audit.log(batch[given.logs])
        audit.rejected(batch[given.rejected])
        for topic, table in tables.items():
            audit.results(batch[topic], table)
        rows = sum(len(batch[topic]) for topic in tables)
        read = [
            before + more for before, more in zip(read, (len(batch[given.logs]), rows, len(batch[given.rejected])), strict=True)
        ]
        if time.monotonic() >= next_line:
            next_line = time.monotonic() + LINE_SECONDS
            print(f"oracle: {_in_words(*read)}", file=sys.stderr, flush=True)
    shown = committed(where, given.logs, given.group) if given.group else None
    return audit.differences(count, shown), _in_words(*read)


def _in_words(logs: int, results: int, rejected: int) -> str:
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
    add("--currency", default=standard.currency, help="of events that name none (default: %(default)s)")
    add("--breakdowns", default="", metavar="LIST", help="as ADTALLY_BREAKDOWNS: 'ad=adgroup_id,ad_id;device' (default: none)")
    add("--breakdown-cells", type=int, default=standard.breakdown_cells, help="admitted by a partition (default: %(default)s)")
    add("--event-types", default="", metavar="LIST", help="as ADTALLY_EVENT_TYPES: 'add_to_cart,lead:conversion' (default: none)")
    add("--follow", action="store_true", help="judge while it runs, until standard input ends; the topics must be there")
    add("--no-dedup", action="store_true", help="a repeated event_id counts (ADTALLY_DEDUP=false)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
