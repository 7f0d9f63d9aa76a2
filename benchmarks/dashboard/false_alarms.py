"""False alarms and delay of *Needs attention*: ``python -m benchmarks.dashboard.false_alarms [--days 10] [--seed 1]``.

Steady traffic of 50 campaigns is drawn from the generator's own rates (daily curve included), as Poisson counts per minute and cell;
everything is looked at each minute, as the page does. Every finding that appears is a false alarm. Then changes are planted in
campaigns of several sizes, and the minutes until they are reported are counted.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np
import polars as pl

from figures.attention.engine import Attention, Report
from figures.store.blocks import BLOCK_SECONDS, FINAL, Block, block_of
from figures.store.names import Names
from figures.store.shape import MAIN
from figures.store.snapshot import Snapshot
from generator.synthetic.campaigns import DEMO, Campaign, campaigns, channels
from generator.synthetic.traffic import Mix, cells_of, weights

BEGIN = 1_790_000_000 // 86_400 * 86_400
HELD = 10 * 3600
Change = Callable[[np.ndarray, int], None]
"""Changes the expected counts (cell by kind, in the order of `KINDS`) at a minute."""

KINDS = ("impressions", "clicks", "conversions", "purchases", "refunds", "cost")


class SteadyTraffic:
    """Minutes of synthetic traffic of `made` campaigns at `rate` events a second; `noise` makes it worse than Poisson."""

    def __init__(
        self, made: tuple[Campaign, ...], rate: float, seed: int, noise: float = 0.0, change: Change | None = None
    ) -> None:
        self.cells = cells_of(made, channels("6"))
        self._per_minute = rate * 60
        self._draw = np.random.default_rng(seed)
        self._noise, self._change = noise, change
        self._campaigns, self._channels, currencies = Names(), Names(), Names()
        currencies.number("USD")
        self._names = {"campaign": self._campaigns, "channel": self._channels, "currency": currencies}
        self._keys = (
            np.array([self._campaigns.number(cell.campaign.name) for cell in self.cells], dtype=np.uint32),
            np.array([self._channels.number(cell.channel.name) for cell in self.cells], dtype=np.uint32),
        )
        self._money = np.array(
            [[cell.money(kind) for kind in ("impression", "click", "cost", "purchase")] for cell in self.cells]
        )
        self._drift = np.zeros(len(self.cells))

    def minutes(self, count: int) -> Iterator[Snapshot]:
        """The store's content after each of `count` minutes."""
        blocks: dict[int, Block] = {}
        rows: list[pl.DataFrame] = []
        for minute in range(count):
            t = BEGIN + 60 * minute
            if not t % BLOCK_SECONDS:
                rows = []
                blocks = {at: block for at, block in blocks.items() if at > t - HELD}
            rows.append(self._minute(t, minute))
            blocks = {**blocks, block_of(t): Block(pl.concat(rows), MAIN)}
            yield Snapshot(minute, tuple(blocks.values()), MAIN, self._names, 1, 0, min(blocks), t, frozenset())

    def _minute(self, t: int, minute: int) -> pl.DataFrame:
        expected = np.array(weights(self.cells, Mix(), t / 60)).reshape(-1, 6)
        expected *= self._per_minute / expected.sum()
        if self._noise:
            # A tenth of slow drift, and gamma noise of the same minute: a negative binomial in place of a Poisson count.
            self._drift = 0.99 * self._drift + 0.014 * self._draw.standard_normal(len(self.cells))
            expected *= np.exp(self._drift)[:, None] * self._draw.gamma(1 / self._noise, self._noise, len(self.cells))[:, None]
        if self._change:
            self._change(expected, minute)
        counts = self._draw.poisson(expected).astype(np.int64)
        seen, clicks, plain, purchases, refunds, fees = counts.T
        cost = (counts[:, [0, 1, 5]] * self._money[:, :3]).sum(axis=1)
        data = dict.fromkeys(MAIN.schema, np.zeros(len(counts), dtype=np.int64)) | {
            "t": np.full(len(counts), t),
            "campaign": self._keys[0],
            "channel": self._keys[1],
            "impressions": seen,
            "clicks": clicks,
            "conversions": plain + purchases,
            "purchases": purchases,
            "refunds": refunds,
            "spend_micros": (cost * self._draw.uniform(0.97, 1.03, len(cost))).astype(np.int64),
            "revenue_micros": (purchases * self._money[:, 3]).astype(np.int64),
            "events": counts.sum(axis=1) + fees * 0,
            "state": np.full(len(counts), FINAL),
        }
        return pl.DataFrame(data, schema=MAIN.schema).filter(pl.col("events") > 0)


