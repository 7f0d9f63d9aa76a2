"""Rows of a breakdown as a table: its values in every format, splits and filters, and counts of declared event types."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import random
from typing import Any

import polars as pl
import pytest

from dataflows.contract.breakdowns import Breakdown, Value, parse
from dataflows.contract.errors import InputError
from dataflows.contract.schema import WindowResult
from figures.files.formats import FORMATS
from figures.rates.table import RateTable
from figures.store.shape import shape_of
from figures.store.store import Store
from figures.views.result_table import ResultTable, table
from figures.views.selection import selection
from tests.support.docs.tables import rows_of
from tests.support.results import result

BREAKDOWNS = parse("ad=adgroup_id,ad_id;device;mixed=spend,rate,end,t,campaign")
AD, DEVICE, MIXED = BREAKDOWNS
VALUES: tuple[Value, ...] = ("a", "(other)", "(not set)", "=1+1", "ü\u2028\n", None)

Row = tuple[WindowResult, tuple[Value, ...]]


def made(fields: int, count: int = 300) -> list[Row]:
    """Rows of a breakdown with this number of fields; some of them are sums of what was not admitted."""
    draw = random.Random(5)
    cells = list(itertools.product(range(0, 900, 60), "xy", ("search", "social"), range(20)))
    rows: list[Row] = []
    for minute, campaign, channel, at in draw.sample(cells, count):
        values: tuple[Value, ...] = (
            (True,) * fields if at == 0 else tuple(VALUES[(at + field * 7) % len(VALUES)] for field in range(fields))
        )
        one = result(minute, campaign, channel, clicks=draw.randint(0, 9), spend_micros=draw.randint(0, 10**9))
        rows.append((one, values))
    return list({(one.window_start, one.campaign_id, one.channel, values): (one, values) for one, values in rows}.values())


def asked(rows: list[Row], declared: Breakdown, /, **given: str) -> ResultTable:
    store = Store(hours=100, shape=shape_of((), declared.fields))
    store.apply([one for one, _ in rows], values=[values for _, values in rows])
    question = selection({name: [value] for name, value in given.items()}, BREAKDOWNS)
    assert question.breakdown == declared
    return table(store.snapshot(), question, window=60, currency="USD")


def in_json(found: ResultTable, form: str = "json") -> list[dict[str, Any]]:
    raw = b"".join(FORMATS[form].write(found.frame, found.about))
    return json.loads(raw)["rows"] if form == "json" else [json.loads(line) for line in raw.splitlines()]


@pytest.mark.parametrize("breakdown", [AD, DEVICE])
@pytest.mark.parametrize("interval", ["hour", "total"])
def test_rows_by_value_equal_those_by_hand(breakdown: Breakdown, interval: str) -> None:
    rows = made(len(breakdown.fields))
    wanted: dict[tuple[Any, ...], int] = {}
    for one, values in rows:
        key = (one.window_start[:13] if interval == "hour" else "", one.campaign_id, one.channel, *values)
        wanted[key] = wanted.get(key, 0) + one.clicks
    found = asked(rows, breakdown, breakdown=breakdown.name, interval=interval)
    for form in ("json", "jsonl"):
        read = {
            (
                row["window_start"][:13] if interval == "hour" else "",
                row["campaign_id"],
                row["channel"],
                *(row[field] for field in breakdown.fields),
            ): row["clicks"]
            for row in in_json(found, form)
        }
        assert read == wanted
        assert all("other" not in row for row in in_json(found, form))
    assert found.about["fields"] == breakdown.fields


@pytest.mark.parametrize("form", ["csv", "parquet", "arrow", "feather"])
def test_a_text_that_looks_like_other_differs_from_it_in_every_format(form: str) -> None:
    found = asked(made(1), DEVICE, breakdown="device", interval="total", by="device")
    read = rows_of(form, b"".join(FORMATS[form].write(found.frame, found.about)))
    others = [row for row in read if str(row["other"]).lower() == "true"]
    assert [row["device"] or None for row in others] == [None]
    assert len([row for row in read if row["device"] == "(other)"]) == 1
    assert len([row for row in read if not row["device"] and str(row["other"]).lower() == "false"]) == 1
    assert in_json(found)[-1]["device"] is True
    assert in_json(found)[-2]["device"] is None


@pytest.mark.parametrize(
    ("given", "passes"),
    [
        ({"f.device": "a"}, lambda value: value == "a"),
        ({"device": "(other)"}, lambda value: value == "(other)"),
        ({"f.device.other": "1"}, lambda value: value is True),
        ({"f.device.null": "1"}, lambda value: value is None),
        ({"x.device": "a", "x.device.other": "1"}, lambda value: value is not True and value != "a"),
        ({"device": "unknown"}, lambda _value: False),
    ],
)
@pytest.mark.parametrize("by", ["none", "campaign", "device", ""])
def test_filters_apply_whatever_rows_are_split_by(given: dict[str, str], passes: Any, by: str) -> None:
    rows = made(1)
    found = asked(rows, DEVICE, interval="total", **given, **({"by": by} if by else {}))
    assert found.frame["clicks"].sum() == sum(one.clicks for one, (value,) in rows if passes(value))
    assert ("device" in found.frame.columns) == (by == "device")


def test_fields_that_are_named_like_other_columns_have_columns_of_their_own() -> None:
    rows = made(5)
    found = asked(rows, MIXED, breakdown="mixed", interval="hour", by="f.campaign,spend,rate,end,t,campaign", currency="native")
    assert found.about["fields"] == ("campaign", "f.spend", "rate", "end", "t")
    assert found.frame["clicks"].sum() == sum(one.clicks for one, _ in rows)
    assert {row["f.spend"] for row in in_json(found)} == {values[0] for _, values in rows}


def test_fields_that_are_named_like_rates_do_not_change_the_conversion() -> None:
    rows = [
        (result(minute, spend_micros=10**6, currency="USD" if minute % 2 else "EUR"), (str(minute % 3), "day"))
        for minute in range(12)
    ]
    store = Store(shape=shape_of((), ("rate", "rate_day")))
    store.apply([one for one, _ in rows], values=[values for _, values in rows])
    question = selection(
        {"breakdown": ["r"], "interval": ["total"], "by": ["rate,rate_day"], "currency": ["EUR"]}, parse("r=rate,rate_day")
    )
    rates = RateTable("table", {"USD": {dt.date(2020, 1, 1): "2"}})
    found = table(store.snapshot(), question, window=60, currency="EUR", rates=lambda: rates).frame
    assert dict(found.select("rate", "spend_micros").rows()) == {"0": 3_000_000, "1": 3_000_000, "2": 3_000_000}


def test_declared_types_are_columns_and_in_json_an_object() -> None:
    store = Store(shape=shape_of(("add_to_cart", "lead")))
    store.apply([result(minute, counts={"lead": 2}) for minute in range(3)])
    found = table(store.snapshot(), selection({"interval": ["total"]}), window=60, currency="USD")
    assert found.frame["counts.lead"].to_list() == [6]
    assert in_json(found)[0]["counts"] == {"add_to_cart": 0, "lead": 6}
    assert pl.read_parquet(b"".join(FORMATS["parquet"].write(found.frame, found.about)))["counts.add_to_cart"].to_list() == [0]


@pytest.mark.parametrize(
    "given",
    [
        {"breakdown": "nothing"},
        {"breakdown": "ad", "f.device": "a"},
        {"by": "ad_id,device"},
        {"by": "city"},
        {"f.device": ""},
        {"x.device.null": "yes"},
        {"breakdown": "ad", "by": "device"},
    ],
)
def test_a_question_that_no_breakdown_answers_is_one_line(given: dict[str, str]) -> None:
    with pytest.raises(InputError) as caught:
        selection({name: [value] for name, value in given.items()}, BREAKDOWNS)
    assert len(str(caught.value).splitlines()) == 1
    assert "yes" not in str(caught.value)


def test_without_breakdowns_none_can_be_asked_for() -> None:
    for given in ({"breakdown": ["ad"]}, {"by": ["device"]}):
        with pytest.raises(InputError):
            selection(given)
