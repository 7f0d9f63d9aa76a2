"""State of each part of the pipeline, from an event to this page: which one does not work, since when, and what to do.

This module judges what other modules measure; it never asks a broker.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal

import msgspec

from dataflows.contract.settings import Settings
from dataflows.telemetry.ages import LATE_SECONDS
from figures.feed.reporter import Status
from figures.pipeline.watch import Partition, Pipeline
from figures.rates.problem import RatesProblem

SILENT_SECONDS = 30.0
"""A dataflow commits with each snapshot, usually every 5 s. Without a commit for this long it has stopped or can't reach Kafka."""

STUCK_SECONDS = 30.0
"""A partition is stuck if messages wait and its offset does not move for this long."""

FEW = 1000
"""Lag up to this many messages is normal."""

_NAMED = 5
"""Largest number of partitions that are named in one sentence."""

Tone = Literal["good", "wait", "warn", "bad"]
"""good: it works; wait: unknown yet, or waiting for another part; warn: it needs attention; bad: it does not work."""


class PipelinePart(msgspec.Struct, frozen=True):
    """The state of one part."""

    id: str
    name: str
    tone: Tone
    state: str
    """A sentence without the full stop."""
    since: float | None = None
    """Seconds since 1970; None if unknown, or if the part works."""
    cure: str = ""
    """What to do, in sentences."""


class Seen(msgspec.Struct, frozen=True):
    """Input of the diagnosis: the dashboard's feeds, the dataflow's progress, and the newest data; times in seconds since 1970."""

    now: float
    newest_end: float | None
    feed: Status
    rejects: Status
    pipeline: Pipeline
    rates: RatesProblem | None = None


def diagnose(settings: Settings, seen: Seen) -> list[PipelinePart]:
    """Return the state of each part, in the order in which an event passes them; last that of exchange rates with a source of their own."""
    flow = _dataflow(settings, seen)
    return [
        _broker(settings, seen),
        _events(settings, seen, flow),
        flow,
        _results(seen, flow),
        _rejected(seen, flow),
        _dashboard(seen),
        *([_rates(settings, seen)] if settings.rates_file or settings.rates_topic else []),
    ]


def trouble(parts: Sequence[PipelinePart]) -> PipelinePart | None:
    """Return the part to look at first: failures before slowness, and causes before their consequences; None if results come."""
    failing = [part for part in parts if part.tone in _WORST and part.id in _CAUSES]
    return min(failing, key=lambda part: (_WORST.index(part.tone), _CAUSES.index(part.id)), default=None)


_WORST = ("bad", "warn")
_CAUSES = ("broker", "dataflow", "results", "dashboard", "events", "rejected")

_RESUMES = "Everything resumes by itself once it answers."
_SEND = "Check that the producer runs, and which topic it writes to. “make demo” and “adtally generate synthetic” send synthetic events."
_START = "python -m bytewax.run dataflows.marketing -r FOLDER -s 5 -b 0"
_RESTART = (
    f"Start it again on its recovery folder: {_START}. Its last log line says why it ended. It resumes at its last snapshot."
)
_COUNT_AGAIN = (
    "Start it with an empty recovery folder and another ADTALLY_RESULTS_TOPIC (docs/operations.md, “Recounting from logs”)."
)
_TRANSACTION = (
    "Kafka releases them when it ends, by its transaction.timeout.ms at the latest; kafka-transactions.sh can abort it."
)
_UNKNOWN = "Not known while Kafka does not answer"
_ASKING = "Checking"


def _broker(settings: Settings, seen: Seen) -> PipelinePart:
    part = partial(PipelinePart, "broker", "Kafka")
    if seen.feed.state == "down":
        words, _, cure = seen.feed.problem.partition("; ")
        cures = [f"{_sentence(cure)}."] if cure else []
        return part("bad", _sentence(words) or "It does not answer", seen.feed.since, " ".join([*cures, _RESUMES]))
    return part("wait", _ASKING) if seen.feed.state == "starting" else part("good", f"It answers at {settings.brokers}")