def steady(number: int = 50) -> tuple[Campaign, ...]:
    """Campaigns of the generator that do nothing remarkable."""
    return campaigns(len(DEMO) + number)[len(DEMO) :]


def alarms(rate: float, days: float, seed: int, noise: float = 0.0) -> tuple[int, dict[str, int], float]:
    """Return the findings in `days` days of steady traffic, also by kind, and the milliseconds of one evaluation."""
    attention, held, found = Attention(), set[tuple[str, str | None]](), dict[str, int]()
    spent = 0.0
    minutes = int(days * 1440)
    for snapshot in SteadyTraffic(steady(), rate, seed, noise).minutes(minutes):
        begun = time.perf_counter()
        report = attention.report(snapshot, snapshot.newest + 60)
        spent += time.perf_counter() - begun
        now = {(one.kind, one.campaign) for one in report.findings}
        for kind, _ in now - held:
            found[kind] = found.get(kind, 0) + 1
        held = now
    return sum(found.values()), found, spent / minutes * 1000


PLANTED: dict[str, tuple[tuple[str, ...], Callable[[np.ndarray], None]]] = {
    "click rate halved": (("ctr_down",), lambda rows: rows.__setitem__((slice(None), slice(1, 5)), rows[:, 1:5] * 0.5)),
    "cost per conversion x3": (
        ("cpa_up", "unconverted"),
        lambda rows: rows.__setitem__((slice(None), slice(2, 5)), rows[:, 2:5] / 3),
    ),
    "spend without conversions": (("unconverted",), lambda rows: rows.__setitem__((slice(None), slice(2, 5)), 0.0)),
    "silent": (("silent",), lambda rows: rows.__setitem__(slice(None), 0.0)),
    "click flood x5": (("flood",), lambda rows: rows.__setitem__((slice(None), 1), rows[:, 1] * 5)),
}
QUIET = 300
PATIENCE = 360


def delay(
    kinds: tuple[str, ...], change: Callable[[np.ndarray], None], place: int, rate: float, seed: int
) -> tuple[int | None, int]:
    """Return the minutes from a change in one campaign until it is reported (None: not within six hours), and the error of its reported
    beginning.
    """
    made = steady()

    def planted(expected: np.ndarray, minute: int) -> None:
        if minute >= QUIET:
            own = np.array([cell.campaign.name == made[place].name for cell in traffic.cells])
            rows = expected[own]
            change(rows)
            expected[own] = rows

    traffic = SteadyTraffic(made, rate, seed, change=planted)
    attention = Attention()
    for minute, snapshot in enumerate(traffic.minutes(QUIET + PATIENCE)):
        if minute < QUIET - 1:
            continue
        report: Report = attention.report(snapshot, snapshot.newest + 60)
        for one in report.findings:
            if one.campaign == made[place].name and one.kind in kinds and minute >= QUIET:
                return minute - QUIET + 1, (one.since - BEGIN) // 60 - QUIET
    return None, 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=5, help="runs of each planted change")
    options = parser.parse_args()
    print(f"{'steady traffic of 50 campaigns':44}{'days':>6}{'alarms':>8}{'a day':>8}{'ms/look':>9}")
    for rate, noise in ((5, 0.0), (20, 0.0), (100, 0.0), (1000, 0.0), (100, 0.1)):
        number, kinds, spent = alarms(rate, options.days, options.seed, noise)
        title = f"{rate:,} events/s" + (", minutes of noise 32 %, drift 10 %" if noise else "")
        print(f"{title:44}{options.days:6g}{number:8}{number / options.days:8.2f}{spent:9.2f}  {kinds or ''}", flush=True)
    print(
        f"\nminutes until reported, median of {options.runs} (None: not within {PATIENCE}), and how far off its beginning; 100 events/s"
    )
    print(f"{'':28}" + "".join(f"{f'campaign no. {place + 1}':>22}" for place in (0, 9, 39)))
    for title, (kinds, change) in PLANTED.items():
        cells: list[str] = []
        for place in (0, 9, 39):
            tries = [delay(kinds, change, place, 100, options.seed + run) for run in range(options.runs)]
            delays = [minutes for minutes, _ in tries if minutes is not None]
            off = statistics.median([abs(by) for minutes, by in tries if minutes is not None]) if delays else 0
            late = len(tries) - len(delays)
            cells.append(f"{statistics.median(delays):g} (±{off:g})" + (f" {late} not" if late else "") if delays else "None")
        print(f"{title:28}" + "".join(f"{cell:>22}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
