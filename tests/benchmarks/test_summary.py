"""The evaluation of benchmark runs: slopes, ratios, exactness, tables, the guard's verdict."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from benchmarks.bench import rows
from benchmarks.drain import cell, window_start
from benchmarks.flame import share
from benchmarks.guard import verdict
from benchmarks.latency import judged, rfc3339_ms
from benchmarks.picture import chart
from benchmarks.session import numbers
from benchmarks.summary import HEAD, DrainRun, Spread, SystemRow, cells, check, pairs, percentile, row, slope, table
from benchmarks.workload import FLUSH, Truth

ANY = DrainRun("adtally", 1, 1_000_000, 3.0, 1.0, 4.0, 1.0, 100 << 20, 1_000_000, 0, 0)
KEY = ("2026-01-01T00:00:00Z", "one", "search")


def runs(system: str, start: float, million: float, rounds: int = 3) -> list[DrainRun]:
    """Runs of a system that needs `start` CPU-seconds and then `million` a million, each round a tenth more than the one before."""
    return [
        replace(ANY, system=system, round=number, events=size, counted=size, cpu=start + million * (1 + number / 10) * size / 1e6)
        for number in range(rounds)
        for size in (1_000_000, 4_000_000)
    ]


def test_the_slope_leaves_out_the_start() -> None:
    line = row("adtally", runs("adtally", 5.0, 2.0), runs("loop", 0.5, 1.0))
    assert line.cpu is not None
    assert line.cpu.median == pytest.approx(2.2)
    assert (line.cpu.least, line.cpu.greatest) == (pytest.approx(2.0), pytest.approx(2.4))
    assert line.startup is not None
    assert line.startup.median == pytest.approx(5.0)


def test_the_rate_once_warm_leaves_out_the_start_too() -> None:
    small, large = replace(ANY, wall=3.0), replace(ANY, events=4_000_000, counted=4_000_000, wall=5.0)
    line = row("adtally", [small, large], [])
    assert line.warm == Spread(1_500_000, 1_500_000, 1_500_000)
    assert line.rate.median == 800_000
    assert cells(line)[-3:-1] == ["800,000", "1,500,000"]
    assert row("adtally", [small, replace(large, wall=3.0)], []).warm is None, "the machine was disturbed"


def test_the_ratio_is_to_the_loop_of_the_same_round() -> None:
    line = row("adtally", runs("adtally", 5.0, 2.0), runs("loop", 0.5, 1.0))
    assert line.ratio is not None
    assert (line.ratio.least, line.ratio.greatest) == (pytest.approx(2.0), pytest.approx(2.0))


def test_a_round_with_one_size_has_no_slope_and_a_loop_that_was_not_run_no_ratio() -> None:
    assert pairs([ANY, replace(ANY, round=2), replace(ANY, round=2, events=2_000_000)]).keys() == {2}
    line = row("adtally", [ANY], [])
    assert (line.cpu, line.ratio, line.startup) == (None, None, None)
    assert cells(line)[1:3] == ["–", "–"]


def test_the_brokers_slope_is_its_own() -> None:
    assert slope(ANY, replace(ANY, events=3_000_000, broker_cpu=2.0), broker=True) == pytest.approx(0.5)


def test_results_are_exact_only_if_every_cell_is() -> None:
    truth = Truth({KEY: [2, 1, 0, 30, 0], (*KEY[:2], "email"): [0, 0, 1, 0, 9]})
    right = {KEY: (2, 1, 0, 30, 0), (*KEY[:2], "email"): (0, 0, 1, 0, 9), (KEY[0], FLUSH, "search"): (1, 0, 0, 0, 0)}
    assert check(truth, right) == (4, 0, 0)
    assert check(truth, {**right, KEY: (2, 1, 0, 31, 0)}) == (4, 0, 1)
    assert check(truth, {KEY: right[KEY]}) == (3, 1, 1)
    assert check(truth, {**right, (*KEY[:2], "video"): (3, 0, 0, 0, 0)}) == (7, -3, 1)


@pytest.mark.parametrize(
    "wrong", [replace(ANY, lost=1), replace(ANY, wrong=1), replace(ANY, lost=-1), replace(ANY, oracle=["results: …"])]
)
def test_one_run_that_is_not_exact_spoils_its_row(wrong: DrainRun) -> None:
    assert row("adtally", [ANY, replace(ANY, oracle=[])], []).exact
    assert not row("adtally", [ANY, wrong], []).exact
    assert cells(row("adtally", [ANY, wrong], []))[-1].startswith("NO")


def test_a_row_for_each_system_in_the_order_of_the_runs() -> None:
    assert [line.system for line in rows([*runs("loop", 1, 1), *runs("naive", 1, 1), *runs("adtally", 1, 1)])] == [
        "loop",
        "naive",
        "adtally",
    ]


def test_the_columns_of_a_table_line_up() -> None:
    lines = table(HEAD, [cells(row("adtally", runs("adtally", 5, 2), []))]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[0].count("|") == len(HEAD) + 1


def test_the_picture_is_xml_with_a_bar_for_each_row_and_escapes_names() -> None:
    drawn = chart([row("a<b", runs("a<b", 5, 2), []), row("loop", runs("loop", 1, 1), [])], "sizes & rounds")
    root = ET.fromstring(drawn)
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"a<b", "loop", "sizes & rounds"} <= set(texts)


def guarded(ratio: float, *, lost: int = 0) -> list[SystemRow]:
    """Rows with adtally at this ratio to the loop."""
    ours = [replace(run, lost=lost) for run in runs("adtally", 1.0, ratio)]
    return rows([*runs("loop", 1.0, 1.0), *ours])


def test_the_guard_fails_only_for_a_high_ratio_or_inexact_results() -> None:
    assert verdict(guarded(3.9), 2.0) == ""
    assert "4.10 times" in verdict(guarded(4.1), 2.0)
    assert "not exact" in verdict(guarded(1.0, lost=5), 2.0)
    assert "no ratio" in verdict(rows(runs("loop", 1.0, 1.0)), 2.0)


@pytest.mark.parametrize(
    ("given", "start"),
    [
        ("2026-01-01T00:01:00Z", "2026-01-01T00:01:00Z"),
        ("2026-01-01T00:01", "2026-01-01T00:01:00Z"),
        ("2026-01-01 00:01:00.000", "2026-01-01T00:01:00Z"),
        (1767225660000, "2026-01-01T00:01:00Z"),
    ],
)
def test_the_window_start_of_every_system_is_understood(given: object, start: str) -> None:
    assert window_start(given) == start


def test_a_result_is_read_with_either_names_of_the_money_fields() -> None:
    named = {"window_start": KEY[0], "campaign_id": "one", "channel": "search", "impressions": 1, "clicks": 2, "conversions": 3}
    ours = cell({**named, "spend_micros": 4, "revenue_micros": 5})
    assert ours == cell({**named, "cost_micros": 4, "revenue_micros": 5}) == (KEY, (1, 2, 3, 4, 5))


def test_a_lag_runs_from_the_events_creation_to_the_first_result_that_counts_it() -> None:
    begun = 1_767_225_600.0 - 30  # half a minute before a minute begins
    minute = int(begun) + 30
    probes = {minute: [minute + 0.25, minute + 0.5, minute + 0.75]}
    last = minute + 65.1
    seen = {rfc3339_ms(minute * 1000)[:19] + "Z": [(minute + 0.35, 1), (minute + 1.0, 2), (last, 2)]}
    lag = judged("x", 5000, probes, seen=seen, begun=begun, end=begun + 150, warm=25, behind=[0.001])
    assert (lag.probes, lag.lost) == (2, 1)
    assert (lag.p50, lag.p99) == (500.0, 500.0)
    assert (lag.finals, lag.final) == (1, 100.0)


def test_probes_of_the_warm_up_and_of_the_end_do_not_count() -> None:
    lag = judged("x", 5000, {0: [1.0, 30.0, 95.0]}, seen={}, begun=0.0, end=100.0, warm=25, behind=[])
    assert (lag.probes, lag.lost, lag.p50, lag.behind) == (0, 1, None, None)


def test_percentiles_are_of_the_nearest_rank() -> None:
    assert percentile([], 0.5) is None
    assert (percentile([3, 1, 2], 0.5), percentile(range(100), 0.99), percentile([5], 1)) == (2, 99, 5)


def test_spreads_and_sizes() -> None:
    assert str(Spread.of([3.0, 1.0, 2.0])) == "2.00 (1.00–3.00)"
    assert numbers("200k, 1.5M 7") == [200_000, 1_500_000, 7]


def test_the_share_of_a_raw_profile() -> None:
    assert share(["a;b 300", "c 100", ""], seconds=4, rate=200) == 0.5
