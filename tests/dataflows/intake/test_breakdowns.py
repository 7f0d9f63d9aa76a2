"""Breakdowns in the intake: which cells an event counts in, which are admitted, and that a refill restores them exactly."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from dataflows.contract.settings import Settings
from dataflows.flow.engines import Engine
from dataflows.intake.admission import AdmissionCounts, Admissions
from dataflows.intake.partition import Intake, IntakeState
from dataflows.kafka.record import Record
from dataflows.wire.cell_bytes import Share
from tests.support.engines.breakdown_model import SETTINGS, Sums, check_equation, expected, make_log, rows_of, without_zeros
from tests.support.engines.intakes import KINDS
from tests.support.records import FakeRecord, log, micros, payload


@pytest.fixture(params=KINDS)
def settings(request: pytest.FixtureRequest) -> Settings:
    return replace(SETTINGS, native=request.param)


def make_intake(settings: Settings, state: IntakeState | None = None) -> Intake:
    return Engine(settings).make_intake(0, state or IntakeState(), lambda: 0.0)


def counted(intake: Intake, records: Sequence[Record], chunk: int = 300) -> list[Share]:
    """Have `records` counted; return the shares."""
    shares: list[Share] = []
    for start in range(0, len(records), chunk):
        intake.take(records[start : start + chunk])
        own, rejected = intake.fetch()
        assert all(record.reason == "late" for record in rejected), rejected[0].detail
        shares += own
    return shares


def restarted(settings: Settings, intake: Intake, records: Sequence[FakeRecord], offset: int, chunk: int) -> Intake:
    """Return an intake that resumes at `offset` from the state of `intake`."""
    again = make_intake(settings, intake.state())
    begin = again.rewind()
    for place in range(offset if begin is None else begin, offset, chunk):
        again.refill(records[place : min(place + chunk, offset)])
    again.resume()
    return again


def admission_counts(sums: Sums) -> list[AdmissionCounts]:
    """Return what the breakdowns 1 to 4 of a partition with the cells `sums` have admitted and refused."""
    return [
        AdmissionCounts(
            admitted_cells=sum(True not in key for of_table, _, key in sums if of_table == table),
            full_windows=len({window for of_table, window, key in sums if of_table == table and True in key}),
            other_events=sum(cell["events"] for (of_table, _, key), cell in sums.items() if of_table == table and True in key),
        )
        for table in (1, 2, 3, 4)
    ]


def added(*intakes: Intake) -> list[AdmissionCounts]:
    """Return the sums of the counts of several processes, each of which begins at 0."""
    fields = AdmissionCounts.__struct_fields__
    counts = [intake.admission_counts() for intake in intakes]
    return [AdmissionCounts(*[sum(getattr(one, field) for one in of) for field in fields]) for of in zip(*counts, strict=True)]


def same(found: Sums, wanted: Sums) -> bool:
    return without_zeros(found) == without_zeros(wanted)


@pytest.mark.parametrize("dedup", [True, False])
@pytest.mark.parametrize("bound", [1, 7, 10_000])
def test_every_cell_of_every_table_has_the_sums_of_the_model(settings: Settings, bound: int, dedup: bool) -> None:
    settings = replace(settings, breakdown_cells=bound, dedup=dedup)
    records = make_log(600, seed=bound)
    intake = make_intake(settings)
    found = rows_of(counted(intake, records, chunk=37))
    assert same(found, expected(records, settings))
    assert intake.admission_counts() == admission_counts(found)
    check_equation(found, tables=[1, 2, 3, 4])
    assert any(True in key for _, _, key in found) == (bound < 10_000)


@pytest.mark.parametrize("dedup", [True, False])
def test_a_restart_at_any_point_changes_no_cell(settings: Settings, dedup: bool) -> None:
    settings = replace(settings, dedup=dedup, breakdown_cells=3)
    records = make_log(160, seed=5, step=0.7)
    wanted = expected(records, settings)
    for cut in range(0, len(records), 3):
        before = make_intake(settings)
        shares = counted(before, records[:cut], chunk=11)
        after = restarted(settings, before, records, cut, chunk=1 + cut % 9)
        shares += counted(after, records[cut:], chunk=13)
        assert same(rows_of(shares), wanted), cut
        assert added(before, after) == admission_counts(wanted), cut
        assert repr(after.counters) == repr(restarted(settings, after, records, len(records), chunk=50).counters)


def test_restarts_one_after_the_other_change_no_cell(settings: Settings) -> None:
    settings = replace(settings, breakdown_cells=2)
    records = make_log(300, seed=9, step=0.4)
    intakes, shares = [make_intake(settings)], []
    for cut in range(0, len(records), 17):
        intakes.append(restarted(settings, intakes[-1], records, cut, chunk=5))
        shares += counted(intakes[-1], records[cut : cut + 17])
    wanted = expected(records, settings)
    assert same(rows_of(shares), wanted)
    assert added(*intakes) == admission_counts(wanted)


def test_only_counted_events_take_a_place_and_a_cell_of_nulls_takes_one_like_any_other(settings: Settings) -> None:
    settings = replace(settings, breakdowns="device", breakdown_cells=2)
    values = [
        payload("a"),  # the first place: null
        payload("a", device="twin"),
        payload("bad", device=5),
        payload("b", device="x"),
        payload("c", device="y"),
        payload("d", device="x"),
        payload("e"),
        payload("f", campaign_id="d", device="x"),
        payload("g", currency="EUR", device="x"),
    ]
    intake = make_intake(settings)
    intake.take(log(*values))
    shares, rejected = intake.fetch()
    assert [record.offset for record in rejected] == [2]
    found = {key: cell["events"] for (table, _, key), cell in rows_of(shares, settings).items() if table == 1}
    assert found == {
        ("c", "search", None, "USD"): 2,
        ("c", "search", "x", "USD"): 2,
        ("c", "search", True, "USD"): 1,
        ("d", "search", True, "USD"): 1,
        ("c", "search", True, "EUR"): 1,
    }


def test_a_row_that_is_not_admitted_has_true_in_every_value_and_a_text_stays_a_text(settings: Settings) -> None:
    settings = replace(settings, breakdowns="ad=adgroup_id,ad_id", breakdown_cells=1)
    values = [payload("a", adgroup_id="(other)", ad_id="true"), payload("b", adgroup_id="(other)"), payload("c", ad_id="true")]
    found = rows_of(counted(make_intake(settings), log(*values)), settings)
    assert {key[2:4]: cell["events"] for (table, _, key), cell in found.items() if table} == {
        ("(other)", "true"): 1,
        (True, True): 2,
    }


def test_a_declared_type_without_a_declaration_is_malformed(settings: Settings) -> None:
    intake = make_intake(replace(settings, event_types="lead"))
    intake.take(log(payload("a", event_type="lead"), payload("b", event_type="leads"), payload("c", event_type="Lead")))
    rejected = intake.fetch()[1]
    assert [record.offset for record in rejected] == [1, 2]
    assert "`event_type` is 'leads'; it must be one of impression, click" in rejected[0].detail
    assert ", lead (ADTALLY_EVENT_TYPES" in rejected[0].detail


def test_a_field_is_validated_where_it_is_a_dimension_or_a_breakdown_names_it_and_only_there(settings: Settings) -> None:
    values = [
        payload("a", device=""),
        payload("b", Größe=["L"]),
        payload("c", other={"x": 1}),
        payload("d", keyword="k" * 257),
        payload("e", Größe=None),
        payload("f", currency="usd"),
        payload("g")[:-1] + b',"device":5,"device":"phone"}',
    ]
    intake = make_intake(settings)
    intake.take(log(*values))
    shares, rejected = intake.fetch()
    assert [record.offset for record in rejected] == [0, 1, 3, 5]
    found = {key[2]: cell["events"] for (table, _, key), cell in rows_of(shares).items() if table == 2}
    assert found == {None: 2, "phone": 1}


@pytest.mark.long
def test_a_hundred_thousand_values_in_a_minute_take_no_more_than_their_places(settings: Settings) -> None:
    settings = replace(settings, breakdowns="keyword", breakdown_cells=10_000, window_seconds=60)
    values = [payload(f"e{number}", number % 50, keyword=f"k{number}", cost_micros=3) for number in range(100_000)]
    found = rows_of(counted(make_intake(settings), log(*values), chunk=1000), settings)
    check_equation(found, tables=[1])
    assert len([row for row in found if row[0] == 1]) == 10_001
    assert found[1, micros(0), ("c", "search", True, "USD")]["events"] == 90_000


def test_admitted_cells_are_dropped_once_their_window_can_get_no_more_events() -> None:
    admissions = Admissions(bound=10, horizon=100)
    for window in range(0, 1000, 10):
        admissions.admit(window, 1, ("c", "s", str(window), "USD"), clock=window)
    assert len(admissions) == 10
