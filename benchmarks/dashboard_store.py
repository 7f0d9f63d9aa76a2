"""What a refresh of the dashboard costs the server: ``python benchmarks/dashboard_store.py [--rounds 30]``.

Fills a store as the feed does and asks for views, each time after a new minute's records have come, so that nothing is remembered. The
figures are milliseconds of wall time in one process: median and 95th percentile.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Iterator

from dataflows.schema import WindowResult, rfc3339
from dataflows.settings import Settings
from panel_app.memory import resident_bytes
from panel_app.service import Service
from panel_app.view import RANGES

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
                900 + odd, 14 + odd % 9, odd % 4, odd % 3, 0, 7_000_000 + 31_337 * odd, 41_000_001 * (odd % 3), 0,
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
    print(f"{'':24}{'median ms':>12}{'p95 ms':>10}")
    took: dict[str, list[float]] = {}
    for turn in range(rounds):
        newest = list(minute(minutes + turn // 10, campaigns, channels, revision=100 + turn))
        begun = time.perf_counter()
        service.store.apply(newest)
        service.store.snapshot()
        took.setdefault("a minute comes in", []).append((time.perf_counter() - begun) * 1e3)
        for name in RANGES:
            begun = time.perf_counter()
            service.answer(f"range={name}")
            took.setdefault(f"refresh, {name}", []).append((time.perf_counter() - begun) * 1e3)
        begun = time.perf_counter()
        service.answer("range=1h&campaign=Campaign+1&channel=search")
        took.setdefault("refresh, 1h, filtered", []).append((time.perf_counter() - begun) * 1e3)
    for name, values in took.items():
        warm = values[2:] or values
        print(f"{name:24}{statistics.median(warm):12.1f}{percentile(warm, 0.95):10.1f}")


def main() -> None:
    """Measure and print a table for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--days", type=int, default=0, help="also a store of so many days (a minute of filling each)")
    options = parser.parse_args()
    measure("24 h × 50 campaigns × 5 channels", 50, 5, 1440, options.rounds)
    measure("2 h × 5,000 campaigns", 5000, 1, 120, options.rounds)
    if options.days:
        measure(f"{options.days} days × 50 campaigns × 5 channels", 50, 5, 1440 * options.days, options.rounds)


if __name__ == "__main__":
    main()
