"""The dashboard under many viewers: ``python -m benchmarks.dashboard.viewers [--viewers 100] [--seconds 300] [--campaigns 50] …``.

Viewers without a browser (tests/support/viewers.py) ask a full dashboard (benchmarks/dashboard/served.py) as its page does: each every
ten seconds, a sixth of them on another range. Meanwhile each cell of the open minute gets a new result every second, and a minute
lasts a minute. Prints one table. Viewers, broker and server share the machine's cores.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time

from benchmarks.dashboard.served import ServedDashboard, produce, served
from benchmarks.dashboard.store import minute, percentile
from tests.support.viewers import Viewer, visit

EVERY = 10.0
RANGES = ("", "15m", "30m", "3h", "6h", "24h")


async def keep_sending(site: ServedDashboard, options: argparse.Namespace) -> None:
    """A new result a second for each cell of the open minute, and the final ones of the minute before when it is over."""
    for turn in range(int(options.seconds)):
        due = asyncio.get_running_loop().time() + 1.0
        at, second = site.minutes + turn // 60, turn % 60
        results = list(minute(at, options.campaigns, options.channels, revision=second + 1))
        if not second:
            results += minute(at - 1, options.campaigns, options.channels)
        await asyncio.to_thread(produce, site.settings, results)
        await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))


async def keep_asking(viewer: Viewer, until: float, number: int, late: list[float], took: list[float]) -> None:
    """Ask every ten seconds: how late each answer is against its due time, and how long it took, in seconds."""
    query = f"range={RANGES[number // 6 % len(RANGES)] if number % 6 == 0 else ''}"
    due = time.perf_counter() + random.Random(number).random() * EVERY
    while due < until:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        begun = time.perf_counter()
        await viewer.ask("view", query=query, have="")
        done = time.perf_counter()
        took.append(done - begun)
        late.append(done - due)
        due += EVERY


async def load(site: ServedDashboard, options: argparse.Namespace) -> list[tuple[str, str]]:
    """Run the viewers; the rows of the table."""
    server = site.process
    await visit(site.address, *(f"range={name}" for name in RANGES))
    alone = server.memory_info().rss
    viewers = [await Viewer(site.address).open() for _ in range(options.viewers)]
    first = [viewer.first for viewer in viewers]
    opened = server.memory_info().rss
    late: list[float] = []
    took: list[float] = []
    spent, begun = server.cpu_times(), time.perf_counter()
    until = begun + options.seconds
    sending = asyncio.create_task(keep_sending(site, options))
    await asyncio.gather(*(keep_asking(viewer, until, number, late, took) for number, viewer in enumerate(viewers)))
    wall, now = time.perf_counter() - begun, server.cpu_times()
    cpu = now.user + now.system - spent.user - spent.system
    end = server.memory_info().rss
    await sending
    for viewer in viewers:
        viewer.close()
    return [
        ("rows held", f"{site.rows():,}"),
        ("first page, p50 / p99", f"{percentile(first, 0.5) * 1e3:,.0f} / {percentile(first, 0.99) * 1e3:,.0f} ms"),
        (f"refreshes of {options.viewers} viewers", f"{len(took):,}"),
        (
            "refresh, question to answer, p50 / p99",
            f"{percentile(took, 0.5) * 1e3:,.0f} / {percentile(took, 0.99) * 1e3:,.0f} ms",
        ),
        ("late against its due time, p50 / p99", f"{percentile(late, 0.5) * 1e3:,.0f} / {percentile(late, 0.99) * 1e3:,.0f} ms"),
        ("server, share of one core", f"{cpu / wall:.0%}"),
        ("server, CPU for a refresh, records included", f"{cpu / max(len(took), 1) * 1e3:.1f} ms"),
        ("memory before, connected, at the end", " → ".join(f"{size / 1e6:.0f}" for size in (alone, opened, end)) + " MB"),
        ("memory for a further viewer", f"{(opened - alone) / options.viewers / 1e6:.2f} MB"),
    ]


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--viewers", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--campaigns", type=int, default=50)
    parser.add_argument("--channels", type=int, default=5)
    parser.add_argument("--minutes", type=int, default=1440, help="minutes of all of them in the store at the beginning")
    options = parser.parse_args()
    with served(options.campaigns, options.channels, options.minutes) as site:
        for name, value in asyncio.run(load(site, options)):
            print(f"{name:44}{value:>20}")


if __name__ == "__main__":
    main()
