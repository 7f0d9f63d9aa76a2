"""What a refresh of the dashboard costs the server: ``python -m benchmarks.dashboard.store [--rounds 60]``.

Fills a store as the feed does and asks for views, each time after records have come. Mostly they are those of the open minute, as
with one refresh after another; where a minute was over, the sums before it are computed again. The figures are milliseconds of CPU time
in one process, least and median: those of a busy machine are comparable so, while times on the wall are not.

With ``--spread`` it only measures what holding and exporting the same number of rows costs when they lie in one day, are spread over 29
days, come in order of time, shuffled, in bursts, or once an hour.
"""

from __future__ import annotations

import argparse
import gc
import random
import statistics
import time
from collections.abc import Callable, Iterator

from dataflows.contract.schema import WindowResult, rfc3339
from dataflows.contract.settings import Settings
from figures.files.export import held_for_export
from figures.service import Service
from figures.views.result_table import table
from figures.views.selection import Selection
from figures.views.view import RANGES
from panel_app.server.process_memory import resident_bytes

REFRESHES = 6
"""Refreshes a minute."""

BATCH = 500

BEGIN = 1_790_000_100 // 86_400 * 86_400


def minute(at: int, campaigns: int, channels: int, revision: int = 900) -> Iterator[WindowResult]:
    """The results of one minute, a row for each campaign and channel."""
    start = BEGIN + 60 * at
    window, after = rfc3339(start), rfc3339(start + 60)
    for campaign in range(campaigns):
        for channel in range(channels):
            odd = (campaign * 7 + channel * 13 + at * 3) % 101
            yield WindowResult(
                window, after, f"Campaign {campaign}", ("search", "social", "display", "email", "video")[channel],
                900 + odd, 14 + odd % 9, odd % 4, odd % 3, 0, 7_000_000 + 31_337 * odd, 41_000_001 * (odd % 3), 0, {},
                None, None, None, None, None, None, "USD", 917 + odd, revision, "provisional" if revision < 900 else "final",
            )  # fmt: skip


def percentile(values: list[float], part: float) -> float:
    """The value below which `part` (0 to 1) of `values` lie."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


def measure(title: str, campaigns: int, channels: int, minutes: int, rounds: int) -> None:
    """Fill a store with `minutes` of `campaigns` × `channels`, and print what it costs to look at it."""
    gc.collect()
    before = resident_bytes()
    service = Service(Settings())
    begun = time.perf_counter()
    for at in range(minutes):
        service.store.apply(list(minute(at, campaigns, channels)))
    filled = time.perf_counter() - begun
    snapshot = service.store.snapshot()
    print(
        f"\n{title}: {snapshot.rows:,} rows ({snapshot.packed:,} packed) in {filled:.1f} s, {snapshot.bytes / 1e6:.0f} MB of rows, "
        f"{(resident_bytes() - before) / 1e6:.0f} MB of process"
    )
    took: dict[str, tuple[list[float], list[float]]] = {}

    def clock(name: str, call: Callable[[], object], *, new: bool) -> None:
        begun = time.process_time()
        call()
        took.setdefault(name, ([], []))[new].append((time.process_time() - begun) * 1e3)

    def come_in(results: list[WindowResult]) -> None:
        service.store.apply(results)
        service.store.snapshot()

    for turn in range(rounds):
        at, new = divmod(turn, REFRESHES)
        newest = list(minute(minutes + at, campaigns, channels, revision=100 + turn))
        if at and not new:
            newest += minute(minutes + at - 1, campaigns, channels)
        clock("records come in", lambda newest=newest: come_in(newest), new=not new)
        clock("attention", lambda: service.attention(service.snapshot()), new=not new)
        for name in RANGES:
            clock(f"refresh, {name}", lambda name=name: service.answer(f"range={name}"), new=not new)
        clock("refresh, 1h, filtered", lambda: service.answer("range=1h&campaign=Campaign+1&channel=search"), new=not new)
    print(f"{'':24}{'within a minute':>20}{'at a new one':>20}")
    for name, both in took.items():
        # The first time everything is made that later only changes.
        cells = (f"{min(warm):10.1f}{statistics.median(warm):10.1f}" for warm in (values[1:] or values for values in both))
        print(f"{name:24}{''.join(cells)}")


def spread(count: int = 5568) -> None:
    """Print the cost of holding `count` rows in the dashboard and in an export, by their distribution over time."""
    day, month = 1440, 29 * 1440
    shapes: dict[str, list[int]] = {
        "one day, in order": [at * day // (count // 2) for at in range(count // 2)],
        "29 days, in order": [at * month // (count // 2) for at in range(count // 2)],
        "29 days, bursts": [burst * day + at for burst in range(29) for at in range(count // 58)],
        "30 days, one an hour": [60 * at for at in range(720)],
    }
    rows = {name: [one for at in minutes for one in minute(at, 2, 1)] for name, minutes in shapes.items()}
    rows["29 days, shuffled"] = random.Random(1).sample(rows["29 days, in order"], count)
    rows["29 days, 15 times the rows"] = [one for at in range(month) for one in minute(at, 2, 1)]
    first: dict[str, float] = {}
    # The first round, without a name, is a warm-up.
    for name, results in [("", rows["one day, in order"]), *rows.items()]:
        cells: list[str] = []
        for kind, make in (("dashboard", lambda: Service(Settings()).store), ("export", held_for_export)):
            store = make()
            begun = time.process_time()
            for at in range(0, len(results), BATCH):
                store.apply(results[at : at + BATCH])
            found = table(store.snapshot(), Selection(), window=60, currency="USD")
            took = (time.process_time() - begun) / len(found.frame) * 1e6
            if name:
                cells.append(f"{kind} {took:7.1f} ({took / first.setdefault(kind, took):4.1f} x)")
        if name:
            print(f"{name:28}{len(results):8,} rows, CPU-microseconds a row: {', '.join(cells)}")


def main() -> None:
    """Measure and print a table for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument(
        "--days", type=int, default=0, help="also measure a store of this many days (filling takes a minute for each)"
    )
    parser.add_argument("--spread", action="store_true", help="only measure the cost of rows by their distribution over time")
    options = parser.parse_args()
    if options.spread:
        spread()
        return
    measure("24 h × 50 campaigns × 5 channels", 50, 5, 1440, options.rounds)
    measure("2 h × 5,000 campaigns", 5000, 1, 120, options.rounds)
    if options.days:
        measure(f"{options.days} days × 50 campaigns × 5 channels", 50, 5, 1440 * options.days, options.rounds)


if __name__ == "__main__":
    main()
