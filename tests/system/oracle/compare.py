"""Reads the topics of a deployment and says where they differ from what the log demands.

Each difference is a line that begins with its kind: ``journal`` (what was acknowledged against what is on the log), ``results`` (a cell),
``breakdown`` (a cell of one), ``equation`` (the rows of a breakdown against the main cell), ``record`` (a single record of the results),
``history`` (the consumer's rule), ``state``, ``rejected``, ``counters``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl
from tqdm import tqdm

from tests.system.oracle.history import NAMES, KeyHistory, decoded, wrong_states
from tests.system.oracle.journal import Journal, journal_differences
from tests.system.oracle.judge import Judge, Verdict, windows
from tests.system.oracle.refused import Rejections
from tests.system.oracle.sums import KEY, SUMS, columns, written
from tests.system.oracle.terms import MAIN, Terms
from tests.system.oracle.topics import Record, Where, committed, partitions, read

COUNTERS = ("read", "counted", "duplicate", "late", "malformed", "too_far_ahead", "oversize")


@dataclass(frozen=True)
class Evidence:
    """All that is judged: the records of the topics, and the committed counters by partition (None: not asked for)."""

    topic: str
    logs: Sequence[Record]
    results: Sequence[Record]
    rejected: Sequence[Record]
    counters: dict[int, dict[str, Any]] | None = None
    journal: Journal | None = None
    partitions: int = 0
    """Of `logs`, with those that hold nothing."""
    breakdowns: Mapping[str, Sequence[Record]] = field(default_factory=dict[str, Sequence[Record]])
    """The records of each breakdown's topic, by its name."""


def topics_of(results: str, terms: Terms) -> dict[str, str]:
    """The topic of each table by its name."""
    return {name: f"{results}.{name}" if name else results for name in terms.tables()}


def gather(
    where: Where,
    logs: str,
    results: str,
    rejected: str,
    terms: Terms | None = None,
    *,
    group: str = "",
    journal: Journal | None = None,
    progress: bool = False,
) -> Evidence:
    """Read the topics; with `group`, also the counters that the flow committed there. Raises `KafkaException`."""
    shown = committed(where, logs, group) if group else None
    topics = topics_of(results, terms or Terms())
    return Evidence(
        logs,
        read(where, logs, progress),
        read(where, results, progress),
        read(where, rejected, progress),
        shown,
        journal,
        len(partitions(where, logs)),
        {name: read(where, topic, progress) for name, topic in topics.items() if name != MAIN},
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
    return found_in(gather(where, logs, results, rejected, terms, group=group, journal=journal), terms or Terms())


class Audit:
    """Judges topics record by record, as they are read: it holds cells and what is rejected, whatever the length of the log.

    Each partition must be taken in its order; the topics, and the partitions of one, may take turns as they like.
    """

    def __init__(self, logs: str, terms: Terms) -> None:
        self._judge = Judge(terms)
        self._histories = {name: KeyHistory(terms, name) for name in terms.tables()}
        self._rejections = Rejections(logs)

    @property
    def verdict(self) -> Verdict:
        """What the log demands, as far as it was taken."""
        return self._judge.verdict

    def log(self, records: Iterable[Record]) -> None:
        """Take messages of the log."""
        for _, message in records:
            self._judge.take(message)

    def results(self, records: Iterable[Record], table: str = MAIN) -> None:
        """Take records of a table's results."""
        for key, value, contract in decoded(records):
            self._histories[table].take(key, value, contract)

    def rejected(self, records: Iterable[Record]) -> None:
        """Take records of rejected events."""
        for key, value, contract in decoded(records):
            self._rejections.take(key, value, contract)

    def differences(self, partitions: int, counters: dict[int, dict[str, Any]] | None = None) -> list[str]:
        """Every way in which the topics differ from what the log demands; `partitions` of the log, with those that hold nothing."""
        verdict, terms = self.verdict, self._judge.terms
        frames = {name: result_frame(history, terms, name) for name, history in self._histories.items()}
        return [
            *gone(verdict),
            *(line for name, frame in frames.items() for line in window_differences(windows(verdict, name), frame, name)),
            *(line for name, frame in frames.items() if name for line in broken_equations(frames[MAIN], frame, name)),
            *(line for history in self._histories.values() for line in history.differences()),
            *(line for history in self._histories.values() for line in wrong_states(history, verdict, partitions, terms)),
            *self._rejections.differences(verdict),
            *(counter_differences(verdict, counters) if counters is not None else []),
        ]


def found_in(evidence: Evidence, terms: Terms, progress: bool = False) -> list[str]:
    """The same of what was read before; `progress`: show it on a terminal where it takes long."""
    audit = Audit(evidence.topic, terms)
    audit.log(tqdm(evidence.logs, "judging", unit=" messages", delay=1, disable=None if progress else True))
    audit.results(evidence.results)
    for name, records in evidence.breakdowns.items():
        audit.results(records, name)
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


def result_frame(history: KeyHistory, terms: Terms, table: str = MAIN) -> pl.DataFrame:
    """The last value of each key of a table, with the columns of `windows`."""
    fields, declared = terms.tables()[table], terms.declared()
    kinds: dict[str, Any] = {**dict.fromkeys(KEY, pl.String), **dict.fromkeys(columns(terms), pl.Int128)}
    rows = [
        (
            *(value[name] for name in KEY[:3]),
            written([value[field] for field in fields]),
            value["currency"],
            *(value[name] for name in SUMS),
            *(dict(value["counts"]).get(name, 0) for name in declared),
        )
        for value in history.whole()
    ]
    return pl.DataFrame(rows, schema=kinds, orient="row")


def window_differences(expected: pl.DataFrame, found: pl.DataFrame, table: str = MAIN) -> list[str]:
    """A full outer join of both, and a line for each cell that is missing, not wanted or different."""
    sums = [name for name in expected.columns if name not in KEY]
    joined = expected.join(found, on=KEY, how="full", coalesce=True, suffix="_found")
    differing = joined.filter(pl.any_horizontal([pl.col(name).ne_missing(pl.col(f"{name}_found")) for name in sums])).sort(KEY)
    return [
        f"{_cell(row, table)}: "
        + ", ".join(f"{name} {row[f'{name}_found']} instead of {row[name]}" for name in sums if row[name] != row[f"{name}_found"])
        for row in differing.to_dicts()
    ]


def broken_equations(main: pl.DataFrame, rows: pl.DataFrame, table: str) -> list[str]:
    """A line for each cell of the main results that the rows of a breakdown do not sum to, in any measure or in `events`."""
    sums = [name for name in main.columns if name not in KEY]
    added_up = rows.group_by(NAMES).agg(pl.col(name).sum() for name in sums)
    joined = main.join(added_up, on=NAMES, how="full", coalesce=True, suffix="_rows")
    broken = joined.filter(pl.any_horizontal([pl.col(name).ne_missing(pl.col(f"{name}_rows")) for name in sums])).sort(NAMES)
    return [
        f"equation: {table} of {' '.join(row[name] for name in NAMES)}: "
        + ", ".join(
            f"{name} {row[f'{name}_rows']} in rows, {row[name]} in all" for name in sums if row[name] != row[f"{name}_rows"]
        )
        for row in broken.to_dicts()
    ]


def _cell(row: dict[str, Any], table: str) -> str:
    main = f"{row['window_start']} {row['campaign_id']} {row['channel']}"
    return f"breakdown: {table}: {main} {row['values']} {row['currency']}" if table else f"results: {main} {row['currency']}"


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
