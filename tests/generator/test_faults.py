"""Injected faults: in the shares that were asked for, each really what it is called, and everything around them unchanged."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pytest

from dataflows.contract.schema import event_decoder, to_micros
from dataflows.contract.settings import Settings
from generator.batches import Mark, Message
from generator.synthetic.events import Plan, Synthetic
from generator.synthetic.faults import KINDS, WARM_UP, Faults, Injector

NOON = 1_767_268_800_000_000
COUNT = 20_000
DECODE = event_decoder().decode
MALFORMED = (msgspec.DecodeError, UnicodeDecodeError)


def run(
    settings: Settings | None = None, rate: float = 20.0, **faults: float
) -> tuple[list[Message], dict[int, Mark], list[int]]:
    """Messages, their marks by index, and the slots at which they are due."""
    plan = Plan(seed=7, start=NOON, rate=rate, count=COUNT, faults=Faults(**faults))
    source = Synthetic(plan, Injector(plan.faults, plan.seed, rate, settings or Settings()))
    messages, marks, due = list[Message](), dict[int, Mark](), list[int]()
    for batch in source.batches():
        marks |= {len(messages) + index: mark for index, mark in batch.marks.items()}
        messages += batch.messages
        due += batch.due
    return messages, marks, due


def accepted(value: str | bytes) -> bool:
    try:
        DECODE(value)
    except MALFORMED:
        return False
    return True


def test_without_faults_nothing_is_marked_and_time_ascends() -> None:
    messages, marks, due = run()
    times = [to_micros(DECODE(value).timestamp) for _, value in messages]
    assert not marks
    assert times == due == sorted(times)


def test_malformed_messages_are_those_that_the_contract_refuses() -> None:
    messages, marks, _ = run(malformed=0.03)
    refused = {index for index, (_, value) in enumerate(messages) if not accepted(value)}
    assert refused == set(marks)
    assert len(refused) / COUNT == pytest.approx(0.03, abs=0.005)


def test_every_kind_of_malformed_is_malformed_and_one_line() -> None:
    ((_, value), *_), _, _ = run()
    assert isinstance(value, str)
    event = msgspec.json.decode(value, type=dict[str, Any])
    for kind, broken in KINDS.items():
        payload = broken(dict(event), value.encode())
        assert not accepted(payload), kind
        assert b"\n" not in payload, kind


def test_the_malformed_are_of_many_kinds() -> None:
    messages, marks, _ = run(malformed=0.03)
    said = Counter[str]()
    for index in marks:
        with pytest.raises(MALFORMED) as caught:
            DECODE(messages[index][1])
        said[str(caught.value)[:40]] += 1
    assert len(said) > 12


def test_a_deployment_in_euros_gets_no_malformed_event_that_is_right_there() -> None:
    plan = Plan(seed=7, start=NOON, count=5_000, currency="EUR", currencies=("EUR",), faults=Faults(malformed=0.2))
    source = Synthetic(plan, Injector(plan.faults, 7, 20.0, Settings(currency="EUR")))
    decode = event_decoder().decode
    for batch in source.batches():
        for index, (_, value) in enumerate(batch.messages):
            if index in batch.marks:
                with pytest.raises(MALFORMED):
                    decode(value)
            else:
                decode(value)


def test_duplicates_repeat_an_earlier_message_byte_for_byte() -> None:
    messages, marks, due = run(duplicates=0.05)
    where: dict[Message, int] = {}
    for index, message in enumerate(messages):
        if marks.get(index) == "duplicates":
            # … of the last half minute, in which every deployment still recognises it.
            assert due[index] - due[where[message]] <= 35_000_000
        else:
            assert message not in where
            where[message] = index
    assert len(marks) / COUNT == pytest.approx(0.05, abs=0.006)


@pytest.mark.parametrize("settings", [Settings(), Settings(window_seconds=600, allowed_lateness_seconds=1200.0)])
def test_late_events_are_beyond_the_allowed_lateness_of_the_deployment(settings: Settings) -> None:
    messages, marks, due = run(settings, late=0.02)
    horizon = settings.window_seconds + settings.allowed_lateness_seconds + settings.out_of_order_seconds
    for index, (_, value) in enumerate(messages):
        behind = (due[index] - to_micros(DECODE(value).timestamp)) / 1e6
        assert behind > horizon if index in marks else behind == 0
    assert min(marks) >= WARM_UP
    assert len(marks) / COUNT == pytest.approx(0.02, abs=0.004)


def test_events_out_of_order_lie_behind_by_no_more_than_asked() -> None:
    messages, marks, due = run(disorder=0.1, disorder_seconds=4.0)
    behind = [due[index] - to_micros(DECODE(value).timestamp) for index, (_, value) in enumerate(messages)]
    moved = [late for late in behind if late]
    assert not marks
    assert len(moved) / COUNT == pytest.approx(0.1, abs=0.01)
    assert 3_500_000 < max(moved) <= 4_000_000
    assert min(moved) >= 0


def test_faults_leave_the_messages_around_them_as_they_were() -> None:
    plain, _, _ = run()
    faulty, marks, _ = run(malformed=0.02, duplicates=0.02)
    assert marks
    assert all(plain[index] == faulty[index] for index in range(COUNT) if index not in marks)


def test_all_faults_together_are_counted_apart() -> None:
    _, marks, _ = run(disorder=0.05, duplicates=0.01, late=0.01, malformed=0.01)
    found = Counter(marks.values())
    assert all(found[mark] / COUNT == pytest.approx(0.01, abs=0.003) for mark in ("duplicates", "late", "malformed"))
