"""What a refresh costs with many values of a breakdown: ``python -m benchmarks.dashboard.ads [--rounds 36]``.

Fills a store with campaigns and a breakdown of their ads, and asks for the same views again and again, each time after records have
come. A sixth of the ads comes with each refresh, so that a minute is complete after six; at a new one the minute before it becomes
final. The figures are milliseconds of CPU time of the process, least and median, and the median on the wall; the cost of records that
come in is not part of a refresh. What several views share is part of the first one.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable, Iterable

import msgspec

from benchmarks.dashboard.store import REFRESHES, minute
from dataflows.contract.schema import WindowResult
from dataflows.contract.settings import Settings
from figures.service import Service
from figures.store.rows import Values
from panel_app.server.process_memory import resident_bytes

OPEN = 100
"""Revisions below 900 are provisional (`store.minute`)."""

_PRIME = 100_003
"""More than the ads there are, so that each has a rank of its own."""

QUERIES = {
    "overview": "range=15m",
    "by a ratio": "range=15m&bsort=cpa",
    "by name": "range=15m&bsort=name",
    "searched": "range=15m&bq=-7",
    "searched, by name": "range=15m&bq=-7&bsort=name",
    "of one campaign": "range=15m&campaign=Campaign+1",
    "one ad": "range=15m&f.ad_id=ad+1-1",
    "without an ad": "range=15m&x.ad_id=ad+1-1",
    "without a comparison": "range=15m&compare=none",
    "24 h": "range=24h",
    "7 d": "range=7d",
}

Rows = tuple[list[WindowResult], list[Values]]


def ads(
    campaigns: Iterable[int],
    count: int,
    at: int,
    revision: int = 900,
    currencies: tuple[str, ...] = ("USD",),
    *,
    is_skewed: bool = False,
) -> Rows:
    """Return the rows of the ads of `campaigns` in one minute, each with its ad; campaigns take turns with the currencies.

    If it `is_skewed`, clicks and spend of an ad fall with its rank, and the largest ads are the same in all minutes; else all are alike.
    """
    (whole,) = minute(at, 1, 1, revision)
    rows = [
        msgspec.structs.replace(
            whole,
            campaign_id=f"Campaign {campaign}",
            clicks=1 + (ad + at) % 7,
            conversions=(campaign + ad) % 3,
            spend_micros=7_000_000 + 31_337 * ((campaign * 7 + ad * 13 + at * 3) % 101),
            currency=currencies[campaign % len(currencies)],
        )
        for campaign in campaigns
        for ad in range(count)
    ]
    if is_skewed:
        ranks = (1 + (campaign * count + ad) * 7919 % _PRIME for campaign in campaigns for ad in range(count))
        rows = [
            msgspec.structs.replace(row, clicks=90_000 // rank, spend_micros=9_000_000_000 // rank + row.spend_micros % 1000)
            for row, rank in zip(rows, ranks, strict=True)
        ]
    return rows, [(f"ad {campaign}-{ad}",) for campaign in campaigns for ad in range(count)]


def campaign_rows(rows: list[WindowResult], count: int) -> list[WindowResult]:
    """Return the main results of `rows`, which have `count` ads of each campaign one after the other."""
    return [
        msgspec.structs.replace(
            part[0],
            clicks=sum(row.clicks for row in part),
            conversions=sum(row.conversions for row in part),
            spend_micros=sum(row.spend_micros for row in part),
        )
        for part in (rows[at : at + count] for at in range(0, len(rows), count))
    ]


def measure(
    title: str,
    campaigns: int,
    count: int,
    minutes: int,
    rounds: int,
    *,
    share: int = 1,
    currencies: tuple[str, ...] = ("USD",),
    queries: Iterable[str] = QUERIES,
    is_skewed: bool = False,
) -> None:
    """Fill a store with `minutes`, in each of which one of `share` campaigns has events, and print what the `queries` cost."""
    gc.collect()
    before = resident_bytes()
    service = Service(Settings(breakdowns="ad=ad_id"))
    store = service.breakdowns["ad"]

    def come_in(at: int, which: Iterable[int], revision: int) -> None:
        rows, values = ads(which, count, at, revision, currencies, is_skewed=is_skewed)
        service.store.apply(campaign_rows(rows, count))
        store.apply(rows, values=values)

    def with_events(at: int) -> range:
        return range(at % share, campaigns, share)

    for at in range(minutes):
        come_in(at, with_events(at), 900)
    service.store.snapshot()
    snapshot = store.snapshot()
    print(
        f"\n{title}: {campaigns:,} campaigns × {count} ads, {snapshot.rows:,} rows in the breakdown, "
        f"{snapshot.bytes / 1e6:.0f} MB of rows, {(resident_bytes() - before) / 1e6:.0f} MB of process"
    )
    took: dict[str, tuple[list[tuple[float, float]], list[tuple[float, float]]]] = {}

    def clock(name: str, call: Callable[[], object], *, new: bool) -> None:
        begun, on_wall = time.process_time(), time.perf_counter()
        call()
        took.setdefault(name, ([], []))[new].append(((time.process_time() - begun) * 1e3, (time.perf_counter() - on_wall) * 1e3))

    def records_come_in(at: int, turn: int) -> None:
        if not turn and at > minutes:
            come_in(at - 1, with_events(at - 1), 900)
        come_in(at, with_events(at)[turn::REFRESHES], OPEN + turn)
        service.store.snapshot()
        store.snapshot()
        gc.collect()  # of what the records left behind; else a refresh would pay for it

    first: list[tuple[str, float]] = []
    for round_number in range(rounds):
        at, turn = divmod(round_number, REFRESHES)
        clock("records come in", lambda at=at, turn=turn: records_come_in(minutes + at, turn), new=not turn)
        for name in queries:
            clock(name, lambda query=QUERIES[name]: service.answer(query), new=not turn)
        if not round_number:
            first = [(name, took[name][True][0][1]) for name in queries]
    print(f"first answers, ms on the wall: {', '.join(f'{name} {ms:.0f}' for name, ms in first)}")
    print(f"{'CPU ms (median on wall)':24}{'within a minute':>26}{'at a new one':>26}")
    for name, both in took.items():
        cells = (_cell(warm) for warm in (values[1:] or values for values in both))
        print(f"{name:24}{''.join(cells)}")
    print(f"{(resident_bytes() - before) / 1e6:.0f} MB of process")


def _cell(values: list[tuple[float, float]]) -> str:
    cpu, wall = zip(*values, strict=True)
    return f"{min(cpu):10.1f}{statistics.median(cpu):8.1f} ({statistics.median(wall):5.1f})"


def main() -> None:
    """Measure and print a table for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=36)
    parser.add_argument("--only", help="measure only the sizes whose title contains this")
    options = parser.parse_args()
    sizes: dict[str, Callable[[str], None]] = {
        "few": lambda title: measure(title, 12, 50, 60, options.rounds),
        "many": lambda title: measure(title, 2000, 50, 30, options.rounds),
        "skewed": lambda title: measure(title, 2000, 50, 30, options.rounds, is_skewed=True),
        "two currencies": lambda title: measure(title, 2000, 50, 30, options.rounds, currencies=("USD", "EUR")),
        "a day": lambda title: measure(title, 2000, 50, 1440, options.rounds, share=50),
    }
    for title, call in sizes.items():
        if options.only is None or options.only in title:
            call(title)


if __name__ == "__main__":
    main()
