"""The benchmark of breakdowns: events with values, one load for each size at the same rate, and ratios to the run without any."""

from __future__ import annotations

import json

import pytest

from benchmarks.breakdowns import parts
from benchmarks.breakdowns.cost import loads, system, table
from benchmarks.summary import DrainRun
from benchmarks.workload import DIMENSIONS, Load, Truth, messages


def run(count: int, number: int, events: int, cpu: float) -> DrainRun:
    return DrainRun(f"{count} breakdowns", number, events, cpu, 0.0, 1.0, 0.5, 2**20, events, 0, 0)


def test_an_event_of_a_load_with_values_has_one_in_each_dimension() -> None:
    given = [json.loads(payload) for _, payload in messages(Load(2000, values=3), Truth())]
    assert {event["device"] for event in given if "device" in event} == {"device-0000", "device-0001", "device-0002"}
    assert len({tuple(event.get(field, "") for field in DIMENSIONS) for event in given}) == 3**3 + 1
    assert all(
        set(DIMENSIONS) - set(event) == set(DIMENSIONS) for event in (json.loads(one[1]) for one in messages(Load(9), Truth()))
    )


def test_a_larger_load_covers_more_minutes_at_the_same_rate() -> None:
    assert [load.minutes for load in loads([600_000, 2_400_000], 5000, 50, 20)] == [2, 8]


def test_each_line_has_its_slope_and_what_each_breakdown_costs_more_than_none() -> None:
    runs = {
        count: [run(count, number, events, 0.5 + events * cost) for number in (1, 2) for events in (10**6, 3 * 10**6)]
        for count, cost in ((0, 1e-6), (2, 1.2e-6))
    }
    lines = [line.split("|") for line in table(runs).splitlines()]
    none, two = ([cell.strip() for cell in line] for line in lines if "1." in "".join(line) and "–" in "".join(line))
    assert none[2:5] == ["1.00 (1.00–1.00)", "1.00 (1.00–1.00)", "–"]
    assert two[2:5] == ["1.20 (1.20–1.20)", "1.20 (1.20–1.20)", "+10"]


def test_a_system_declares_the_first_dimensions() -> None:
    assert system(0, "on").settings == {"breakdowns": "", "native": "on"}
    assert system(2, "off").settings == {"breakdowns": "device;country", "native": "off"}


def test_the_parts_are_measured_with_each_number_of_breakdowns(capsys: pytest.CaptureFixture[str]) -> None:
    assert parts.main(["--events", "2000", "--rounds", "1"]) == 0
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in lines[2:]] == ["0", "1", "2", "3"]
    cells = [int(line[4].replace(",", "")) for line in lines[2:]]
    assert cells == sorted(cells) != [cells[0]] * 4
