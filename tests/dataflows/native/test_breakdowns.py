"""The native intake counts breakdowns, declared types and currencies like the one in Python, also when it resumes."""

from __future__ import annotations

from typing import Literal

import pytest

from dataflows.contract.metrics import Metrics
from dataflows.contract.settings import Settings
from dataflows.intake.partition import IntakeState
from dataflows.intake.rules import Rules
from tests.support.engines.breakdown_logs import breakdown_log, counted, outcomes, totals
from tests.support.engines.intakes import KINDS, intake_kind
from tests.support.records import log, micros, payload


@pytest.mark.native
def test_both_intakes_make_the_same_of_breakdowns_declared_types_and_currencies() -> None:
    for seed, (python, c) in enumerate(zip(counted("off"), counted("on"), strict=True)):
        assert c == python, f"the log of seed {seed}"


@pytest.mark.parametrize("choice", KINDS)
def test_restarts_change_no_cell(choice: Literal["on", "off"]) -> None:
    for seed in range(40, 44):
        given = breakdown_log(seed, 600)
        kind = intake_kind(choice)
        assert totals(outcomes(kind, given, seed)) == totals(outcomes(kind, given, seed, restarts=False)), (
            f"the log of seed {seed}"
        )


@pytest.mark.parametrize("choice", KINDS)
def test_the_rows_of_a_breakdown_add_up_to_the_main_cell_and_are_bounded(choice: Literal["on", "off"]) -> None:
    for seed in range(60, 63):
        given = breakdown_log(seed)
        main: dict[object, Metrics] = {}
        broken_down: dict[object, Metrics] = {}
        admitted: dict[tuple[int, int], int] = {}
        declared = [0] * len(given.rules.declared)
        for (shard, window, table, key), own in totals(outcomes(intake_kind(choice), given, seed)).items():
            for of in range(1, len(given.rules.breakdowns) + 1) if table == 0 else [table]:
                cells = broken_down if table else main
                cells.setdefault((shard, window, of, *key[:2], key[-1]), Metrics(declared=[*declared])).merge(own)
            if table and True not in key:
                admitted[window, table] = admitted.get((window, table), 0) + 1
        assert main == broken_down
        assert max(admitted.values(), default=0) <= given.rules.breakdown_cells


@pytest.mark.native
def test_a_hundred_thousand_values_in_a_minute_take_no_more_memory_than_the_bound_allows() -> None:
    rules = Rules.of(Settings(breakdowns="sku", breakdown_cells=100, dedup=False))
    intake = intake_kind("on")(rules, "logs", 0, IntakeState(), now=lambda: 0.0)
    for first in range(0, 100_000, 1000):
        intake.take(log(*[payload(sku=f"{number:08}" * 30) for number in range(first, first + 1000)]))
    shares, _ = intake.fetch()
    (cells,) = [share.cells for share in shares if share.table == 1]
    found = dict(rules.formats()[1].unpack(cells))
    assert len(found) == 101
    assert found["c", "search", True, "USD"].events == 100_000 - 100
    assert {share.window for share in shares} == {micros(0)}
