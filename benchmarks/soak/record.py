"""Record of a soak and its evaluation: restart times, slopes with errors, medians of thirds, tables. It starts no process and knows
nothing of Kafka.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.summary import percentile, table

MB = 1e6
PARTS: tuple[str, ...] = ("dataflow", "dashboard", "generator", "oracle", "kafka")


@dataclass(frozen=True)
class PlannedRestart:
    """A planned restart: seconds after the start, whether by SIGKILL (else SIGTERM), and the workers of the next run."""

    at: float
    kill: bool
    workers: int


def schedule(seconds: float, every: float, seed: int) -> list[PlannedRestart]:
    """The restarts of a soak of `seconds`, half to one and a half times `every` apart: SIGKILL and SIGTERM in turn, sometimes with two
    workers.

    None is in the last half of `every`, so that the effects of each restart show.
    """
    rng = random.Random(seed)
    found: list[PlannedRestart] = []
    at = 0.0
    while (at := at + every * (0.5 + rng.random())) < seconds - every / 2:
        found.append(PlannedRestart(at, kill=len(found) % 2 == 0, workers=2 if rng.random() < 0.25 else 1))
    return found


@dataclass(frozen=True)
class SoakSample:
    """Measurement at `second` after the start; `age`: seconds since the flow was started.

    Bytes, CPU-seconds since the start, messages.
    """

    second: float
    age: float
    workers: int
    sent: int
    lag: int
    rss: dict[str, int]
    cpu: dict[str, float]
    recovery_bytes: int
    recovery_files: int
    logs_bytes: int
    results_bytes: int
    rejected_bytes: int

    def flat(self) -> dict[str, float]:
        """As a line of a CSV file."""
        plain = {name: value for name, value in vars(self).items() if name not in ("rss", "cpu")}
        return {
            **plain,
            **{f"rss_{name}": value for name, value in self.rss.items()},
            **{f"cpu_{name}": round(value, 2) for name, value in self.cpu.items()},
        }


@dataclass
class Restart:
    """A restart that was done; `caught_up`: seconds until a snapshot of the next run was no further behind than usual (None: never)."""

    at: float
    kill: bool
    workers: int
    caught_up: float | None = None


@dataclass
class SoakRecord:
    """Everything that a soak measured. `faults`: failures other than the oracle's differences, which are in `verdict`."""

    rate: int
    seconds: float
    warm: float
    every: float
    samples: list[SoakSample] = field(default_factory=list[SoakSample])
    restarts: list[Restart] = field(default_factory=list[Restart])
    sent: int = 0
    acknowledged: int = 0
    lag_max: int = 0
    faults: list[str] = field(default_factory=list[str])
    verdict: str = ""
    judged: bool = False
    """Whether the oracle found every figure right."""

    @property
    def exact(self) -> bool:
        """Whether the oracle found no difference, and nothing else went wrong."""
        return self.judged and not self.faults


@dataclass(frozen=True)
class Slope:
    """A change per hour, and its standard error (of independent deviations; samples in a row are not quite that)."""

    per_hour: float
    error: float

    def __str__(self) -> str:
        return f"{self.per_hour:+.2f} ± {self.error:.2f}"


def slope(points: Sequence[tuple[float, float]]) -> Slope | None:
    """The least-squares line through (second, figure), its slope per hour; None of fewer than three points, or all at one time."""
    count = len(points)
    if count < 3:
        return None
    middle, level = statistics.fmean(x for x, _ in points), statistics.fmean(y for _, y in points)
    spread = math.fsum((x - middle) ** 2 for x, _ in points)
    if not spread:
        return None
    per_second = math.fsum((x - middle) * (y - level) for x, y in points) / spread
    left = math.fsum((y - level - per_second * (x - middle)) ** 2 for x, y in points)
    return Slope(per_second * 3600, math.sqrt(left / (count - 2) / spread) * 3600)


def thirds(points: Sequence[tuple[float, float]], seconds: float) -> list[float | None]:
    """The median of the figures in each third of a run of `seconds`; None where there is none."""
    split: list[list[float]] = [[], [], []]
    for second, figure in points:
        split[min(2, int(3 * second / seconds))].append(figure)
    return [statistics.median(those) if those else None for those in split]


