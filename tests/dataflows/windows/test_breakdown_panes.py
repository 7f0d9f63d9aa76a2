"""Panes with several tables: each result goes to its own table, and the rows of a breakdown sum to the results whatever happens."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from msgspec.structs import asdict, replace

from dataflows.contract.constants import SHARDS
from dataflows.contract.metrics import SUMS
from dataflows.contract.schema import STATES, breakdown_codec, decode_result, rfc3339
from dataflows.contract.settings import Settings
from dataflows.flow.engines import Engine
from dataflows.flow.state import load, save
from dataflows.intake.partition import IntakeState
from dataflows.intake.rules import SECOND
from dataflows.windows.panes import Panes, PanesState
from dataflows.windows.shards import split
from dataflows.windows.watermark import SourceClock
from dataflows.wire.records import Records
from tests.support.engines.breakdown_model import SETTINGS, check_equation, expected, make_log, without_zeros
from tests.support.engines.panes import kinds
from tests.support.records import T0, FakeRecord

NOW = T0.timestamp() + 86_400


class Topics:
    """The last value of each key on the topic of each table."""

    def __init__(self, settings: Settings) -> None:
        self._breakdowns = settings.breakdown_list
        self.last: dict[tuple[int, bytes], dict[str, Any]] = {}
        self.rows: dict[Any, dict[str, int]] = {}

    def write(self, records: Iterable[Records]) -> None:
        """Take in records; no value of a key may be older than the one before."""
        for written in records:
            for key, value in written.pairs():
                self._write(written.table, key, value)

    def _write(self, table: int, key: bytes, value: bytes) -> None:
        if table:
            result, values = breakdown_codec(self._breakdowns[table - 1]).decode(value)
        else:
            result, values = decode_result(value), ()
        assert msgspec.json.decode(key) == [result.window_start, result.campaign_id, result.channel, *values, result.currency]
        new, old = asdict(result), self.last.get((table, key))
        if old is not None:
            assert (old["revision"], STATES.index(old["state"])) <= (new["revision"], STATES.index(new["state"]))
        self.last[table, key] = new
        numbers = {name: new[name] for name in SUMS} | {f"counts.{name}": count for name, count in result.counts.items()}
        self.rows[table, result.window_start, (result.campaign_id, result.channel, *values, result.currency)] = numbers


def by_start(sums: dict[Any, dict[str, int]]) -> dict[Any, dict[str, int]]:
    return {(table, rfc3339(window // SECOND), key): cell for (table, window, key), cell in without_zeros(sums).items()}


@pytest.mark.parametrize("every", [1, 7, 1000])
def test_the_rows_of_every_table_are_exact_and_sum_to_the_results_through_restarts_with_either_engine(every: int) -> None:
    both = kinds(SETTINGS)
    logs: list[list[FakeRecord]] = [make_log(300, seed, step=0.5) for seed in (21, 22)]
    topics, now = Topics(SETTINGS), NOW
    intakes = [Engine(both[0]).make_intake(number, IntakeState(), lambda: 0.0) for number in range(2)]
    panes = [Panes(both[0], Engine(both[0]).make_tables()) for _ in range(SHARDS)]
    for poll, start in enumerate(range(0, 300, 20)):
        for partition, intake in enumerate(intakes):
            intake.take(logs[partition][start : start + 20])
            shares, _ = intake.fetch()
            now += 0.3
            for shard, partial in split(partition, 2, SourceClock(intake.clock, idle=False), shares):
                topics.write(panes[int(shard)].take([partial], now))
        if poll % every == every - 1:
            both.reverse()
            panes = [Panes(both[0], Engine(both[0]).make_tables(), resumed(both[0], one)) for one in panes]
        for one in panes:
            topics.write(one.tick(now + 0.1))
    for one in panes:
        topics.write(one.flush(now))
    wanted: dict[Any, dict[str, int]] = {}
    for log in logs:
        for row, cell in expected(log).items():
            into = wanted.setdefault(row, {})
            for name, number in cell.items():
                into[name] = into.get(name, 0) + number
    assert without_zeros(topics.rows) == by_start(wanted)
    check_equation(topics.rows, tables=[1, 2, 3, 4])
    assert {one["state"] for one in topics.last.values()} == set(STATES)


def resumed(settings: Settings, panes: Panes) -> PanesState | None:
    return load(save(panes.state(), settings), PanesState, settings)


def test_without_breakdowns_there_is_one_table_and_figures_are_by_table() -> None:
    for settings in kinds(replace(SETTINGS, breakdowns="")):
        assert len(Engine(settings).make_tables()) == 1
    for settings in kinds(SETTINGS):
        panes = Panes(settings, Engine(settings).make_tables())
        assert panes.figures().cells == (0, 0, 0, 0, 0)
