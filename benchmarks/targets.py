"""Cost of parts of adtally by themselves, in this process, without Kafka: ``python -m benchmarks.targets [PART …]``.

Parts: ``intake`` (cost of one slow-path event in every batch), ``ids`` (the index of ids: bytes, speed, refill), ``panes`` (memory of an
open cell, and how long a snapshot holds a worker at 50,000 campaigns).
"""

from __future__ import annotations

import argparse
import gc
import pickle
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import psutil

from benchmarks.summary import Spread, table
from benchmarks.workload import BROKEN, CHANNELS, Load, Truth, messages
from dataflows import native
from dataflows.contract.constants import SHARDS
from dataflows.contract.metrics import Cells, Metrics
from dataflows.contract.settings import Settings
from dataflows.flow.connection import CHUNK, POLL
from dataflows.flow.engines import Engine
from dataflows.intake.dedup import IdIndex
from dataflows.intake.native import plan_of
from dataflows.intake.partition import Intake, IntakeState
from dataflows.intake.rules import SECOND, Rules
from dataflows.kafka.record import LOG_APPEND_TIME
from dataflows.windows.panes import Panes
from dataflows.windows.shards import Partial, split
from dataflows.windows.watermark import SourceClock
from dataflows.wire.cell_bytes import CellFormat

NOW_MS = 1_780_000_000_000
"""Kafka's time on every message: later than any event of a load."""


@dataclass(frozen=True)
class LoadRecord:
    """A message as the intake asks for it."""

    payload: bytes
    place: int

    def value(self) -> bytes:
        """The payload."""
        return self.payload

    def offset(self) -> int:
        """The place in the log."""
        return self.place

    def timestamp(self) -> tuple[int, int]:
        """The same for all: the broker's own."""
        return LOG_APPEND_TIME, NOW_MS


def records(load: Load) -> list[LoadRecord]:
    """A load in one partition."""
    return [LoadRecord(payload, place) for place, (_, payload) in enumerate(messages(load, Truth()))]


