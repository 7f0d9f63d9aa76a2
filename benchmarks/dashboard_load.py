"""The dashboard under many viewers: ``python -m benchmarks.dashboard_load [--viewers 100] [--seconds 60]``.

Starts an embedded broker, fills its results, starts the dashboard, and lets viewers without a browser (tests/viewers.py) ask as its page
does: each every ten seconds, a sixth of them on another range. Prints one table. Viewers and server share the machine's cores.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import subprocess
import sys
import time
import urllib.request

import psutil

from benchmarks.dashboard_store import minute, percentile
from dataflows.kafka import make_producer
from dataflows.schema import WindowResult, encode, result_key
from dataflows.settings import Settings
from tests.flows import environment, free_port, wait_for
from tests.viewers import Viewer, visit

EVERY = 10.0
RANGES = ("", "15m", "30m", "3h", "6h", "24h")


def produce(settings: Settings, results: list[WindowResult]) -> None:
    """Put `results` on their topic."""
    producer = make_producer(settings, "load")
    for one in results:
        while True:
            try:
                producer.produce(settings.results_topic, encode(one), result_key(one.window_start, one.campaign_id, one.channel))
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(60) == 0


def held(address: str) -> int:
    """Rows that the dashboard holds."""
    with urllib.request.urlopen(f"{address}healthz", timeout=20) as answer:
        return int(answer.read().partition(b'"rows":')[2].partition(b",")[0])


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


async def load(address: str, server: psutil.Process, options: argparse.Namespace) -> list[tuple[str, str]]:
    """Run the viewers, then the visits; the rows of the table."""
    await visit(address)
    alone = server.memory_info().rss
    viewers = [await Viewer(address).open() for _ in range(options.viewers)]
    first = [viewer.first for viewer in viewers]
    full = server.memory_info().rss
    late: list[float] = []
    took: list[float] = []
    spent, begun = server.cpu_times(), time.perf_counter()
    until = begun + options.seconds
    await asyncio.gather(*(keep_asking(viewer, until, number, late, took) for number, viewer in enumerate(viewers)))
    wall, now = time.perf_counter() - begun, server.cpu_times()
    cpu = now.user + now.system - spent.user - spent.system
    for viewer in viewers:
        viewer.close()
    rows = [
        ("first page, p50 / p99", f"{percentile(first, 0.5) * 1e3:,.0f} / {percentile(first, 0.99) * 1e3:,.0f} ms"),
        (f"refreshes of {options.viewers} viewers", f"{len(took):,}"),
        (
            "refresh, question to answer, p50 / p99",
            f"{percentile(took, 0.5) * 1e3:,.0f} / {percentile(took, 0.99) * 1e3:,.0f} ms",
        ),
        ("late against its due time, p50 / p99", f"{percentile(late, 0.5) * 1e3:,.0f} / {percentile(late, 0.99) * 1e3:,.0f} ms"),
        ("server, share of one core", f"{cpu / wall:.0%}"),
        ("server, CPU for a refresh", f"{cpu / max(len(took), 1) * 1e3:.1f} ms"),
        ("memory for a viewer", f"{(full - alone) / options.viewers / 1e6:.2f} MB"),
    ]
    sizes: list[int] = []
    for turn in range(options.visits):
        await visit(address)
        if turn % max(options.visits // 5, 1) == 0:
            sizes.append(server.memory_info().rss)
    sizes.append(server.memory_info().rss)
    shown = " → ".join(f"{size / 1e6:.0f}" for size in sizes)
    return [*rows, (f"memory over {options.visits} visits", f"{shown} MB")]


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--viewers", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--visits", type=int, default=500)
    parser.add_argument("--minutes", type=int, default=120, help="minutes of 50 campaigns × 5 channels on the topic")
    options = parser.parse_args()
    ports = free_port(), free_port()
    settings = Settings(brokers=f"127.0.0.1:{ports[0]}")
    broker = subprocess.Popen([sys.executable, "-m", "deploy.broker", "--port", str(ports[0])], stdout=subprocess.PIPE)
    assert broker.stdout
    broker.stdout.readline()
    address = f"http://localhost:{ports[1]}/"
    server = None
    try:
        for at in range(options.minutes):
            produce(settings, list(minute(at, 50, 5)))
        server = subprocess.Popen(
            [sys.executable, "-m", "panel_app", "--port", str(ports[1])], env=environment(settings), stdout=subprocess.DEVNULL
        )

        def full() -> bool:
            try:
                return held(address) >= options.minutes * 250
            except OSError:
                return False

        wait_for(full, "the dashboard to hold the results", 180)
        for name, value in asyncio.run(load(address, psutil.Process(server.pid), options)):
            print(f"{name:42}{value:>40}")
    finally:
        for child in (server, broker):
            if child:
                child.kill()
                child.wait()


if __name__ == "__main__":
    main()
