"""The steps between source and sink."""

from __future__ import annotations

from typing import Literal

import pytest

from dataflows.contract.schema import decode_result
from dataflows.contract.settings import Settings
from dataflows.flow.context import FlowContext
from dataflows.flow.operators import panes
from dataflows.windows.shards import Partial
from dataflows.windows.watermark import SourceClock
from tests.support.engines.intakes import KINDS
from tests.support.engines.panes import counts
from tests.support.engines.wire import pack
from tests.support.records import micros


@pytest.mark.parametrize("native", KINDS)
def test_of_a_batch_one_result_is_measured_and_all_of_them_are_sent_as_they_are(native: Literal["on", "off"]) -> None:
    context = FlowContext(Settings(native=native))
    logic = panes(context)(None)
    cells = {(micros(0), 0): pack({(name, "x"): counts(1) for name in "abc"})}
    (records,), done = logic.on_batch([Partial(0, 1, SourceClock(micros(10), False), cells)])
    assert done is False
    assert [decode_result(value).campaign_id for _, value in records.pairs()] == ["a", "b", "c"]
    assert records.waited == (0, micros(10))
    metrics = context.observed.registry()
    assert metrics.get_sample_value("adtally_open_windows") == 1
    assert metrics.get_sample_value("adtally_open_cells", {"topic": "results"}) == 3
