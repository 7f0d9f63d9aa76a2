"""The Data page names the part that does not work, since when, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from dataflows.contract.settings import Settings
from figures.feed.reporter import Status
from figures.pipeline.status import PipelinePart, Seen, Tone, diagnose, trouble
from figures.pipeline.watch import Partition, Pipeline
from figures.rates.problem import RatesProblem

NOW = 1_790_000_000.0
FEED = Status("live", "kafka:9092", "results")
ROW = Partition(0, 50, 50, 0, {}, adds_up=True, clock=NOW - 2, at=NOW - 3, pause=5.0)
WELL = Seen(NOW, NOW - 1, FEED, Status("live", "kafka:9092", "rejected"), Pipeline([ROW, replace(ROW, partition=1)], NOW))


def seen(*, feed: Mapping[str, Any] = {}, rejects: Mapping[str, Any] = {}, **row: Any) -> Seen:
    """A deployment that works, but for what is given: of its two readers, and of partition 1."""
    return replace(
        WELL,
        feed=replace(WELL.feed, **feed),
        rejects=replace(WELL.rejects, **rejects),
        pipeline=Pipeline([ROW, replace(ROW, partition=1, **row)], NOW),
    )


def every(**row: Any) -> Seen:
    return replace(WELL, pipeline=Pipeline([replace(ROW, partition=number, **row) for number in range(3)], NOW))


def without_topic() -> Seen:
    return replace(WELL, pipeline=Pipeline([], NOW, "topic logs does not exist", is_missing=True))


def test_where_everything_works_no_part_is_named() -> None:
    parts = diagnose(Settings(), WELL)
    assert [part.id for part in parts] == ["broker", "events", "dataflow", "results", "rejected", "dashboard"]
    assert {part.tone for part in parts} == {"good"}
    assert trouble(parts) is None


@pytest.mark.parametrize(
    ("situation", "part", "state", "since"),
    [
        (
            seen(feed={"state": "down", "since": NOW - 60, "problem": "no Kafka broker answers at a:1; start one."}),
            "broker",
            "No Kafka broker answers at a:1",
            60,
        ),
        (every(at=NOW - 120, lag=7), "dataflow", "It has stopped, or is cut off from Kafka: 21 messages wait", 120),
        (every(at=NOW - 120), "dataflow", "stopped, or is cut off from Kafka: nothing waits to be counted", 120),
        (
            every(offset=None, at=None, clock=None, lag=9),
            "dataflow",
            "never committed progress as consumer group adtally; 27 messages",
            None,
        ),
        (seen(lag=9, still=NOW - 90), "dataflow", "reads nothing of partition 1, where 9 messages wait", 90),
        (seen(lag=1, behind=1, still=NOW - 90), "dataflow", "1 message waits in partition 1 behind a transaction", 90),
        (seen(lag=5000), "dataflow", "behind in partition 1: 5,000 messages wait", None),
        (seen(lost=4, lag=3), "dataflow", "Messages of partition 1 were deleted from topic logs before they were read", None),
        (every(is_recreated=True, lag=3), "dataflow", "The log of partitions 0, 1, 2 was replaced", None),
        (every(clock=NOW - 600), "events", "No events have come", 600),
        (every(offset=None, end=0, at=None, clock=None), "events", "Topic logs is empty", None),
        (without_topic(), "events", "Topic logs does not exist", None),
        (seen(feed={"state": "waiting", "since": NOW - 30}), "results", "Topic results does not exist", 30),
        (replace(WELL, newest_end=NOW - 900), "results", "no newer result has come on topic results", 900),
        (
            seen(feed={"unread": 2, "problem": "offset 4: not JSON"}),
            "results",
            "2 records on topic results could not be read",
            None,
        ),
        (seen(rejects={"state": "waiting", "since": NOW - 30}), "rejected", "Topic rejected does not exist", 30),
        (seen(rejects={"unread": 1}), "rejected", "1 record on topic rejected could not be read", None),
        (seen(feed={"behind": 90_000}), "dashboard", "It is 90,000 records behind", None),
    ],
)
def test_the_part_that_does_not_work_is_named_with_its_time_and_a_cure(
    situation: Seen, part: str, state: str, since: float | None
) -> None:
    found = trouble(diagnose(Settings(), situation))
    assert found is not None
    assert found.id == part
    assert state in found.state
    assert found.since == (None if since is None else NOW - since)
    assert found.cure


@pytest.mark.parametrize(
    "situation",
    [
        seen(lag=38, still=NOW - 5),  # on their way
        every(at=NOW - 170, pause=60.0),  # it takes a snapshot each minute
        every(at=NOW + 400),  # its clock is ahead
        every(at=None),  # an older version does not say when
        every(offset=None, at=None, clock=None),  # a replay's topic, before the first snapshot
        seen(feed={"state": "reading"}),
        replace(WELL, pipeline=Pipeline()),
        replace(WELL, newest_end=None),
    ],
)
def test_what_only_waits_is_not_called_broken(situation: Seen) -> None:
    assert trouble(diagnose(Settings(), situation)) is None


def test_a_cause_comes_before_what_follows_from_it() -> None:
    stopped = replace(
        every(at=NOW - 600, clock=NOW - 600, lag=3), newest_end=NOW - 600, rejects=replace(WELL.rejects, state="waiting")
    )
    assert trouble(diagnose(Settings(), stopped)).id == "dataflow"  # pyright: ignore[reportOptionalMemberAccess]  # it is what is tested
    away = replace(stopped, feed=replace(FEED, state="down"))
    found = diagnose(Settings(), away)
    assert [part.tone for part in found[1:4]] == ["wait"] * 3
    many = Pipeline([replace(ROW, partition=number, lag=9, still=NOW - 99) for number in range(1024)], NOW)
    assert (
        "partitions 0, 1, 2, 3, 4 and 1019 more, where 9,216 messages wait"
        in diagnose(Settings(), replace(WELL, pipeline=many))[2].state
    )


@pytest.mark.parametrize(("is_total", "tone"), [(True, "bad"), (False, "warn")])
def test_exchange_rates_have_a_line_where_they_have_a_source_and_are_never_why_no_results_come(
    is_total: bool, tone: Tone
) -> None:
    settings = Settings(rates_topic="fx", rates_file="own.csv")
    assert diagnose(settings, WELL)[-1].state == "They come from own.csv and topic fx"
    parts = diagnose(settings, replace(WELL, rates=RatesProblem("topic fx is empty", "fill it", is_total, NOW)))
    assert parts[-1] == PipelinePart("rates", "Exchange rates", tone, "Topic fx is empty", NOW, "Fill it.")
    assert trouble(parts) is None
