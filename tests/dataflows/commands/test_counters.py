from __future__ import annotations

from pathlib import Path

import pytest

from dataflows.commands.counters import Progress, progress, table
from dataflows.contract.errors import BrokerError
from dataflows.contract.settings import Settings
from dataflows.flow.progress import CommittedCounters
from tests.support.flows import ANSWER_SECONDS, recovery_folder, running, send, wait_for
from tests.support.records import payload


def test_the_counters_of_a_running_flow_are_shown_with_offset_and_lag(settings: Settings, tmp_path: Path) -> None:
    send(settings, [payload("a", 0), payload("a", 0), b"{bad"], partition=1)
    folder = recovery_folder(tmp_path / "recovery")
    with running(settings, tmp_path / "log", "-r", str(folder), "-s", "1", "-b", "0"):
        row = wait_for(
            lambda: next((row for row in progress(settings, ANSWER_SECONDS) if row.shown.read == 3), None), "the counters"
        )
    assert (row.partition, row.offset, row.end, row.lag) == (1, 3, 3, 0)
    assert (row.shown.counted, row.shown.duplicate, row.shown.malformed) == (1, 1, 1)
    assert row.shown.adds_up()


def test_counters_that_do_not_add_up_are_reported() -> None:
    assert not CommittedCounters(read=3, counted=1, late=1).adds_up()


def test_the_table_sums_the_partitions() -> None:
    text = table([Progress(0, 5, 7, CommittedCounters(read=5, counted=5)), Progress(1, None, 1000, CommittedCounters())])
    assert text.splitlines()[-1].split() == ["all", "1,002", "5", "5", "0", "0", "0", "0", "0"]


def test_a_broker_that_does_not_answer_is_an_error() -> None:
    with pytest.raises(BrokerError):
        progress(Settings(brokers="127.0.0.1:1"), timeout=0.5)
