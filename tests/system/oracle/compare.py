"""Reads the topics of a deployment and says where they differ from what the log demands.

Each difference is a line that begins with its kind: ``journal`` (what was acknowledged against what is on the log), ``results`` (a cell),
``record`` (a single record of the results), ``history`` (the consumer's rule), ``state``, ``rejected``, ``counters``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from tqdm import tqdm

from tests.system.oracle.history import NAMES, KeyHistory, decoded, wrong_states
from tests.system.oracle.journal import Journal, journal_differences
from tests.system.oracle.judge import Judge, Terms, Verdict, windows
from tests.system.oracle.refused import Rejections
from tests.system.oracle.sums import SUMS
from tests.system.oracle.topics import Record, Where, committed, partitions, read

COUNTERS = ("read", "counted", "duplicate", "late", "malformed", "too_far_ahead", "oversize")


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


class Audit:
    """Judges topics record by record, as they are read: it holds cells and what is rejected, whatever the length of the log.

    Each partition must be taken in its order; the topics, and the partitions of one, may take turns as they like.
    """

    def __init__(self, logs: str, terms: Terms) -> None:
        self._judge = Judge(terms)
        self._history = KeyHistory(terms)
        self._rejections = Rejections(logs)

    @property
    def verdict(self) -> Verdict:
        """What the log demands, as far as it was taken."""
        return self._judge.verdict

    def log(self, records: Iterable[Record]) -> None:
        """Take messages of the log."""
        for _, message in records:
            self._judge.take(message)

    def results(self, records: Iterable[Record]) -> None:
        """Take records of the results."""
        for key, value in decoded(records):
            self._history.take(key, value)

    def rejected(self, records: Iterable[Record]) -> None:
        """Take records of rejected events."""
        for key, value in decoded(records):
            self._rejections.take(key, value)

    def differences(self, partitions: int, counters: dict[int, dict[str, Any]] | None = None) -> list[str]:
        """Every way in which the topics differ from what the log demands; `partitions` of the log, with those that hold nothing."""
        verdict, last = self.verdict, self._history.last
        return [
            *gone(verdict),
            *window_differences(windows(verdict), result_frame(last)),
            *self._history.differences(),
            *wrong_states(last.values(), verdict, partitions, self._judge.terms),
            *self._rejections.differences(verdict),
            *(counter_differences(verdict, counters) if counters is not None else []),
        ]


def found_in(evidence: Evidence, terms: Terms, progress: bool = False) -> list[str]:
    """The same of what was read before; `progress`: show it on a terminal where it takes long."""
    audit = Audit(evidence.topic, terms)
    audit.log(tqdm(evidence.logs, "judging", unit=" messages", delay=1, disable=None if progress else True))
    audit.results(evidence.results)
    audit.rejected(evidence.rejected)
    return [
        *(journal_differences(evidence.journal, evidence.logs) if evidence.journal is not None else []),
        *audit.differences(evidence.partitions, evidence.counters),
    ]


def gone(verdict: Verdict) -> list[str]:
    """A line for each partition that does not begin at offset 0: what stood before can't be judged."""
    return [
        f"logs: partition {number} begins at offset {offset}: what stood before is gone"
        for number, offset in verdict.first.items()
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
