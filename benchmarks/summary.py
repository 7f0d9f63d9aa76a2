"""Slopes, medians and ratios of benchmark runs, and the tables that show them. It starts no process and knows nothing of Kafka."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.workload import FLUSH, Key, Truth


@dataclass(frozen=True)
class DrainRun:
    """One run of one system on one topic. Times in seconds, memory in bytes.

    `cpu` is that of all its processes until its last result, `broker_cpu` that of Kafka in the same time; `counted` are the events in
    its results, `lost` those that are missing in them (negative: counted too often), `wrong` the cells that are not exact.
    """

    system: str
    round: int
    events: int
    cpu: float
    broker_cpu: float
    wall: float
    first: float | None
    peak: int
    counted: int
    lost: int
    wrong: int
    oracle: list[str] | None = None

    @property
    def exact(self) -> bool:
        """Whether every cell is right and the oracle, if it checked this run, found no difference."""
        return not self.wrong and not self.lost and not self.oracle


@dataclass(frozen=True)
class Spread:
    """The median of some figures and the least and the greatest of them."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, figures: Iterable[float]) -> Spread:
        """Return the spread of at least one figure."""
        known = list(figures)
        return cls(statistics.median(known), min(known), max(known))

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.least:.2f}–{self.greatest:.2f})"


@dataclass(frozen=True)
class SystemRow:
    """Summary of the runs of one system. CPU in seconds per million events, as a slope between two sizes; None with one size only.

    `ratio` is to the bare loop of the same round; `startup` CPU-seconds; `rate` events a second from the start to the last result of
    the greatest size, and `warm` that between the smallest and the greatest, without the start; `peak` bytes.
    """

    system: str
    cpu: Spread | None
    ratio: Spread | None
    broker: Spread | None
    startup: Spread | None
    rate: Spread
    warm: Spread | None
    first: Spread | None
    peak: int
    lost: Spread
    exact: bool
    runs: int


def slope(small: DrainRun, large: DrainRun, broker: bool = False) -> float:
    """Return the CPU-seconds per million events between two sizes, which leaves out the cost of a start."""
    spent = large.broker_cpu - small.broker_cpu if broker else large.cpu - small.cpu
    return spent / (large.events - small.events) * 1e6


def pairs(runs: Iterable[DrainRun]) -> dict[int, tuple[DrainRun, DrainRun]]:
    """Return the smallest and the largest run of each round of one system; rounds with a single size are left out."""
    by_round: dict[int, list[DrainRun]] = {}
    for run in runs:
        by_round.setdefault(run.round, []).append(run)
    found: dict[int, tuple[DrainRun, DrainRun]] = {}
    for number, those in by_round.items():
        ordered = sorted(those, key=lambda run: run.events)
        if ordered[0].events < ordered[-1].events:
            found[number] = ordered[0], ordered[-1]
    return found


def row(system: str, runs: Sequence[DrainRun], loop: Sequence[DrainRun]) -> SystemRow:
    """Return the row of a system; `loop`: the runs of the bare loop, empty if it was not run."""
    found, base = pairs(runs), pairs(loop)
    slopes = {number: slope(*pair) for number, pair in found.items()}
    ratios = [slopes[number] / slope(*base[number]) for number in slopes if number in base and slope(*base[number]) > 0]
    greatest = max(run.events for run in runs)
    largest = [run for run in runs if run.events == greatest]
    startups = [small.cpu - slopes[number] * small.events / 1e6 for number, (small, _) in found.items()]
    gains = [(large.counted - small.counted, large.wall - small.wall) for small, large in found.values()]
    firsts = [run.first for run in runs if run.first is not None]
    return SystemRow(
        system,
        Spread.of(slopes.values()) if slopes else None,
        Spread.of(ratios) if ratios else None,
        Spread.of(slope(*pair, broker=True) for pair in found.values()) if found else None,
        Spread.of(startups) if startups else None,
        Spread.of(run.counted / run.wall for run in largest),
        Spread.of(events / seconds for events, seconds in gains) if gains and all(seconds > 0 for _, seconds in gains) else None,
        Spread.of(firsts) if firsts else None,
        max(run.peak for run in runs),
        Spread.of(100 * run.lost / max(1, run.lost + run.counted) for run in runs),
        all(run.exact for run in runs),
        len(runs),
    )


def check(truth: Truth, found: Mapping[Key, Sequence[int]]) -> tuple[int, int, int]:
    """Return (events counted, events lost, wrong cells) of the results `found`: impressions, clicks, conversions, cost, revenue."""
    kept = {key: sums for key, sums in found.items() if key[1] != FLUSH}
    counted = sum(sum(sums[:3]) for sums in kept.values())
    wrong = sum(list(kept.get(key, ())) != list(truth.cells.get(key, ())) for key in kept.keys() | truth.cells.keys())
    return counted, truth.counted - counted, wrong


HEAD = (
    "system",
    "CPU-s per million",
    "× bare loop",
    "broker CPU-s/M",
    "start-up CPU-s",
    "first result s",
    "peak MB",
    "events/s",
    "… once warm",
    "exact",
)


def cells(line: SystemRow) -> list[str]:
    """A row as text, in the order of `HEAD`."""
    verdict = "yes" if line.exact else f"NO: lost {line.lost.median:.1f} %"
    return [
        line.system,
        *(str(one) if one else "–" for one in (line.cpu, line.ratio, line.broker, line.startup, line.first)),
        f"{line.peak / 2**20:,.0f}",
        f"{line.rate.median:,.0f}",
        f"{line.warm.median:,.0f}" if line.warm else "–",
        verdict,
    ]


def table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns line up."""
    lines = [list(head), *[list(line) for line in body]]
    widths = [max(len(line[place]) for line in lines) for place in range(len(head))]

    def laid_out(line: Sequence[str]) -> str:
        return "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |"

    return "\n".join([laid_out(lines[0]), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(laid_out, lines[1:])])


def percentile(figures: Sequence[float], share: float) -> float | None:
    """The figure below which `share` (0 to 1) of them lie, by the nearest rank; None of none."""
    ordered = sorted(figures)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None