def at_equal_age(samples: Sequence[SoakSample], age: float) -> list[tuple[float, float]]:
    """Of each run of the flow the first sample in which it is `age` seconds old or older: when, and its resident MB."""
    found: list[tuple[float, float]] = []
    younger = False
    for sample in samples:
        if sample.age >= age and younger:
            found.append((sample.second, sample.rss["dataflow"] / MB))
        younger = sample.age < age
    return found


def tables(record: SoakRecord) -> str:
    """The Markdown tables of a soak."""
    return "\n\n".join([_outcome(record), _memory(record), _disk(record), _pace(record)])


def _outcome(record: SoakRecord) -> str:
    kills = sum(one.kill for one in record.restarts)
    lines = [
        ["events sent", f"{record.sent:,} ({record.rate:,}/s for {record.seconds / 60:.0f} min)"],
        ["acknowledged", f"{record.acknowledged:,}"],
        ["restarts", f"{len(record.restarts)}, {kills} by SIGKILL, {len(record.restarts) - kills} by SIGTERM"],
        ["exact", "yes" if record.exact else "NO"],
        ["the oracle", record.verdict],
        *(["fault", one] for one in record.faults),
    ]
    return table(["", "figure"], lines)


def _memory(record: SoakRecord) -> str:
    def line(name: str, points: Sequence[tuple[float, float]]) -> list[str]:
        late = slope([point for point in points if point[0] >= record.warm])
        middle = [_middle(one) for one in thirds(points, record.seconds)]
        return [name, _shown(late), *middle, f"{max((y for _, y in points), default=0):,.0f}"]

    # A process that has just ended has no memory.
    lines = [line(part, [(one.second, one.rss[part] / MB) for one in record.samples if one.rss[part]]) for part in PARTS]
    age = 0.4 * record.every
    lines.insert(1, line(f"dataflow, {age:.0f} s after each start", at_equal_age(record.samples, age)))
    return table(
        ["resident MB", f"per hour, after {record.warm / 60:.0f} min", "first third", "second", "last", "greatest"], lines
    )


def _disk(record: SoakRecord) -> str:
    figures: dict[str, Callable[[SoakSample], int]] = {
        "recovery folder": lambda one: one.recovery_bytes,
        "topic results": lambda one: one.results_bytes,
        "topic rejected": lambda one: one.rejected_bytes,
        "topic logs": lambda one: one.logs_bytes,
    }
    lines: list[list[str]] = []
    for name, figure in figures.items():
        points = [(one.second, figure(one) / MB) for one in record.samples]
        sizes = [y for _, y in points]
        ends = [min(sizes, default=0), max(sizes, default=0), sizes[-1] if sizes else 0]
        lines.append([name, *(f"{one:,.2f}" for one in ends), _shown(slope([one for one in points if one[0] >= record.warm]))])
    files = max((one.recovery_files for one in record.samples), default=0)
    lines.append(["files in the recovery folder", "", f"{files}", "", ""])
    return table(["disk, MB", "least", "greatest", "last", f"per hour, after {record.warm / 60:.0f} min"], lines)


def _pace(record: SoakRecord) -> str:
    took = [one.caught_up for one in record.restarts if one.caught_up is not None]
    last = record.samples[-1] if record.samples else None
    shares = {part: 100 * last.cpu[part] / last.second for part in PARTS} if last and last.second else {}
    lines = [
        ["greatest lag, messages behind the last snapshot", f"{record.lag_max:,}"],
        ["from the end of a run to a snapshot of the next, median", _seconds(percentile(took, 0.5))],
        ["the same, 95th percentile", _seconds(percentile(took, 0.95))],
        *([f"CPU of the {part}, % of a processor", f"{share:.1f}"] for part, share in shares.items()),
    ]
    return table(["", "figure"], lines)


def _shown(found: Slope | None) -> str:
    return "–" if found is None else str(found)


def _middle(figure: float | None) -> str:
    return "–" if figure is None else f"{figure:,.0f}"


def _seconds(figure: float | None) -> str:
    return "–" if figure is None else f"{figure:.1f} s"