def taken(those: Sequence[LoadRecord], settings: Settings) -> tuple[float, Intake]:
    """CPU-seconds that an intake needs for the records, in chunks and polls as the reader gives them."""
    intake = Engine(settings).make_intake(0, IntakeState(), time.time)
    chunks = [those[start : start + CHUNK] for start in range(0, len(those), CHUNK)]
    begun = time.process_time()
    for number, chunk in enumerate(chunks):
        intake.take(chunk)
        if number % (POLL // CHUNK) == 0:
            intake.fetch()
    intake.fetch()
    spent = time.process_time() - begun
    assert intake.counters.adds_up()
    return spent, intake


def with_replaced(those: Sequence[LoadRecord], every: int, what: Callable[[int], bytes]) -> list[LoadRecord]:
    """The records, each of number `every` - 1, 2 × `every` - 1, … with another payload."""
    return [LoadRecord(what(one.place), one.place) if one.place % every == every - 1 else one for one in those]


def intake(events: int, rounds: int) -> str:
    """Measure the CPU of the intake with slow-path events, against the clean run of the same round."""
    base = records(Load(events, partitions=1))
    ten = CHUNK // 30
    cases = {
        "clean": (base, Settings()),
        "dedup off": (base, Settings(dedup=False)),
        "in Python": (base, Settings(native="off")),
        "in Python, dedup off": (base, Settings(native="off", dedup=False)),
        f"a malformed event in every {CHUNK}": (with_replaced(base, CHUNK, lambda _place: BROKEN), Settings()),
        f"a duplicate in every {CHUNK}": (with_replaced(base, CHUNK, lambda place: base[place - ten].payload), Settings()),
        "1 % malformed": (records(Load(events, partitions=1, malformed=0.01)), Settings()),
        "1 % duplicates": (records(Load(events, partitions=1, duplicates=0.01)), Settings()),
        "1 % late": (records(Load(events, partitions=1, late=0.01)), Settings()),
        "short ids": (records(Load(events, partitions=1, ids="short")), Settings()),
        "50,000 campaigns": (records(Load(events, partitions=1, campaigns=50_000)), Settings()),
    }
    spent: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, (those, settings) in cases.items():
            gc.collect()
            spent[name].append(taken(those, settings)[0] / len(those) * 1e6)
    body = [
        [name, str(Spread.of(figures)), str(Spread.of(one / clean for one, clean in zip(figures, spent["clean"], strict=True)))]
        for name, figures in spent.items()
    ]
    return table(("intake", "CPU µs an event", "× clean"), body)


def ids(count: int, rounds: int) -> str:
    """Bytes and CPU of the index of ids, and of its refill, which reads and decodes the log again."""
    body: list[list[str]] = []
    if native.why_not() is None:
        body += _native_ids(count, rounds)
    for name, make in (("in Python, uuid", "{:08x}-0000-4000-8000-000000000000"), ("in Python, short", "e{}")):
        for known in (count // 10, count):
            spent: list[float] = []
            before, size = resident(), 0.0
            for _ in range(rounds):
                index = IdIndex()
                index.turn(0)
                begun = time.process_time()
                for number in range(known):
                    index.add(make.format(number))
                spent.append((time.process_time() - begun) / known * 1e6)
                size = max(size, (resident() - before) / known)
            body.append([f"{name}, {known:,} ids", f"{size:.0f}", str(Spread.of(spent))])
    those = records(Load(count // 5, partitions=1))
    refills: list[float] = []
    for _ in range(rounds):
        state = taken(those, Settings())[1].state()
        again = Engine(Settings()).make_intake(0, state, time.time)
        first = again.rewind()
        assert first is not None
        old = those[first:]
        begun = time.process_time()
        for start in range(0, len(old), CHUNK):
            again.refill(old[start : start + CHUNK])
        again.resume()
        refills.append((time.process_time() - begun) / len(old) * 1e6)
    body.append([f"refill after a restart, {count // 5:,} events", "–", str(Spread.of(refills))])
    return table(("index of ids", "bytes an id", "CPU µs an id, making the text included"), body)


def _native_ids(count: int, rounds: int) -> list[list[str]]:
    """The index in C: what a judged event costs more with it than without, the events themselves read before."""
    chunks = [records_with_ids(count, start) for start in range(0, count, CHUNK)]
    spent: list[float] = []
    size = 0.0
    for _ in range(rounds):
        judged: list[float] = []
        for dedup in (True, False):
            tally = native.Tally(window=60 * SECOND, delay=605 * SECOND, dedup=dedup, plan=plan_of(Rules.of(Settings())))
            tally.turn(0, 2**62)
            total = 0.0
            for number, chunk in enumerate(chunks):
                tally.read(native.MessageBatch.of(chunk))
                begun = time.perf_counter()
                tally.judge(0, 0, 2**62, refill=False)
                total += time.perf_counter() - begun
                if number % (POLL // CHUNK) == 0:
                    tally.pack()
            judged.append(total)
            size = tally.ids[1] / tally.ids[0] if dedup else size
        spent.append((judged[0] - judged[1]) / count * 1e6)
    return [[f"in C, uuid, {count:,} ids", f"{size:.1f}", f"{Spread.of(spent)} (elapsed)"]]


def records_with_ids(count: int, start: int) -> list[LoadRecord]:
    """A chunk of events with ids of their own."""
    fields = b'"event_type":"click","timestamp":"2026-01-01T00:00:00Z","campaign_id":"c","channel":"x"'
    made = b'{"event_id":"%08x-0000-4000-8000-000000000000",' + fields + b"}"
    return [LoadRecord(made % number, number) for number in range(start, min(start + CHUNK, count))]


def one_window(campaigns: int, window: int, first: int = 0) -> Cells:
    """A cell for each campaign, from the number `first` on, and channel, with one event."""
    return {
        (f"campaign_{number:05d}", channel, "USD"): Metrics(impressions=1, spend_micros=1000 + window, events=1)
        for number in range(first, first + campaigns)
        for channel in CHANNELS
    }


def shards(settings: Settings) -> list[Panes]:
    """The panes of a worker that has all shards."""
    return [Panes(settings, Engine(settings).make_tables()) for _ in range(SHARDS)]


def feed(panes: Sequence[Panes], window: int, cells: Cells) -> None:
    """One poll of the only partition, its clock in that window."""
    clock = SourceClock(window + SECOND, idle=False)
    shares: Iterable[tuple[str, Partial]] = split(0, 1, clock, CellFormat().shares_of(window, 0, cells))
    for shard, partial in shares:
        panes[int(shard)].take([partial], time.time())


def resident() -> int:
    """Bytes of memory that this process holds."""
    gc.collect()
    return psutil.Process().memory_info().rss


def snapshot(panes: Sequence[Panes]) -> float:
    """CPU-seconds for which a snapshot of all shards holds a worker: the state, pickled as Bytewax does."""
    begun = time.process_time()
    for one in panes:
        pickle.dumps(one.state())
    return time.process_time() - begun


def panes(campaigns: int, rounds: int) -> str:
    """Memory of a cell, and the pause of a snapshot when little or all has changed since the last."""
    minute = 60 * SECOND
    count = campaigns * len(CHANNELS)
    settings = Settings()
    before = resident()
    made = shards(settings)
    for first in range(0, campaigns, 1000):  # little at a time, so that what is given does not count
        feed(made, 0, one_window(min(1000, campaigns - first), 0, first))
    memory = (resident() - before) / count
    states = [one.state() for one in made]
    encoded = (resident() - before) / count
    del states
    names = ("first, one window", "nothing changed", "one cell changed", "a second window")
    pauses: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        made = shards(settings)
        feed(made, 0, one_window(campaigns, 0))
        pauses["first, one window"].append(snapshot(made))
        pauses["nothing changed"].append(snapshot(made))
        feed(made, 0, {("campaign_00000", CHANNELS[0]): Metrics(clicks=1, events=1)})
        pauses["one cell changed"].append(snapshot(made))
        feed(made, minute, one_window(campaigns, minute))
        pauses["a second window"].append(snapshot(made))
    body = [
        [f"snapshot: {name}", f"{1000 * statistics.median(figures):,.0f} CPU-ms", f"{1000 * max(figures):,.0f} CPU-ms"]
        for name, figures in pauses.items()
    ]
    body.append(["memory of an open cell", f"{memory:,.0f} B", ""])
    body.append(["the same with its encoded copy for the next snapshot", f"{encoded:,.0f} B", ""])
    return table((f"panes, {count:,} cells a window", "median", "greatest"), body)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table for each part."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.targets", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help="intake, ids, panes (default: all)")
    parser.add_argument("--events", type=int, default=300_000, help="events of an intake run (default 300000)")
    parser.add_argument("--ids", type=int, default=2_000_000, help="ids of the greatest index (default 2000000)")
    parser.add_argument("--campaigns", type=int, default=50_000, help="of the panes, five cells each (default 50000)")
    parser.add_argument("--rounds", type=int, default=3, help="of each measurement (default 3)")
    options = parser.parse_args(arguments)
    known = {
        "intake": lambda: intake(options.events, options.rounds),
        "ids": lambda: ids(options.ids, options.rounds),
        "panes": lambda: panes(options.campaigns, options.rounds),
    }
    if unknown := [part for part in options.parts if part not in known]:
        parser.error(f"unknown part {unknown[0]}; use one of {', '.join(known)}")
    for part in options.parts or known:
        print(known[part](), end="\n\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
