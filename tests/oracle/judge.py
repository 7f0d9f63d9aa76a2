"""What becomes of each message of the log, and what each window must hold."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import polars as pl
from tqdm import tqdm

from tests.oracle.parse import BadError, parse

SECOND = 1_000_000


@dataclass(frozen=True)
class Message:
    """One message of the log; `time` is Kafka's own, in milliseconds."""

    partition: int
    offset: int
    time: int
    payload: bytes | None


@dataclass
class Verdict:
    """Counters and last clock (microseconds) by partition, the reason for each rejected place, and the counted events."""

    counters: dict[int, Counter[str]] = field(default_factory=dict)
    clocks: dict[int, int] = field(default_factory=dict)
    rejected: dict[tuple[int, int], str] = field(default_factory=dict)
    counted: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Terms:
    """The settings of the deployment, in seconds."""

    window: int = 60
    out_of_order: float = 5
    lateness: float = 600
    max_ahead: float = 300
    currency: str = "USD"
    dedup: bool = True
    silence: bool = True
    """Whether a partition may have been silent for so long that windows were closed without it: then less can be said of states."""

    @property
    def span(self) -> int:
        """How long (microseconds of its partition's clock) the ids of a generation are gathered; three of them are known."""
        return max(1, -(-round((self.window + self.lateness + self.out_of_order) * SECOND) // 2))


def judge(messages: list[Message], terms: Terms | None = None, progress: bool = False) -> Verdict:
    """Read the log as the contract says: each partition in its order, its own clock deciding what is late.

    `progress`: show it on a terminal where it takes long.
    """
    terms = terms or Terms()
    verdict = Verdict()
    clocks = verdict.clocks
    seen: dict[int, dict[str, int]] = {}
    ordered = sorted(messages, key=lambda one: (one.partition, one.offset))
    for message in tqdm(ordered, "judging", unit=" messages", delay=1, disable=None if progress else True):
        tally = verdict.counters.setdefault(message.partition, Counter())
        tally["read"] += 1
        place = (message.partition, message.offset)
        try:
            event = parse(message.payload, terms.currency)
        except BadError:
            size = len(message.payload or b"")
            verdict.rejected[place] = reason = "oversize" if size > 64 * 1024 else "malformed"
            tally["malformed"] += 1
            tally["oversize"] += reason == "oversize"
            continue
        window = terms.window * SECOND
        moment = event["micros"]
        if moment // window != event["floor"] // window:
            moment -= 1  # rounding moves no event into the next window
        if moment > message.time * 1000 + terms.max_ahead * SECOND:
            verdict.rejected[place] = "too_far_ahead"
            tally["malformed"] += 1
            tally["too_far_ahead"] += 1
            continue
        start = moment // window * window
        clock = clocks.get(message.partition)
        if clock is not None and start + window + terms.lateness * SECOND <= clock - terms.out_of_order * SECOND:
            verdict.rejected[place] = "late"
            tally["late"] += 1
            continue
        clocks[message.partition] = moment if clock is None else max(clock, moment)
        known, generation = seen.setdefault(message.partition, {}), clocks[message.partition] // terms.span
        last = known.get(event["event_id"])
        known[event["event_id"]] = generation
        if terms.dedup and last is not None and last > generation - 3:
            tally["duplicate"] += 1
            continue
        tally["counted"] += 1
        verdict.counted.append({**event, "start": start // SECOND})
    return verdict


SUMS = [
    "impressions",
    "clicks",
    "conversions",
    "purchases",
    "refunds",
    "spend_micros",
    "revenue_micros",
    "refund_micros",
    "events",
]


def windows(verdict: Verdict) -> pl.DataFrame:
    """The sums of each window, campaign and channel; columns window_start, campaign_id, channel and `SUMS`."""
    rows = [
        (
            one["start"],
            one["campaign_id"],
            one["channel"],
            one["event_type"],
            one.get("cost_micros") or 0,
            one.get("revenue_micros") or 0,
        )
        for one in verdict.counted
    ]
    names = ["start", "campaign_id", "channel", "kind", "cost", "revenue"]
    kinds = [pl.Int64, pl.String, pl.String, pl.String, pl.Int128, pl.Int128]
    frame = pl.DataFrame(rows, schema=dict(zip(names, kinds, strict=True)), orient="row")
    kind, cost, revenue = pl.col("kind"), pl.col("cost"), pl.col("revenue")
    return (
        frame.group_by("start", "campaign_id", "channel")
        .agg(
            (kind == "impression").sum().alias("impressions"),
            (kind == "click").sum().alias("clicks"),
            kind.is_in(["conversion", "purchase"]).sum().alias("conversions"),
            (kind == "purchase").sum().alias("purchases"),
            (kind == "refund").sum().alias("refunds"),
            cost.sum().alias("spend_micros"),
            revenue.filter(kind != "refund").sum().alias("revenue_micros"),
            revenue.filter(kind == "refund").sum().alias("refund_micros"),
            pl.len().alias("events"),
        )
        .with_columns(
            pl.from_epoch("start", time_unit="s").dt.strftime("%Y-%m-%dT%H:%M:%SZ").alias("window_start"),
            *[pl.col(name).cast(pl.Int128) for name in SUMS],
        )
        .select("window_start", "campaign_id", "channel", *SUMS)
    )
