"""The steps between source and sink."""

from __future__ import annotations

from dataflows.operators import panes, result_records
from dataflows.schema import decode_result
from dataflows.settings import Settings
from dataflows.telemetry.flow import Observed
from dataflows.windows import Partial, SourceClock
from tests.records import micros
from tests.test_windows import counts


def test_of_a_batch_one_result_is_measured_and_all_of_them_are_sent_as_they_are() -> None:
    observed = Observed(60)
    logic = panes(Settings(), observed)(None)
    cells = {micros(0): {(name, "x"): counts(1) for name in "abc"}}
    updates, done = logic.on_batch([Partial(0, 1, SourceClock(micros(10), False), cells)])
    assert done is False
    (records,) = map(result_records, updates)
    assert [decode_result(record[1]).campaign_id for record in records] == ["a", "b", "c"]
    assert [record[2:] for record in records] == [(micros(10),), (), ()]
    (figures,) = observed.shards
    assert (figures().open_windows, figures().open_cells) == (1, 3)
