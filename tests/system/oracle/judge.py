"""What becomes of each message of the log, and what each window must hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import polars as pl
from tqdm import tqdm

from tests.system.oracle.admission import Admission
from tests.system.oracle.parse import BadError, Parser
from tests.system.oracle.sums import Cells
from tests.system.oracle.terms import MAIN, SECOND, Terms


@dataclass(frozen=True)
class Message:
    """One message of a topic; `time` is Kafka's own, in milliseconds, `contract` the header of that name."""

    partition: int
    offset: int
    time: int
    payload: bytes | None
    contract: bytes | None = None


@dataclass
class Verdict:
    """What the log demands.

    By partition: its first offset, its counters and last clock (microseconds). For each rejected place the reason, and the payload. The
    sums of the counted events.
    """

    first: dict[int, int] = field(default_factory=dict)
    counters: dict[int, Counter[str]] = field(default_factory=dict)
    clocks: dict[int, int] = field(default_factory=dict)
    rejected: dict[tuple[int, int], str] = field(default_factory=dict)
    payloads: dict[tuple[int, int], bytes | None] = field(default_factory=dict)
    cells: Cells = field(default_factory=Cells)


class Judge:
    """Reads the log as the contract says, a message at a time: each partition in its order, its own clock deciding what is late.

    It holds the cells, what is rejected, and the ids and admitted cells that a partition still knows, whatever the length of the log.
    """

    def __init__(self, terms: Terms | None = None) -> None:
        self.terms = terms or Terms()
        self.verdict = Verdict(cells=Cells(self.terms))
        """On what was taken so far."""
        self._parse = Parser(self.terms)
        self._known: dict[int, Known] = {}
        self._admission: dict[int, Admission] = {}

    def take(self, message: Message) -> None:
        """Judge the next message of its partition."""
        terms, verdict = self.terms, self.verdict
        verdict.first.setdefault(message.partition, message.offset)
        tally = verdict.counters.setdefault(message.partition, Counter())
        tally["read"] += 1
        try:
            event = self._parse(message.payload)
        except BadError:
            oversize = len(message.payload or b"") > 64 * 1024
            tally["malformed"] += 1
            tally["oversize"] += oversize
            self._reject(message, "oversize" if oversize else "malformed")
            return
        window = terms.window * SECOND
        moment = event["micros"]
        if moment // window != event["floor"] // window:
            moment -= 1  # rounding moves no event into the next window
        if moment > message.time * 1000 + terms.max_ahead * SECOND:
            tally["malformed"] += 1
            tally["too_far_ahead"] += 1
            self._reject(message, "too_far_ahead")
            return
        start = moment // window * window
        clock = verdict.clocks.get(message.partition)
        if clock is not None and start + window + terms.lateness * SECOND <= clock - terms.out_of_order * SECOND:
            tally["late"] += 1
            self._reject(message, "late")
            return
        clock = verdict.clocks[message.partition] = moment if clock is None else max(clock, moment)
        known = self._known.setdefault(message.partition, Known())
        if known.meet(event["event_id"], clock // terms.span) and terms.dedup:
            tally["duplicate"] += 1
            return
        tally["counted"] += 1
        admission = self._admission.setdefault(message.partition, Admission(terms))
        verdict.cells.add(start // SECOND, event, admission.meet(start, event))
        admission.forget(clock - round((terms.window + terms.lateness + terms.out_of_order) * SECOND) + 1)

    def _reject(self, message: Message, reason: str) -> None:
        place = message.partition, message.offset
        self.verdict.rejected[place] = reason
        self.verdict.payloads[place] = message.payload


class Known:
    """The ids of one partition that are not forgotten yet: those of the generation of the clock and of the two before it."""

    def __init__(self) -> None:
        self._seen: dict[int, set[str]] = {}

    def meet(self, event_id: str, generation: int) -> bool:
        """Whether `event_id` is known; from now on it is. `generation` never falls."""
        if generation not in self._seen:
            self._seen = {one: ids for one, ids in self._seen.items() if one > generation - 3}
            self._seen[generation] = set()
        known = any(event_id in ids for ids in self._seen.values())
        self._seen[generation].add(event_id)
        return known

    def __len__(self) -> int:
        return sum(map(len, self._seen.values()))


def judge(messages: Iterable[Message], terms: Terms | None = None, progress: bool = False) -> Verdict:
    """The verdict on a log that is there as a whole, in any order. `progress`: show it on a terminal where it takes long."""
    judge = Judge(terms)
    ordered = sorted(messages, key=lambda one: (one.partition, one.offset))
    for message in tqdm(ordered, "judging", unit=" messages", delay=1, disable=None if progress else True):
        judge.take(message)
    return judge.verdict


def windows(verdict: Verdict, table: str = MAIN) -> pl.DataFrame:
    """The sums of each cell of a table; the columns are those of `Cells.frame`."""
    return verdict.cells.frame(table)
