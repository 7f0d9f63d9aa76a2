"""The same log read by an engine's intake and by the oracle, in one form."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise

from dataflows.contract.schema import Rejected, rfc3339
from dataflows.contract.settings import Settings
from dataflows.intake.partition import Intake, IntakeState
from dataflows.intake.rules import Rules
from dataflows.wire.cell_bytes import Share
from tests.support.records import FAR, FakeRecord
from tests.system.oracle.hostile import EVENT_TYPES
from tests.system.oracle.judge import Message, judge, windows
from tests.system.oracle.sums import KEY, SUMS, columns, written
from tests.system.oracle.terms import terms_of

DEPLOYMENT = Settings(
    breakdowns="ad=adgroup_id,ad_id;device;own=shelf,order_id,e\u0301;all=event_type,click_id",
    breakdown_cells=2,
    event_types=EVENT_TYPES,
    currency="CHF",
)
"""With fields of the contract and others, in one breakdown and in two, and few places."""

Judged = tuple[dict[str, int], dict[int, str], dict[tuple[object, ...], list[int]]]
"""Counters, the reasons of what is rejected by its offset, and the sums of each cell of each table."""


def by_the_engine(given: list[bytes | None], kind: type[Intake], deployment: Settings = DEPLOYMENT) -> Judged:
    return _by_the_engine(given, kind, deployment, restarts=())


def by_a_restarted_engine(given: list[bytes | None], kind: type[Intake], deployment: Settings, seed: int) -> Judged:
    """The same by an engine that is started again from a snapshot at some offsets, each time by a refill of a few messages at a time."""
    restarts = random.Random(seed).sample(range(1, len(given)), 6)
    return _by_the_engine(given, kind, deployment, sorted(restarts))


def _by_the_engine(given: list[bytes | None], kind: type[Intake], deployment: Settings, restarts: Sequence[int]) -> Judged:
    rules = Rules.of(deployment)
    records = [FakeRecord(value, offset) for offset, value in enumerate(given)]
    intake = kind(rules, "logs", 0, IntakeState(), now=lambda: 0.0)
    shares: list[Share] = []
    refused: list[Rejected] = []
    for first, end in pairwise([0, *restarts, len(records)]):
        if first:
            intake = kind(rules, "logs", 0, intake.state(), now=lambda: 0.0)
            begin = intake.rewind()
            for place in range(first if begin is None else begin, first, 50):
                intake.refill(records[place : min(place + 50, first)])
            intake.resume()
        intake.take(records[first:end])
        fetched = intake.fetch()
        shares += fetched[0]
        refused += fetched[1]
    shown = {name: getattr(intake.counters, name) for name in ("read", "counted", "duplicate", "late", "malformed")}
    sums: dict[tuple[object, ...], list[int]] = {}
    for share in shares:
        for (campaign, channel, *values, currency), cell in rules.formats()[share.table].unpack(share.cells):
            key = share.table, rfc3339(share.window // 1_000_000), campaign, channel, written(values), currency
            own = [*(getattr(cell, name) for name in SUMS), *cell.declared]
            sums[key] = [one + other for one, other in zip(own, sums.get(key, [0] * len(own)), strict=True)]
    return shown, {one.offset: one.reason for one in refused}, sums


def by_the_oracle(given: list[bytes | None], deployment: Settings = DEPLOYMENT) -> Judged:
    terms = terms_of(deployment)
    verdict = judge([Message(0, offset, FAR, value) for offset, value in enumerate(given)], terms)
    shown = {name: verdict.counters[0][name] for name in ("read", "counted", "duplicate", "late", "malformed")}
    rows = (
        (number, row)
        for number, table in enumerate(terms.tables())
        for row in windows(verdict, table).select(*KEY, *columns(terms)).rows()
    )
    sums: dict[tuple[object, ...], list[int]] = {(number, *row[: len(KEY)]): list(row[len(KEY) :]) for number, row in rows}
    return shown, {place[1]: reason for place, reason in verdict.rejected.items()}, sums
