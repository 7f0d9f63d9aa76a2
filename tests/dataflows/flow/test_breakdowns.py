"""Breakdowns of the flow as a process: their topics, their rows after kills and with more workers, and the rebuild of them."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from dataflows.commands.rebuild import changes, rebuild
from dataflows.commands.recount import Range, count
from dataflows.contract.schema import breakdown_codec, rfc3339
from dataflows.contract.settings import Settings
from dataflows.intake.rules import SECOND
from dataflows.kafka.scan import scan
from dataflows.kafka.topics import Topics
from tests.support.engines.breakdown_model import FIELDS, SETTINGS, Sums, check_equation, expected, make_log, without_zeros
from tests.support.flows import (
    ANSWER_SECONDS,
    await_caught_up,
    counters,
    last_results,
    read_topic,
    recovery_folder,
    running,
    send,
    wait_for,
)
from tests.support.records import FakeRecord, micros, payload

RECOVER = ("-s", "1", "-b", "0")
NAMES = (
    "spend_micros",
    "revenue_micros",
    "refund_micros",
    "impressions",
    "clicks",
    "conversions",
    "purchases",
    "refunds",
    "events",
)
RULES = ("breakdowns", "breakdown_cells", "event_types", "window_seconds", "allowed_lateness_seconds", "out_of_order_seconds")


@pytest.fixture
def broken_down(settings: Settings) -> Settings:
    """Settings of a flow with the rules of the model, on topics of its own."""
    return replace(settings, **{name: getattr(SETTINGS, name) for name in RULES}, max_ahead_seconds=5.0)


def rows_on(settings: Settings) -> Sums:
    """Return the last value of each row on the topics of results and breakdowns, in the form of the model."""
    rows: Sums = {}
    for table, (topic, fields) in enumerate(
        zip((settings.results_topic, *settings.breakdown_topics), ((), *FIELDS), strict=True)
    ):
        for one in dict(read_topic(settings, topic)).values():
            assert one["revision"] == one["events"]
            key = (one["campaign_id"], one["channel"], *(one[field] for field in fields), one["currency"])
            numbers = {name: one[name] for name in NAMES} | {f"counts.{name}": number for name, number in one["counts"].items()}
            rows[table, micros_of(one["window_start"]), key] = numbers
    return without_zeros(rows)


def micros_of(start: str) -> int:
    return next(window for window in range(micros(0), micros(3600), 10 * SECOND) if rfc3339(window // SECOND) == start)


def of_partitions(logs: list[list[FakeRecord]]) -> Sums:
    """Return what the model says of several partitions together."""
    total: Sums = {}
    for log in logs:
        for row, cell in expected(log).items():
            into = total.setdefault(row, defaultdict(int))
            for name, number in cell.items():
                into[name] += number
    return without_zeros(total)


def test_rows_are_exact_after_a_kill_with_another_number_of_workers_and_the_other_engine(
    broken_down: Settings, tmp_path: Path
) -> None:
    logs, folder = [make_log(700, seed) for seed in (1, 2)], recovery_folder(tmp_path / "recovery")
    cuts = (0, 150, 400, 700)
    for run, (native, workers) in enumerate((("off", "1"), ("auto", "2"), ("off", "1"))):
        for partition, log in enumerate(logs):
            send(broken_down, [record.payload for record in log[cuts[run] : cuts[run + 1]]], partition=partition)
        settings = replace(broken_down, native=native)
        with running(settings, tmp_path / "log", "-r", str(folder), *RECOVER, "-w", workers) as flow:
            if run == 2:
                await_caught_up(settings)
                assert flow.stop() == [0]
            else:
                wait_for(
                    lambda run=run: sum(one.get("read", 0) for one in counters(broken_down)) > 2 * cuts[run], "part of the log"
                )
                flow.kill()
    found = rows_on(broken_down)
    assert found == of_partitions(logs)
    check_equation(found, tables=[1, 2, 3, 4])
    message = next(iter(scan(broken_down, broken_down.breakdown_topics[0])))
    assert dict(message.headers() or ())["adtally-contract"] == b"2"
    codec = breakdown_codec(broken_down.breakdown_list[0])
    result, values = codec.decode(message.value() or b"")
    assert codec.decode_key(message.key() or b"")[1:] == (result.campaign_id, result.channel, values, result.currency)


@pytest.mark.long
def test_a_rebuild_restores_rows_and_adds_late_events_to_them(broken_down: Settings, tmp_path: Path) -> None:
    settings = replace(broken_down, breakdowns="device", breakdown_cells=2, event_types="")
    values = [payload("a", 1, device="x"), payload("b", 2, device="y"), payload("c", 3, device="z"), payload("far", 1000)]
    late = [payload("d", 4, device="y"), payload("e", 5, device="new"), payload("d", 4, device="y")]
    send(settings, [*values, *late], partition=0)
    for other in range(1, 4):
        send(settings, [payload(f"clock-{other}", 1000)], partition=other)
    folder = recovery_folder(tmp_path / "recovery")
    with running(settings, tmp_path / "log", "-r", str(folder), *RECOVER) as flow:
        wait_for(lambda: sum(one.get("read", 0) for one in counters(settings)) == 10, "the flow to have read it all")
        assert flow.stop() == [0]
    wanted = Range(micros(0), micros(10))
    assert rows_of_window(settings) == {"x": 1, "y": 1, True: 1}
    assert changes(settings, count(settings, wanted, late=False)) == []
    lost = replace(settings, results_topic=f"{settings.results_topic}-new")
    Topics(lost).ensure(lost.results_topic, *lost.breakdown_topics, timeout=ANSWER_SECONDS)
    for into, before in ((settings, 3), (lost, None)):
        rebuild(into, wanted.first, wanted.last, late=True, dry_run=False)
        assert rows_of_window(into) == {"x": 1, "y": 2, True: 2}, before
        (main,) = [one for one in last_results(into).values() if is_first_window(one["window_start"])]
        assert main["events"] == 5
        assert changes(into, count(into, wanted, late=True)) == []
    fewer = changes(settings, count(settings, wanted, late=False))
    assert [(change.table, change.gains) for change in fewer] == [(0, False), (1, False), (1, False)]


def is_first_window(start: str) -> bool:
    return start == rfc3339(micros(0) // SECOND)


def rows_of_window(settings: Settings) -> dict[Any, int]:
    """Return the events of the first window by device."""
    rows = dict(read_topic(settings, settings.breakdown_topics[0])).values()
    return {one["device"]: one["events"] for one in rows if is_first_window(one["window_start"])}
