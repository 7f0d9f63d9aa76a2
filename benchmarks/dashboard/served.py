"""A dashboard that is measured: its own command in a process of its own, with a full store.

`served` starts one, with an embedded broker. That broker keeps 5 MiB of a partition, so what is held from the beginning is put straight
into the store, as the feed does; only what comes later goes through a topic. Its memory after garbage collection and its live objects,
which only the process itself knows, are printed on its standard output for each line on its standard input. None of that is in the
product.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import subprocess
import sys
import threading
import urllib.request
from collections import Counter
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec
import psutil

from benchmarks.dashboard.store import minute
from dataflows.contract.schema import WindowResult, encode, result_key
from dataflows.contract.settings import Settings
from dataflows.kafka.clients import make_producer
from panel_app.server.process_memory import resident_bytes
from tests.support.flows import environment, free_port, wait_for

if TYPE_CHECKING:
    from panel_app.server.dashboard import Dashboard

START_SECONDS = 180.0


class Census(msgspec.Struct, frozen=True):
    """What a process holds: resident bytes, and live objects by their type."""

    resident: int
    alive: dict[str, int]

    @property
    def sessions(self) -> int:
        """Sessions that the server has not thrown away yet."""
        return self.alive.get("bokeh.server.session.ServerSession", 0)


def census(*, tidy: bool) -> Census:
    """Count what this process holds; `tidy`: once garbage is collected and the allocator has given back what is free."""
    if tidy:
        gc.collect()
        with contextlib.suppress(AttributeError, OSError):
            ctypes.CDLL(None).malloc_trim(0)  # glibc's only; elsewhere free memory stays where it is
    alive = Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.get_objects())
    return Census(resident_bytes(), dict(alive))


class ServedDashboard:
    """A running dashboard at `address`, in `process`, which reads the topic of `settings` and held `minutes` when it started."""

    def __init__(self, settings: Settings, address: str, child: subprocess.Popen[bytes], minutes: int) -> None:
        self.settings, self.address, self.minutes = settings, address, minutes
        self.process = psutil.Process(child.pid)
        self._child = child

    def census(self, *, tidy: bool = False) -> Census:
        """What its process holds; `tidy` as for `census`."""
        assert self._child.stdin
        assert self._child.stdout
        self._child.stdin.write(b"tidy\n" if tidy else b"as it is\n")
        self._child.stdin.flush()
        for line in self._child.stdout:
            if line.startswith(b"{"):
                return msgspec.json.decode(line, type=Census)
        raise AssertionError("the dashboard is gone")

    def rows(self) -> int:
        """Rows that it holds; 0 while it does not answer."""
        try:
            with urllib.request.urlopen(f"{self.address}healthz", timeout=20) as answer:
                return int(answer.read().partition(b'"rows":')[2].partition(b",")[0])
        except OSError:
            return 0


def produce(settings: Settings, results: Iterable[WindowResult]) -> None:
    """Put `results` on their topic."""
    producer = make_producer(settings, "load")
    for one in results:
        while True:
            try:
                producer.produce(
                    settings.results_topic, encode(one), result_key(one.window_start, one.campaign_id, one.channel, one.currency)
                )
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(60) == 0


@contextmanager
def served(campaigns: int = 50, channels: int = 5, minutes: int = 120) -> Generator[ServedDashboard]:
    """A dashboard that holds `minutes` of `campaigns` × `channels`, gone when the block ends."""
    ports = free_port(), free_port()
    settings = Settings(brokers=f"127.0.0.1:{ports[0]}")
    broker = subprocess.Popen([sys.executable, "-m", "adtally", "broker", "--port", str(ports[0])], stdout=subprocess.PIPE)
    child = None
    try:
        assert broker.stdout
        broker.stdout.readline()
        # The topic is there, and its end is met at once.
        produce(settings, minute(minutes - 1, campaigns, channels))
        sizes = ("--campaigns", str(campaigns), "--channels", str(channels), "--minutes", str(minutes))
        child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.dashboard.served", "--port", str(ports[1]), *sizes],
            env=environment(settings),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        made = ServedDashboard(settings, f"http://localhost:{ports[1]}/", child, minutes)
        wait_for(lambda: made.rows() >= minutes * campaigns * channels, "the dashboard to hold the results", START_SECONDS)
        yield made
    finally:
        for one in (child, broker):
            if one:
                one.kill()
                one.wait()


def _answer() -> None:
    for line in sys.stdin:
        print(msgspec.json.encode(census(tidy=line == "tidy\n")).decode(), flush=True)


def main() -> None:
    """Fill the store of this process and be the dashboard; each line on standard input is answered by a `Census`."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("port", "campaigns", "channels", "minutes"):
        parser.add_argument(f"--{name}", type=int, required=True)
    options = parser.parse_args()
    # A caller of `served` does not need Panel.
    from panel_app.server.flags import Flags  # noqa: PLC0415 - see above
    from panel_app.serving import serve_dashboard  # noqa: PLC0415 - see above

    def fill(dashboard: Dashboard) -> None:
        for at in range(options.minutes):
            dashboard.service.store.apply(list(minute(at, options.campaigns, options.channels)))
        threading.Thread(target=_answer, daemon=True).start()

    sys.exit(serve_dashboard(Flags(port=options.port), prepare=fill))


if __name__ == "__main__":
    main()
