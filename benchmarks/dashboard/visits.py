"""What visits leave behind in a dashboard: ``python -m benchmarks.dashboard.visits [--visits 500] [--page data]``.

Each visit fetches the page, opens its websocket, asks for three views and leaves. Bokeh throws a session away some time after its
visitor has left, and Python collects it later still, so the memory is shown every 50 visits with the sessions that are alive. After 100
visits and at the end it is shown also when it is *tidy*: all sessions are gone, garbage is collected, and the allocator has given back
what is free (malloc_trim). A leak shows there; what shows before alone was the collector's or the allocator's. Last come the types of which
more objects are alive at the end than after 100 visits.
"""

from __future__ import annotations

import argparse
import asyncio
import time

from benchmarks.dashboard.served import Census, ServedDashboard, served
from tests.support.flows import wait_for
from tests.support.viewers import visit

EVERY = 50
"""Visits between two looks at the memory."""

BEGUN = 100
"""By then everything is made that is made once."""

LEAVE_SECONDS = 90.0
_TYPES = 15

KINDS = {"": "view", "data": "stock", "explore": "explore"}
"""The message by which each page asks for its figures."""


def views(turn: int) -> list[str]:
    """The queries that visit number `turn` asks for: the page as it opens, another range and measure, a drill-down."""
    ranges, metrics = ("15m", "30m", "1h", "3h", "6h", "24h"), ("spend", "clicks", "cpa", "roas")
    return [
        "",
        f"range={ranges[turn % len(ranges)]}&metric={metrics[turn % len(metrics)]}",
        f"range=1h&campaign=Campaign+{turn % 50}",
    ]


def line(name: object, seconds: float, found: Census) -> None:
    """Print one line of the table."""
    print(f"{name!s:>16}{seconds:10.0f}{found.sessions:10}{found.resident / 1e6:12.1f} MB", flush=True)


def emptied(site: ServedDashboard) -> Census:
    """What `site` holds, tidy, once the last of its sessions is gone."""

    def gone() -> Census | None:
        time.sleep(1)
        found = site.census(tidy=True)
        return None if found.sessions else found

    return wait_for(gone, "the sessions to end", LEAVE_SECONDS)


async def run(site: ServedDashboard, visits: int, page: str) -> list[Census]:
    """Visit `site` and print the table; what was held, tidy, after `BEGUN` visits and at the end."""
    kept: list[Census] = []
    begun = time.perf_counter()
    print(f"{'visits':>16}{'seconds':>10}{'sessions':>10}{'resident':>15}")
    for turn in range(1, visits + 1):
        await visit(site.address + page, *views(turn), kind=KINDS[page])
        if turn % EVERY == 0:
            line(turn, time.perf_counter() - begun, site.census())
        if turn in (BEGUN, visits):
            kept.append(await asyncio.to_thread(emptied, site))
            line("tidy", time.perf_counter() - begun, kept[-1])
    return kept


def main() -> None:
    """Visit, and print what is left."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visits", type=int, default=500)
    parser.add_argument("--minutes", type=int, default=120, help="minutes of 50 campaigns × 5 channels in the store")
    parser.add_argument("--page", choices=KINDS, default="", help="the page that is visited; empty: the overview")
    options = parser.parse_args()
    with served(minutes=options.minutes) as site:
        kept = asyncio.run(run(site, options.visits, options.page))
    first, last = kept[0].alive, kept[-1].alive
    more = sorted(((last[name] - first.get(name, 0), name) for name in last), reverse=True)
    print(f"\nobjects: {sum(first.values()):,} at first, {sum(last.values()):,} at the end; more of")
    for count, name in more[:_TYPES]:
        if count > 0:
            print(f"{count:+8,}  {name}")


if __name__ == "__main__":
    main()
