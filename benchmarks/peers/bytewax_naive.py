"""The job as the guide of Bytewax shows it: key on, `fold_window`, Kafka operators: bytewax_naive.py BROKER IN OUT.

In the environment: WAIT, seconds that the window clock waits for the system's duration; ORDERED and TAIL, 1 or 0.
"""

import os
import signal
import sys
from datetime import UTC, datetime, timedelta

import bytewax.operators as op
import bytewax.operators.windowing as win
import msgspec
from bytewax.connectors.kafka import KafkaSinkMessage
from bytewax.connectors.kafka import operators as kop
from bytewax.dataflow import Dataflow
from bytewax.run import cli_main

brokers, topic, results = sys.argv[1:4]
WAIT = timedelta(seconds=float(os.environ.get("WAIT", "5")))
TAIL = os.environ.get("TAIL", "1") == "1"
ORDERED = os.environ.get("ORDERED", "0") == "1"


class Event(msgspec.Struct):
    """What is needed of an ad event."""

    event_id: str
    event_type: str
    timestamp: datetime
    campaign_id: str
    channel: str
    cost_micros: int = 0
    revenue_micros: int = 0


KINDS = {"impression": 0, "click": 1, "conversion": 2}
NAMES = ("impressions", "clicks", "conversions", "cost_micros", "revenue_micros")
START, MINUTE = datetime(2026, 1, 1, tzinfo=UTC), timedelta(minutes=1)
decode = msgspec.json.Decoder(Event).decode


def new() -> list[int]:
    """An empty cell."""
    return [0, 0, 0, 0, 0]


def fold(sums: list[int], event: Event) -> list[int]:
    """Count one event."""
    sums[KINDS[event.event_type]] += 1
    sums[3] += event.cost_micros
    sums[4] += event.revenue_micros
    return sums


def merge(one: list[int], other: list[int]) -> list[int]:
    """Two cells as one."""
    return [a + b for a, b in zip(one, other, strict=True)]


def record(item):
    """A closed window as a Kafka record."""
    key, (window, sums) = item
    campaign, channel = key.split("|")
    start = (START + window * MINUTE).strftime("%Y-%m-%dT%H:%M:%SZ")
    value = {"window_start": start, "campaign_id": campaign, "channel": channel, **dict(zip(NAMES, sums, strict=True))}
    return KafkaSinkMessage(f"{start}|{key}".encode(), msgspec.json.encode(value))


flow = Dataflow("naive")
source = kop.input(
    "in", flow, brokers=[brokers], topics=[topic], tail=TAIL, batch_size=1000, add_config={"fetch.queue.backoff.ms": "10"}
)
op.raises("errors", source.errs)
events = op.map("decode", source.oks, lambda message: decode(message.value))
keyed = op.key_on("key", events, lambda event: f"{event.campaign_id}|{event.channel}")
clock = win.EventClock(lambda event: event.timestamp, WAIT)
windower = win.TumblingWindower(length=MINUTE, align_to=START)
windows = win.fold_window("fold", keyed, clock, windower, new, fold, merge, ordered=ORDERED)
kop.output("out", op.map("record", windows.down, record), brokers=[brokers], topic=results)
cli_main(flow)
signal.pause()  # the end of the input was reached; the cost of the shutdown is not part of the figure