def _events(settings: Settings, seen: Seen, flow: PipelinePart) -> PipelinePart:
    part = partial(PipelinePart, "events", "Events")
    rows, topic = seen.pipeline.partitions, settings.logs_topic
    if seen.feed.state == "down":
        return part("wait", _UNKNOWN)
    if seen.pipeline.is_missing:
        cure = "Send events to it, or start the dataflow, which creates it; or set ADTALLY_LOGS_TOPIC to the right topic."
        return part("bad", f"Topic {topic} does not exist", None, cure)
    if not rows:
        return part("wait", _sentence(seen.pipeline.problem) or _ASKING)
    if waiting := sum(row.lag for row in rows):
        return part("good", f"{_many(waiting, 'message')} on topic {topic} to be counted")
    if not any(row.end for row in rows):
        return part("warn", f"Topic {topic} is empty: no event was ever sent to it", None, _SEND)
    newest = _newest(rows)
    if newest is not None and seen.now - newest > LATE_SECONDS:
        return part("warn" if flow.tone == "good" else "wait", "No events have come", newest, _SEND)
    return part("good", "Everything that was sent has been read")


def _dataflow(settings: Settings, seen: Seen) -> PipelinePart:
    part = partial(PipelinePart, "dataflow", "Dataflow")
    rows, group, topic = seen.pipeline.partitions, settings.group, settings.logs_topic
    if seen.feed.state == "down":
        return part("wait", _UNKNOWN)
    if not rows:
        return part(
            "wait", f"It waits for topic {topic}" if seen.pipeline.is_missing else _sentence(seen.pipeline.problem) or _ASKING
        )
    if recreated := [row for row in rows if row.is_recreated]:
        state = f"The log of {_named(recreated)} was replaced: topic {topic} was recreated or has lost data"
        return part("bad", state, None, _COUNT_AGAIN)
    if lost := [row for row in rows if row.lost]:
        state = (
            f"Messages of {_named(lost)} were deleted from topic {topic} before they were read; it does not skip them by itself"
        )
        return part("bad", state, None, _COUNT_AGAIN)
    waiting = sum(row.lag for row in rows)
    waits = f"{_wait(waiting)} to be counted" if waiting else "nothing waits to be counted"
    if all(row.offset is None for row in rows):
        cure = f"Start it with a recovery folder: {_START}. If it runs, its ADTALLY_GROUP must be {group} too."
        return part(
            "bad" if waiting else "wait", f"It has never committed progress as consumer group {group}; {waits}", None, cure
        )
    last = max((row.at for row in rows if row.at is not None), default=None)
    pause = max((row.pause for row in rows if row.pause is not None), default=0.0)
    if last is not None and seen.now - last > max(SILENT_SECONDS, 3 * pause):
        return part("bad", f"It has stopped, or is cut off from Kafka: {waits}", last, _RESTART)
    return _running(seen, waits)


def _running(seen: Seen, waits: str) -> PipelinePart:
    part = partial(PipelinePart, "dataflow", "Dataflow")
    rows = seen.pipeline.partitions
    stuck = [row for row in rows if row.still is not None and seen.now - row.still > STUCK_SECONDS]
    since = min((row.still for row in stuck if row.still is not None), default=None)
    if held := [row for row in stuck if row.behind]:
        state = f"{_wait(sum(row.behind for row in held))} in {_named(held)} behind a transaction that a producer has left open"
        return part("warn", state, since, _TRANSACTION)
    if stuck:
        cure = "Check that the broker that leads the partition answers, and what the dataflow's log says about it."
        return part("warn", f"It reads nothing of {_named(stuck)}, where {_wait(sum(row.lag for row in stuck))}", since, cure)
    if far := [row for row in rows if row.lag > FEW]:
        cure = "Waiting makes no event late. If the lag does not decrease, add processes (docs/operations.md, “Rescaling”)."
        return part("warn", f"It is behind in {_named(far)}: {waits}", None, cure)
    return part("good", f"It runs; {waits}")


