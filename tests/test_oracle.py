"""The oracle must turn red: for one event dropped, doubled, or put into the next window, and it must agree with the flow on anything."""

from __future__ import annotations

import random
from pathlib import Path

import polars as pl
import pytest

from dataflows.settings import Settings
from tests.flows import counters, recovery_folder, running, send, wait_for
from tests.oracle.compare import differences, read, rejected_differences, window_differences
from tests.oracle.judge import Message, judge, windows
from tests.records import FAR, payload
from tests.test_intake import BAD


def messages(count: int = 200) -> list[Message]:
    return [Message(number % 3, number, FAR, payload(f"e{number}", number * 3.0, cost_micros=number)) for number in range(count)]


def truth(given: list[Message]) -> pl.DataFrame:
    return windows(judge(given))


def test_equal_logs_show_no_difference() -> None:
    assert window_differences(truth(messages()), truth(messages())) == []


def test_one_event_dropped_turns_the_oracle_red() -> None:
    (line,) = window_differences(truth(messages()), truth(messages()[1:]))
    assert "events 19 instead of 20" in line


def test_one_event_doubled_turns_the_oracle_red() -> None:
    doubled = [*messages(), Message(0, 999, FAR, payload("another id", 3.0))]
    (line,) = window_differences(truth(messages()), truth(doubled))
    assert "events 21 instead of 20" in line


def test_one_event_in_the_next_window_turns_the_oracle_red() -> None:
    moved = [Message(0, 0, FAR, payload("e0", 60.0)), *messages()[1:]]
    assert len(window_differences(truth(messages()), truth(moved))) == 2


def test_a_rejected_event_that_is_missing_turns_the_oracle_red() -> None:
    verdict = judge([Message(0, 0, FAR, b"{bad")])
    assert rejected_differences(verdict, "logs", []) == ["logs partition 0 offset 0: rejected as None instead of malformed"]


def hostile(count: int, seed: int) -> list[bytes | None]:
    """Everything at once: disorder up to beyond the lateness, twins, the future, poison, names and money at their limits."""
    rng = random.Random(seed)
    poison = list(BAD.values())
    names = ["c", "ünïcode", '"],["', "<b>", "\u202e", "x" * 256, "a\u0000b"]
    given: list[bytes | None] = []
    for number in range(count):
        kind = rng.choice(["impression", "click", "conversion", "purchase", "refund", "cost"])
        seconds = number * 2.0 - (rng.random() * 900 if rng.random() < 0.05 else rng.random() * 5)
        seconds += 400_000_000_000 if rng.random() < 0.01 else 0
        if seconds > 200_000_000_000:
            given.append(payload(f"e{number}", 0, timestamp="9999-12-31T23:59:59Z"))
        elif rng.random() < 0.02:
            given.append(rng.choice(poison))
        else:
            money = rng.choice([{}, {"cost_micros": rng.choice([0, 1, -5, 2**63 - 1, None])}, {"revenue_micros": 10**12}])
            name = f"e{number if rng.random() > 0.03 else rng.randrange(max(0, number - 300), number + 1)}"
            given.append(
                payload(name, seconds, event_type=kind, campaign_id=rng.choice(names), channel=rng.choice(names[:3]), **money)
            )
    given.append(payload("big", 0, note="n" * 70_000))
    return given


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_flow_and_the_oracle_agree_on_a_hostile_log(settings: Settings, tmp_path: Path, seed: int) -> None:
    given = hostile(3000, seed)
    for partition in range(4):
        send(settings, given[partition::4], partition=partition)
    folder = recovery_folder(tmp_path / "recovery")
    with running(settings, tmp_path / "log", "-r", str(folder), "-s", "1", "-b", "0") as flow:
        wait_for(lambda: sum(one.get("read", 0) for one in counters(settings)) == len(given), "the flow to have read it all", 60)
        assert flow.stop() == [0]
    assert differences(settings.brokers, settings.logs_topic, settings.results_topic, settings.rejected_topic) == []
    verdict = judge([message for _, message in read(settings.brokers, settings.logs_topic)])
    names = ("read", "counted", "duplicate", "late", "malformed")
    for partition, shown in enumerate(counters(settings)):
        assert {name: shown[name] for name in names} == {name: verdict.counters[partition][name] for name in names}
