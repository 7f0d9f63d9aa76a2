"""The oracle must turn red, and say why, when one thing in the flow is wrong; and stay green for the flow as it is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.settings import own_names
from tests.system.mutants.run import CONTROL, MUTANTS, REFERENCE
from tests.system.mutants.scenarios import SCENARIOS, Trial, in_order
from tests.system.mutants.stock import FLOWS

OTHER = r"results: .* events (\d+|None) instead of \d+"
"""A cell with another number of events."""

ROW = r"breakdown: .* events (\d+|None) instead of (\d+|None)"
"""A row of a breakdown with another number of events."""


@dataclass(frozen=True)
class Case:
    """A mutant, the scenario in which it does harm, what the oracle must say of it, and the kinds of difference that come of it."""

    mutant: str
    scenario: str
    line: str
    kinds: str


CASES = [
    Case("one event dropped", "undisturbed", OTHER, "results"),
    Case("one event doubled", "undisturbed", OTHER, "results"),
    Case("one event in the next window", "undisturbed", OTHER, "results"),
    Case("rounded into the next window", "undisturbed", r"results: .* edge .* events None instead of 1", "results"),
    Case(
        "money as float",
        "undisturbed",
        r"results: .* big .* spend_micros 9007199254740992 instead of 9007199254740993",
        "results",
    ),
    Case("ratio without its thousand", "undisturbed", r"record: .* cpm", "record"),
    Case("revision is not the events", "undisturbed", r"record: .* revision \d+ of \d+ events", "record"),
    Case("keys joined by a bar", "undisturbed", r"record: .* the key is not", "record history results"),
    Case("late by the wall clock", "undisturbed", r"rejected: .* as late instead of None", "rejected counters results state"),
    Case("repeats are not recognised", "undisturbed", r"counters: .* duplicate 0 instead of \d+", "results counters"),
    Case("counters off by one", "undisturbed", r"counters: .* counted \d+ instead of \d+", "counters"),
    Case("rejected events are dropped", "undisturbed", r"rejected: .* as None instead of (malformed|late)", "rejected"),
    Case("rejected events are not kept as they came", "undisturbed", r"rejected: .* payload 'bad' instead of '{bad'", "rejected"),
    Case("admission by arrival over all partitions", "broken_down", ROW, "breakdown"),
    Case("one cell more is admitted", "broken_down", ROW, "breakdown"),
    Case("one bound for all windows", "broken_down", ROW, "breakdown"),
    Case("admission ignores the currency", "broken_down", ROW, "breakdown"),
    Case("a cell of nulls takes no place", "broken_down", ROW, "breakdown"),
    Case("a repeat takes a place", "broken_down", ROW, "breakdown"),
    Case("admitted cells are empty after a restart", "broken_down_and_killed", ROW, "breakdown history"),
    Case(
        "a row that is not admitted keeps its first value",
        "broken_down",
        r"record: ad .* true in all of them",
        "record breakdown",
    ),
    Case("currency is not in the key", "broken_down", r"results: .* EUR: .* events None instead of \d+", "results breakdown"),
    Case(
        "an undeclared type is accepted",
        "broken_down",
        r"rejected: .* as None instead of malformed",
        "rejected counters results breakdown record",
    ),
    Case("a role adds nothing", "broken_down", r"results: .* conversions 0 instead of \d+", "results breakdown"),
    Case(
        "records have the header of another version", "broken_down", r"record: .* header adtally-contract b'1'", "record rejected"
    ),
    Case(
        "late by the clock of other partitions",
        "paces",
        r"rejected: partition 0 .* as late instead of None",
        "rejected counters results state",
    ),
    Case(
        "watermark ignores the slowest partition",
        "paces",
        r"state: .* is (final|corrected), but the watermark has not reached its end",
        "state",
    ),
    Case("stock fold_window", "backlog", OTHER, "results counters state"),
    Case(
        "windows go without the idle partitions", "returning", r"history: .* ends at revision \d+, after \d+", "history results"
    ),
    Case("resumes one message early", "killed", r"counters: .* read \d+ instead of \d+", "results counters"),
    Case("resumes one message late", "killed", OTHER, "results counters"),
    Case("index of ids is empty after a restart", "killed", r"counters: .* duplicate \d+ instead of \d+", "results counters"),
    Case("counters restart from zero", "killed", r"counters: .* read \d+ instead of \d+", "counters"),
    Case("windows restart from zero", "killed", r"history: .* ends at revision \d+, after \d+", "history results"),
    Case("stop leaves the last updates unsaid", "stopped", OTHER, "results"),
    Case("stop discards the windows", "stopped", OTHER, "history results"),
    Case("snapshot before the acknowledgements", "unsent", OTHER, "results"),
    Case("stock KafkaSink", "refused", OTHER, "results"),
    Case("sink without delivery callbacks", "refused", OTHER, "results"),
]

IN_PYTHON = [Case(REFERENCE, name, "", "") for name in ("broken_down", "broken_down_and_killed")]
CI_ONLY = pytest.mark.kafka  # most need no Kafka, but minutes
IN_EACH_RUN = {"one event dropped", CONTROL}


def cases() -> list[object]:
    """Each scenario with the flow as it is, and each mutant in its own; all but two of them only where there is time."""
    return [
        pytest.param(
            case,
            id=f"{case.mutant} - {case.scenario}",
            marks=() if case.mutant in IN_EACH_RUN and case.scenario == "undisturbed" else CI_ONLY,
        )
        for case in [*(Case(CONTROL, name, "", "") for name in SCENARIOS), *IN_PYTHON, *CASES]
    ]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("case", cases())
def test_the_oracle_names_what_is_wrong_and_nothing_else(request: pytest.FixtureRequest, tmp_path: Path, case: Case) -> None:
    # Only a real broker can be configured to refuse records.
    brokers: str = request.getfixturevalue("real_kafka" if case.scenario == "refused" else "embedded_broker")
    with Trial(own_names(brokers), tmp_path, case.mutant) as trial:
        found = SCENARIOS[case.scenario](trial)
    assert "Traceback" not in trial.output()
    assert trial.codes[-1] == 0, trial.output()
    assert {one.partition(":")[0] for one in found} <= set(case.kinds.split()), found[:20]
    if case.mutant not in (CONTROL, REFERENCE):
        assert any(re.match(case.line, one) for one in found), found[:20]
    elif case.scenario == "refused":
        # What the mutants of the sink pass over in silence.
        assert trial.codes == [1, 0]
        assert "the broker refused a record" in trial.output()


@CI_ONLY
def test_the_stock_fold_window_is_red_for_its_clock_alone(tmp_path: Path, embedded_broker: str) -> None:
    with Trial(own_names(embedded_broker), tmp_path, "stock fold_window") as trial:
        found = in_order(trial)
    assert [one for one in found if one.startswith(("results", "record"))] == []


def test_every_mutant_has_its_case() -> None:
    assert sorted(case.mutant for case in CASES) == sorted([*MUTANTS, *FLOWS])
    assert {case.scenario for case in CASES} == set(SCENARIOS)
