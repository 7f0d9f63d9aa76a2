"""Reads the topics of a deployment and says where they differ from what the log demands.

Each difference is a line that begins with its kind: ``journal`` (what was acknowledged against what is on the log), ``results`` (a cell),
``record`` (a single record of the results), ``history`` (the consumer's rule), ``state``, ``rejected``, ``counters``.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from tests.oracle.history import NAMES, backward_steps, decoded, wrong_records, wrong_states
from tests.oracle.journal import Journal, journal_differences
from tests.oracle.judge import SUMS, Message, Terms, Verdict, judge, windows
from tests.oracle.topics import Record, Where, committed, partitions, read

COUNTERS = ("read", "counted", "duplicate", "late", "malformed", "too_far_ahead", "oversize")
KEPT = 4096


@dataclass(frozen=True)
class Evidence:
    """All that is judged: the records of the three topics, and the committed counters by partition (None: not asked for)."""

    topic: str
    logs: Sequence[Record]
    results: Sequence[Record]
    rejected: Sequence[Record]
    counters: dict[int, dict[str, Any]] | None = None
    journal: Journal | None = None
    partitions: int = 0
    """Of `logs`, with those that hold nothing."""


def gather(
    where: Where,
    logs: str,
    results: str,
    rejected: str,
    *,
    group: str = "",
    journal: Journal | None = None,
    progress: bool = False,
) -> Evidence:
    """Read the topics; with `group`, also the counters that the flow committed there. Raises `KafkaException`."""
    shown = committed(where, logs, group) if group else None
    return Evidence(
        logs,
        read(where, logs, progress),
        read(where, results, progress),
        read(where, rejected, progress),
        shown,
        journal,
        len(partitions(where, logs)),
    )


def differences(
    where: Where,
    logs: str,
    results: str,
    rejected: str,
    terms: Terms | None = None,
    *,
    group: str = "",
    journal: Journal | None = None,
) -> list[str]:
    """Every way in which the topics differ from what `logs` demands; empty if they are exact."""
    return found_in(gather(where, logs, results, rejected, group=group, journal=journal), terms or Terms())


def found_in(evidence: Evidence, terms: Terms, progress: bool = False) -> list[str]:
    """The same of what was read before; `progress`: show it on a terminal where it takes long."""
    messages = [message for _, message in evidence.logs]
    verdict = judge(messages, terms, progress)
    history = decoded(evidence.results)
    last = dict(history)
    return [
        *(journal_differences(evidence.journal, evidence.logs) if evidence.journal is not None else []),
        *gone(messages),
        *window_differences(windows(verdict), result_frame(last)),
        *wrong_records(history, terms),
        *backward_steps(history),
        *wrong_states(last.values(), verdict, evidence.partitions, terms),
        *rejected_differences(verdict, evidence.topic, messages, evidence.rejected),
        *(counter_differences(verdict, evidence.counters) if evidence.counters is not None else []),
    ]


def gone(messages: Sequence[Message]) -> list[str]:
    """A line for each partition that does not begin at offset 0: what stood before can't be judged."""
    first: dict[int, int] = {}
    for message in messages:
        first.setdefault(message.partition, message.offset)
    return [
        f"logs: partition {number} begins at offset {offset}: what stood before is gone"
        for number, offset in first.items()
        if offset
    ]


def result_frame(last: dict[bytes | None, dict[str, Any]]) -> pl.DataFrame:
    """The last value of each key, with the columns of `windows`."""
    kinds: dict[str, Any] = {**dict.fromkeys(NAMES, pl.String), **dict.fromkeys(SUMS, pl.Int128)}
    whole = [value for value in last.values() if set(value) >= set(kinds)]
    return pl.DataFrame([{name: value[name] for name in kinds} for value in whole], schema=kinds)


def window_differences(expected: pl.DataFrame, found: pl.DataFrame) -> list[str]:
    """A full outer join of both, and a line for each cell that is missing, not wanted or different."""
    joined = expected.join(found, on=NAMES, how="full", coalesce=True, suffix="_found")
    differing = joined.filter(pl.any_horizontal([pl.col(name).ne_missing(pl.col(f"{name}_found")) for name in SUMS])).sort(NAMES)
    return [
        f"results: {row['window_start']} {row['campaign_id']} {row['channel']}: "
        + ", ".join(f"{name} {row[f'{name}_found']} instead of {row[name]}" for name in SUMS if row[name] != row[f"{name}_found"])
        for row in differing.to_dicts()
    ]


def rejected_differences(verdict: Verdict, logs: str, messages: Sequence[Message], records: Sequence[Record]) -> list[str]:
    """A line for each rejected event that is missing, not wanted, under a wrong key, for another reason, or not as it came."""
    payloads = {(message.partition, message.offset): message.payload for message in messages}
    found: dict[tuple[int, int], dict[str, Any]] = {}
    wrong: list[str] = []
    for key, value in decoded(records):
        place = value.get("partition", -1), value.get("offset", -1)
        if key is None or value.get("topic") != logs or json.loads(key) != [logs, *place]:
            wrong.append(f"rejected: key {key!r} of a record of {value.get('topic')} partition {place[0]} offset {place[1]}")
            continue
        if place in found and found[place]["reason"] != value["reason"]:
            wrong.append(
                f"rejected: partition {place[0]} offset {place[1]} as {found[place]['reason']}, then as {value['reason']}"
            )
        found[place] = value
    for place in sorted(set(found) | set(verdict.rejected)):
        named, value, reason = f"rejected: partition {place[0]} offset {place[1]}", found.get(place), verdict.rejected.get(place)
        if (value or {}).get("reason") != reason:
            wrong.append(f"{named} as {(value or {}).get('reason')} instead of {reason}")
        elif value is not None and (why := _not_as_it_came(value, payloads[place])):
            wrong.append(f"{named}: {why}")
    return wrong


def _not_as_it_came(value: dict[str, Any], payload: bytes | None) -> str:
    expected: dict[str, Any] = {}
    if payload is not None and len(payload) > 64 * 1024:
        expected = {"size": len(payload), "sha256": hashlib.sha256(payload).hexdigest()}
        payload = payload[:KEPT]
    if payload is not None:
        try:
            expected["payload"] = payload.decode()
        except UnicodeDecodeError:
            expected["payload_base64"] = base64.b64encode(payload).decode()
    for name in ("payload", "payload_base64", "size", "sha256"):
        if value.get(name) != expected.get(name):
            return f"{name} {str(value.get(name))[:60]!r} instead of {str(expected.get(name))[:60]!r}"
    return "" if value.get("detail") and value.get("rejected_at") else "without detail or rejected_at"


def counter_differences(verdict: Verdict, shown: dict[int, dict[str, Any]]) -> list[str]:
    """A line for each partition whose committed counters are not those of the log, or do not add up."""
    wrong: list[str] = []
    for partition in sorted(set(shown) | set(verdict.counters)):
        expected, found = verdict.counters.get(partition, Counter()), shown.get(partition, {})
        differing = [
            f"{name} {found.get(name, 0)} instead of {expected[name]}"
            for name in COUNTERS
            if found.get(name, 0) != expected[name]
        ]
        if differing:
            wrong.append(f"counters: partition {partition}: {', '.join(differing)}")
    return wrong
