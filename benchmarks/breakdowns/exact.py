"""A million events with everything at once, counted by each engine and judged by the oracle: ``python -m benchmarks.breakdowns.exact``.

The log has three breakdowns with more values than they admit, nine currencies, declared types, disorder, late, duplicate and malformed
events. The flow is killed on the way and continues with two workers, is killed again and ends with one.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from confluent_kafka import KafkaException
from msgspec.structs import replace

from benchmarks.fill import make_topic
from benchmarks.session import parsed_numbers, say, session
from benchmarks.summary import table
from dataflows.contract.errors import AdtallyError
from dataflows.contract.settings import Settings
from dataflows.kafka.clients import describe
from tests.support.flows import Flow, await_caught_up, counters, recovery_folder, wait_for
from tests.support.settings import own_names
from tests.system.oracle.compare import found_in, gather, result_frame
from tests.system.oracle.history import KeyHistory, decoded
from tests.system.oracle.hostile import BREAKDOWNS, EVENT_TYPES, endless
from tests.system.oracle.journal import send_all
from tests.system.oracle.terms import terms_of
from tests.system.oracle.topics import Record

MINUTES = 40
"""Event time of the log: more than the allowed lateness, so that windows are evicted and admitted sets dropped."""

PATIENCE = 1800.0
"""Seconds for a run of the reference on a busy machine."""

HEAD = (
    "engine",
    "events",
    "counted",
    "duplicate",
    "late",
    "malformed",
    "cells",
    "rows of breakdowns",
    "… true",
    "seconds",
    "differences",
)


def fill(settings: Settings, events: int, seed: int) -> int:
    """Write the log; return the number of messages."""
    make_topic(settings.brokers, settings.logs_topic, settings.partitions, **{"message.timestamp.type": "LogAppendTime"})
    journal = send_all(settings.brokers, settings.logs_topic, endless(events, seed, MINUTES * 60 / events))
    if journal.refused:
        raise AdtallyError(f"the broker refused events: {journal.refused[0]}")
    return len(journal)


def count(settings: Settings, folder: Path, messages: int) -> float:
    """Let the flow read the log, through two kills, with one worker, two and one; return the seconds that it took."""
    arguments = ("-r", str(recovery_folder(folder / "recovery", 2)), "-s", "1", "-b", "0")
    begun = time.monotonic()
    for workers, share in ((1, 0.3), (2, 0.7)):
        flow = Flow(settings, folder / "log", *arguments, "-w", str(workers))
        try:
            wait_for(lambda least=share * messages: _read(settings) >= least, "part of the log", PATIENCE)
        finally:
            flow.kill()
    flow = Flow(settings, folder / "log", *arguments)
    try:
        wait_for(lambda: _read(settings) >= messages, "all of the log", PATIENCE)
        await_caught_up(settings)
        if any(flow.stop()):
            raise AdtallyError(f"the flow ended with: {flow.output()[-300:]}")
    finally:
        flow.kill()
    return time.monotonic() - begun


def _read(settings: Settings) -> int:
    return sum(one.get("read", 0) for one in counters(settings))


def judged(settings: Settings, seconds: float) -> tuple[list[str], list[str]]:
    """Return what the oracle found, and the line of the table."""
    terms = terms_of(settings)
    evidence = gather(
        settings.brokers, settings.logs_topic, settings.results_topic, settings.rejected_topic, terms, group=settings.group
    )
    differences = found_in(evidence, terms)
    sizes = {name: _rows(records, settings, name) for name, records in {"": evidence.results, **evidence.breakdowns}.items()}
    main, _ = sizes.pop("")
    shown = counters(settings)
    tallies = [f"{sum(one.get(name, 0) for one in shown):,}" for name in ("read", "counted", "duplicate", "late", "malformed")]
    rows, other = (sum(size[place] for size in sizes.values()) for place in (0, 1))
    engine = "C" if settings.native == "on" else "reference"
    return differences, [engine, *tallies, f"{main:,}", f"{rows:,}", f"{other:,}", f"{seconds:,.0f}", str(len(differences))]


def _rows(records: Sequence[Record], settings: Settings, name: str) -> tuple[int, int]:
    """Return the rows of a table, and those of what was not admitted."""
    history = KeyHistory(terms_of(settings), name)
    for record in decoded(records):
        history.take(*record)
    values = result_frame(history, terms_of(settings), name)["values"]
    return len(values), int(values.str.starts_with("[true").sum())


def main(arguments: Sequence[str] | None = None) -> int:
    """Count the log with each engine, print a line for each; return 1 if the oracle found a difference."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.breakdowns.exact", description=__doc__)
    parser.add_argument("--events", type=parsed_numbers, default="1M", help="of the log (default 1M)")
    parser.add_argument(
        "--cells", type=int, default=1000, help="that a partition admits of a breakdown and window (default 1000)"
    )
    parser.add_argument("--native", default="on,off", help="engines: on, off or both (default on,off)")
    parser.add_argument("--seed", type=int, default=7, help="seed of the random numbers (default 7)")
    parser.add_argument("--brokers", help="a Kafka that runs; by default one is started for the time of the run")
    options = parser.parse_args(arguments)
    try:
        if options.brokers:
            return _run(options.brokers, options)
        with session() as here:
            return _run(here.brokers, options)
    except (AdtallyError, AssertionError) as error:
        print(f"exact: {error}", file=sys.stderr)
    except KafkaException as error:  # the broker went away in between
        print(f"exact: {describe(error)}", file=sys.stderr)
    return 1


def _run(brokers: str, options: argparse.Namespace) -> int:
    more = {"breakdowns": BREAKDOWNS, "breakdown_cells": options.cells, "event_types": EVENT_TYPES}
    logs = replace(own_names(brokers), **more)
    messages = fill(logs, options.events[0], options.seed)
    say(f"filled {logs.logs_topic}: {messages:,} messages")
    lines: list[list[str]] = []
    wrong: list[str] = []
    for engine in options.native.split(","):
        settings = replace(own_names(brokers), logs_topic=logs.logs_topic, native=engine, **more)
        with tempfile.TemporaryDirectory(prefix="adtally-exact-") as folder:
            seconds = count(settings, Path(folder), messages)
            say(f"native {engine}: counted in {seconds:.0f} s")
        differences, line = judged(settings, seconds)
        lines.append(line)
        wrong += differences
        for one in differences[:10]:
            say(f"    {one}")
    print(table(HEAD, lines))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