def _results(seen: Seen, flow: PipelinePart) -> PipelinePart:
    part = partial(PipelinePart, "results", "Results")
    feed = seen.feed
    if feed.state in ("down", "starting"):
        return part("wait", _UNKNOWN if feed.state == "down" else _ASKING)
    if feed.state == "waiting":
        cure = "The dataflow creates it when it starts; it and the dashboard must have the same ADTALLY_RESULTS_TOPIC."
        return part("bad", f"Topic {feed.topic} does not exist", feed.since, cure)
    newest, held = _newest(seen.pipeline.partitions), seen.newest_end
    if flow.tone == "good" and feed.state == "live" and newest is not None and held is not None and newest - held > LATE_SECONDS:
        cure = f"Check that the dataflow writes to {feed.topic} too (ADTALLY_RESULTS_TOPIC), and that the broker accepts its records."
        return part("warn", f"The dataflow reads newer events, but no newer result has come on topic {feed.topic}", held, cure)
    if feed.unread:
        return part(
            "warn",
            f"{_many(feed.unread, 'record')} on topic {feed.topic} could not be read",
            None,
            f"The last one: {feed.problem}",
        )
    return part("good", f"Topic {feed.topic} exists")


def _rejected(seen: Seen, flow: PipelinePart) -> PipelinePart:
    part = partial(PipelinePart, "rejected", "Rejected")
    rejects = seen.rejects
    if rejects.state in ("down", "starting"):
        return part("wait", _UNKNOWN if rejects.state == "down" else _ASKING)
    if rejects.state == "waiting":
        state = f"Topic {rejects.topic} does not exist"
        if flow.tone not in ("good", "warn"):
            return part("wait", f"{state} yet: the dataflow creates it when it starts")
        return part("bad", state, rejects.since, "Create it (adtally topics): the dataflow needs it for rejected events.")
    if rejects.unread:
        return part(
            "warn",
            f"{_many(rejects.unread, 'record')} on topic {rejects.topic} could not be read",
            None,
            f"The last one: {rejects.problem}",
        )
    return part("good", f"Topic {rejects.topic} exists")


def _dashboard(seen: Seen) -> PipelinePart:
    part = partial(PipelinePart, "dashboard", "Dashboard")
    feed = seen.feed
    if feed.state == "reading":
        return part("wait", f"It reads topic {feed.topic}; its figures are not complete yet", feed.since)
    if feed.state != "live":
        return part("wait", "It waits for the parts before it")
    if feed.behind > FEW:
        cure = (
            "It catches up by itself. If it does not, its machine is short of CPU (docs/operations.md, “AdtallyDashboardStale”)."
        )
        return part("warn", f"It is {_many(feed.behind, 'record')} behind on topic {feed.topic}", None, cure)
    return part("good", f"It has read topic {feed.topic} to the end")


def _rates(settings: Settings, seen: Seen) -> PipelinePart:
    part = partial(PipelinePart, "rates", "Exchange rates")
    if (problem := seen.rates) is not None:
        return part("bad" if problem.is_total else "warn", _sentence(problem.words), problem.since, f"{_sentence(problem.cure)}.")
    topic = f"topic {settings.rates_topic}" if settings.rates_topic else ""
    return part("good", f"They come from {' and '.join(filter(None, (settings.rates_file, topic)))}")


def _newest(rows: Sequence[Partition]) -> float | None:
    """Return the highest event time that the dataflow has read (seconds since 1970)."""
    return max((row.clock for row in rows if row.clock is not None), default=None)


def _named(rows: Sequence[Partition]) -> str:
    numbers = ", ".join(str(row.partition) for row in rows[:_NAMED])
    more = f" and {len(rows) - _NAMED} more" if len(rows) > _NAMED else ""
    return f"partition{'s' if len(rows) > 1 else ''} {numbers}{more}"


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _wait(messages: int) -> str:
    return f"{_many(messages, 'message')} {'waits' if messages == 1 else 'wait'}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".")
