"""What `results` take on a broker's disk, and what of it Kafka's compaction gives back: ``python -m benchmarks.results_disk [--hours H]``.

It writes hours of upserts in minutes, to a Kafka of its own: every cell of a minute once a second, as the dataflow does
where each has events in every second. Once all is written it watches the folder until nothing has changed for two minutes.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from confluent_kafka import Producer
from msgspec.structs import replace

from dataflows.contract.errors import AdtallyError
from dataflows.contract.metrics import Metrics
from dataflows.contract.schema import State
from dataflows.contract.settings import Settings
from dataflows.intake.rules import SECOND
from dataflows.kafka.clients import make_producer
from dataflows.kafka.topics import Topics
from dataflows.windows.cells import Cell, TableRules, to_record
from deploy.kafka.local import LocalKafka

BEGIN = 1_790_000_100 // 60 * 60
STILL_SECONDS = 120.0


def upserts(minute: int, cells: int, times: int) -> Iterator[list[tuple[bytes, bytes]]]:
    """Key and value of the upserts of one minute: `times` lists, of every one of its `cells`."""
    draw = random.Random(minute)
    rules, window = TableRules(window=60 * SECOND), (BEGIN + 60 * minute) * SECOND
    held = [Metrics() for _ in range(cells)]
    for turn in range(1, times + 1):
        state: State = "final" if turn == times else "provisional"
        found: list[tuple[bytes, bytes]] = []
        for cell, sums in enumerate(held):
            counts = [draw.randrange(most) for most in (40, 8, 3, 2, 2)]
            sums.merge(Metrics(*counts, *(draw.randrange(9_000_000) for _ in range(3)), events=sum(counts)))
            key = f"campaign-{cell // 5:02}", f"channel-{cell % 5}", "USD"
            found.append(to_record(window, rules, key, Cell(sums, state)))
        yield found


def write(producer: Producer, topic: str, minute: int, cells: int, times: int) -> None:
    """Send the upserts of one minute and wait until they are taken."""
    for second in upserts(minute, cells, times):
        for key, value in second:
            producer.produce(topic, value, key)
        producer.flush(60)


def megabytes(data: Path, topic: str) -> float:
    """MB of the segments of `topic` in the data folder of a Kafka, but for those that only wait for their removal."""
    sizes = 0
    for file in data.glob(f"log/{topic}-*/*.log"):
        try:
            sizes += file.stat().st_size
        except FileNotFoundError:  # compacted meanwhile
            continue
    return sizes / 1e6


def main() -> None:
    """Write, print a line for each hour, and what is left in the end."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.results_disk", description=(__doc__ or "").split(":")[0])
    parser.add_argument("--hours", type=int, default=6)
    parser.add_argument("--cells", type=int, default=250)
    parser.add_argument("--upserts", type=int, default=60, help="of each cell (default 60)")
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as folder, LocalKafka(Path(folder)) as kafka:
            settings = replace(Settings(), brokers=kafka.bootstrap)
            Topics(settings).ensure(settings.results_topic)
            producer = make_producer(settings, "results-disk")
            for hour in range(options.hours):
                for minute in range(60):
                    write(producer, settings.results_topic, hour * 60 + minute, options.cells, options.upserts)
                print(f"{hour + 1:3} h written: {megabytes(kafka.data, settings.results_topic):8.1f} MB", flush=True)
            least, since = megabytes(kafka.data, settings.results_topic), time.monotonic()
            while time.monotonic() - since < STILL_SECONDS:
                time.sleep(1)
                if (now := megabytes(kafka.data, settings.results_topic)) != least:
                    least, since = now, time.monotonic()
            print(f"compacted:    {least:8.1f} MB", flush=True)
    except AdtallyError as error:
        raise SystemExit(f"results_disk: {error}") from None


if __name__ == "__main__":
    main()
