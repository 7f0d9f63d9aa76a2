"""The oracle knows the tables of contract 2: currencies in the key, declared types, breakdowns and the cells that a partition admits."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from tests.support.records import FAR, payload, stamp
from tests.system.oracle.compare import Evidence, broken_equations, found_in, topics_of
from tests.system.oracle.history import CONTRACT, RATIOS
from tests.system.oracle.hostile import BREAKDOWNS, EVENT_TYPES, NOT_CURRENCIES, NOT_VALUES, UNDECLARED, VALUES, crowded, hostile
from tests.system.oracle.judge import Message, Verdict, judge, windows
from tests.system.oracle.sums import SUMS, columns
from tests.system.oracle.terms import Terms
from tests.system.oracle.topics import Record

TERMS = Terms(breakdowns=BREAKDOWNS, breakdown_cells=3, event_types=EVENT_TYPES)
DEVICE = Terms(breakdowns="device", breakdown_cells=2)


def verdict(payloads: Sequence[bytes | None], terms: Terms, partitions: int = 1) -> Verdict:
    return judge([Message(number % partitions, number, FAR, value) for number, value in enumerate(payloads)], terms)


def rows(found: Verdict, table: str, *names: str) -> list[tuple[Any, ...]]:
    """The cells of a table by their values, and some of their sums."""
    return windows(found, table).sort("window_start", "values", "currency").select("values", *names).rows()


def test_the_settings_are_read_as_the_contract_writes_them() -> None:
    terms = Terms(breakdowns=" ad = adgroup_id , ad_id ; device ", event_types="add_to_cart, lead : conversion")
    assert terms.tables() == {"": (), "ad": ("adgroup_id", "ad_id"), "device": ("device",)}
    assert {name: terms.types()[name] for name in terms.declared()} == {"add_to_cart": "", "lead": "conversion"}
    assert topics_of("results", terms) == {"": "results", "ad": "results.ad", "device": "results.device"}
    assert Terms().tables() == {"": ()}


def test_a_role_counts_as_its_built_in_type_and_a_type_without_one_adds_its_money_alone() -> None:
    given = [
        payload("a", event_type="lead", cost_micros=1, revenue_micros=10),
        payload("b", event_type="renewal", revenue_micros=20),
        payload("c", event_type="chargeback", revenue_micros=30),
        payload("d", event_type="add_to_cart", cost_micros=2, revenue_micros=40),
        payload("e", event_type="view"),
        payload("f", event_type="A.b-c_9"),
    ]
    (row,) = windows(verdict(given, TERMS)).to_dicts()
    sums = {name: row[name] for name in SUMS}
    counts = {"impressions": 1, "clicks": 1, "conversions": 2, "purchases": 1, "refunds": 1, "events": 6}
    assert sums == {**counts, "spend_micros": 3, "revenue_micros": 70, "refund_micros": 30}
    assert [row[name] for name in columns(TERMS) if name.startswith("counts.")] == [1] * 6


def test_currencies_are_in_the_key_and_an_event_without_one_has_that_of_the_deployment() -> None:
    given = [payload("a", cost_micros=1), payload("b", currency="EUR", cost_micros=2), payload("c", currency=None, cost_micros=4)]
    found = windows(verdict(given, Terms(currency="GBP"))).sort("currency").select("currency", "spend_micros").rows()
    assert found == [("EUR", 2), ("GBP", 5)]


@pytest.mark.parametrize(
    "field", [{"currency": value} for value in NOT_CURRENCIES] + [{"event_type": name} for name in UNDECLARED]
)
def test_a_currency_that_is_not_three_capitals_and_an_undeclared_type_are_malformed(field: dict[str, Any]) -> None:
    assert verdict([payload("a", **field)], TERMS).rejected == {(0, 0): "malformed"}


@pytest.mark.parametrize("value", NOT_VALUES)
def test_a_field_that_a_breakdown_names_is_validated_and_any_other_unknown_one_is_not(value: Any) -> None:
    assert verdict([payload("a", shelf=value)], TERMS).rejected == {(0, 0): "malformed"}
    assert verdict([payload("a", shelf=value)], Terms()).rejected == {}
    assert verdict([payload("a", keyword=value)], Terms()).rejected == {(0, 0): "malformed"}


def test_null_true_and_texts_that_look_like_them_are_different_cells() -> None:
    given = [payload(f"e{n}", device=value) for n, value in enumerate(VALUES)]
    found = rows(verdict([*given, payload("absent")], replace(DEVICE, breakdown_cells=100)), "device", "events")
    assert Counter(dict(found)) == Counter(json.dumps([value], ensure_ascii=False) for value in [*VALUES, None])


def test_a_partition_admits_the_first_cells_of_each_window_and_the_rest_counts_as_true() -> None:
    given = [payload(f"e{n}", 60 * (n // 5), device=f"d{n % 5}") for n in range(10)]
    given += [payload("again", device="d0"), payload("d0 in euros", device="d0", currency="EUR"), payload("none")]
    found = rows(verdict(given, DEVICE), "device", "events")
    assert found == [('["d0"]', 2), ('["d1"]', 1), ("[true]", 1), ("[true]", 4), ('["d0"]', 1), ('["d1"]', 1), ("[true]", 3)]
    spread = rows(verdict([one for one in given for _ in range(2)], replace(DEVICE, dedup=False), 2), "device", "events")
    assert sum(events for _, events in spread) == 26


def test_what_is_not_counted_takes_no_place_and_a_cell_of_nulls_takes_one() -> None:
    late = payload("late", -3600, device="never")
    given = [payload("first"), late, payload("first", device="twin"), payload("e", device="a"), payload("f", device="b")]
    assert rows(verdict(given, DEVICE), "device", "events") == [('["a"]', 1), ("[null]", 1), ("[true]", 1)]


def test_two_partitions_admit_by_themselves_so_that_a_value_may_be_a_row_and_in_true() -> None:
    log = [
        Message(partition, offset, FAR, payload(f"{partition} {offset}", device=value))
        for partition, values in enumerate([["a", "b", "c"], ["c", "d", "a"]])
        for offset, value in enumerate(values)
    ]
    assert rows(judge(log, DEVICE), "device", "events") == [('["a"]', 1), ('["b"]', 1), ('["c"]', 1), ('["d"]', 1), ("[true]", 2)]


@pytest.mark.parametrize("seed", range(3))
def test_the_rows_of_each_breakdown_sum_to_the_main_cells_whatever_the_log(seed: int) -> None:
    found = verdict(hostile(2000, seed), replace(TERMS, breakdown_cells=seed + 1), 3)
    main = windows(found)
    assert main.height > 500
    for table in ("ad", "device", "place"):
        assert broken_equations(main, windows(found, table), table) == []
        assert windows(found, table).filter(pl.col("values").str.contains("true")).height > 50


def test_of_very_many_values_in_a_minute_the_bound_and_one_row_for_each_currency_are_left() -> None:
    terms = Terms(breakdowns="device", breakdown_cells=100, event_types=EVENT_TYPES)
    device = windows(verdict(list(crowded(3000, 3000)), terms), "device")
    assert device.height == 102
    assert device.filter(pl.col("values") == "[true]")["events"].sum() == 2900


def evidence(seed: int, terms: Terms) -> Evidence:
    """A log, and what a flow writes of it that is exact."""
    log = [(None, Message(n % 2, n // 2, FAR, value)) for n, value in enumerate(crowded(400, 50, minutes=3))]
    found = judge([message for _, message in log], terms)
    tables = {
        name: [_record(row, fields, terms) for row in windows(found, name).to_dicts()] for name, fields in terms.tables().items()
    }
    random.Random(seed).shuffle(tables["device"])
    return Evidence("logs", log, tables.pop(""), [], None, None, 2, tables)


def _record(row: dict[str, Any], fields: tuple[str, ...], terms: Terms) -> Record:
    values = json.loads(row["values"])
    value = {name: row[name] for name in ("window_start", "campaign_id", "channel", "currency", *SUMS)}
    value |= dict(zip(fields, values, strict=True)) | {"window_end": stamp(60 * (int(row["window_start"][14:16]) + 1))}
    value |= {"counts": {name: row[f"counts.{name}"] for name in terms.declared() if row[f"counts.{name}"]}}
    ratios = {name: of(value) for name, of in RATIOS.items()}
    value |= {name: above / below if below else None for name, (above, below) in ratios.items()}
    value |= {"revision": row["events"], "state": "final"}
    key = [row["window_start"], row["campaign_id"], row["channel"], *values, row["currency"]]
    return json.dumps(key).encode(), Message(0, 0, 0, json.dumps(value).encode(), CONTRACT)


def changed(record: Record, **fields: Any) -> Record:
    """The record with other fields under the same key."""
    key, message = record
    return key, replace(message, payload=json.dumps({**json.loads(message.payload or b""), **fields}).encode())


def test_records_that_agree_with_the_log_show_no_difference() -> None:
    assert found_in(evidence(1, TERMS), TERMS) == []


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (
            {"spend_micros": 1, "cpm": None, "cpc": None, "cpa": None, "roas": None},
            r"breakdown: device: .* spend_micros 1 instead of \d+",
        ),
        ({"spend_micros": 1}, r"equation: device of .* in rows, \d+ in all"),
        ({"device": "another"}, "record: device .* the key is not"),
        ({"device": 1}, "record: device .* the key is not .* 1,"),
        ({"counts": {"lead": "1"}}, "record: device .* counts"),
        ({"counts": {"lead": 10**6}}, r"breakdown: device: .* counts.lead 1000000 instead of \d+"),
        ({"ad_id": "x"}, "record: device .* fields .*ad_id"),
        ({"state": "provisional"}, "state: .* is provisional, but the watermark has passed"),
    ],
)
def test_what_is_wrong_in_a_breakdown_is_a_difference(fields: dict[str, Any], line: str) -> None:
    given = evidence(2, TERMS)
    place = next(
        n
        for n, (_, one) in enumerate(given.breakdowns["device"])
        if b"12:00:00Z" in (one.payload or b"") and b'"value' in (one.payload or b"")
    )
    device = [changed(one, **fields) if n == place else one for n, one in enumerate(given.breakdowns["device"])]
    found = found_in(replace(given, breakdowns={**given.breakdowns, "device": device}), TERMS)
    assert any(re.match(line, one) for one in found), found


def test_a_row_with_true_in_some_of_its_values_is_a_difference() -> None:
    given = evidence(3, TERMS)
    key, message = next(one for one in given.breakdowns["ad"] if b"true" in (one[0] or b""))
    value = {**json.loads(message.payload or b""), "ad_id": "value 1"}
    wrong_key = (key or b"").replace(b"true, true", b'true, "value 1"')
    mixed = [*given.breakdowns["ad"], (wrong_key, replace(message, payload=json.dumps(value).encode()))]
    found = found_in(replace(given, breakdowns={**given.breakdowns, "ad": mixed}), TERMS)
    assert any(re.match("record: ad .* true in all of them", one) for one in found), found


def test_a_breakdown_without_a_topic_misses_all_of_its_cells() -> None:
    given = evidence(4, TERMS)
    found = found_in(replace(given, breakdowns={**given.breakdowns, "place": []}), TERMS)
    assert {one.split(":")[0] for one in found} == {"breakdown", "equation"}
