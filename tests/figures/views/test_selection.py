"""Results for scripts: exact, the same from every entry point, and an invalid question gets one line."""

from __future__ import annotations

import itertools
import json
import random
import re
from typing import Any

import msgspec
import polars as pl
import pytest

from dataflows.contract.errors import InputError
from dataflows.contract.measures import ratios
from dataflows.contract.metrics import Metrics
from dataflows.contract.schema import STATES, WindowResult, rfc3339
from figures.files.formats import FORMATS
from figures.store.rows import parse_start
from figures.store.store import Store
from figures.views.selection import INTERVALS, Selection, file_name, selection, table
from tests.support.docs.tables import columns_of, rows_of, schema_of
from tests.support.results import BEGIN, result

SUMMED = (
    "impressions",
    "clicks",
    "conversions",
    "purchases",
    "refunds",
    "spend_micros",
    "revenue_micros",
    "refund_micros",
    "events",
)


def made(count: int = 600) -> list[WindowResult]:
    """Results of a day and a half with nothing regular in them."""
    draw = random.Random(11)
    cells = list(itertools.product(range(0, 2000, 7), "abc", "xy"))
    return [
        result(
            minute=minute,
            campaign=campaign,
            channel=channel,
            impressions=draw.randint(0, 900),
            clicks=draw.randint(0, 40),
            conversions=draw.randint(0, 5),
            purchases=draw.randint(0, 3),
            refunds=draw.randint(0, 2),
            spend_micros=draw.randint(0, 9 * 10**6),
            revenue_micros=draw.randint(0, 10**8),
            refund_micros=draw.randint(0, 10**7),
            state=draw.choice(STATES),
        )
        for minute, campaign, channel in draw.sample(cells, count)
    ]


def rows(results: list[WindowResult], asked: Selection, hours: float = 100.0, days: float = 0.0) -> list[dict[str, Any]]:
    """The rows of the answer, as JSON gives them."""
    held = Store(hours, days)
    held.apply(results)
    found = table(held.snapshot(), asked, window=60, currency="USD")
    return json.loads(b"".join(FORMATS["json"].write(found.frame, {})))["rows"]


def by_hand(results: list[WindowResult], seconds: int, by: tuple[str, ...]) -> dict[tuple[Any, ...], dict[str, int]]:
    """The same sums by a dictionary."""
    sums: dict[tuple[Any, ...], dict[str, int]] = {}
    for one in results:
        start = parse_start(one.window_start)
        names = {"campaign": one.campaign_id, "channel": one.channel}
        key = (rfc3339(start - start % seconds) if seconds else None, *(names[name] for name in by))
        cell = sums.setdefault(key, dict.fromkeys(SUMMED, 0))
        for name in SUMMED:
            cell[name] += getattr(one, name)
    return sums


@pytest.mark.parametrize("by", [("campaign", "channel"), ("campaign",), ("channel",), ()])
@pytest.mark.parametrize("interval", list(INTERVALS))
@pytest.mark.parametrize("store", [(100.0, 0.0), (2.0, 30.0)])
def test_sums_equal_those_by_hand(interval: str, by: tuple[str, ...], store: tuple[float, float]) -> None:
    results = made()
    seconds = INTERVALS[interval]
    found = {}
    for row in rows(results, Selection(seconds=seconds, by=by), *store):
        names = {"campaign": row.get("campaign_id"), "channel": row.get("channel")}
        found[row["window_start"] if seconds else None, *(names[name] for name in by)] = {name: row[name] for name in SUMMED}
        assert row["spend"] == row["spend_micros"] / 1_000_000
    assert found == by_hand(results, seconds, by)


def test_minutes_are_those_of_the_topic_to_the_last_digit() -> None:
    results = made(200)
    wanted = {(one.window_start, one.campaign_id, one.channel): one for one in results}
    found = rows(results, Selection())
    assert len(found) == len(wanted)
    for row in found:
        one = wanted[row["window_start"], row["campaign_id"], row["channel"]]
        sums = {name: getattr(one, name) for name in SUMMED if name != "events"}
        figures = ratios(Metrics(**sums, events=one.events))
        assert {name: row[name] for name in figures} == figures
        assert (row["state"], row["window_end"]) == (one.state, one.window_end)


def test_rows_stand_by_time_campaign_and_channel() -> None:
    found = rows(made(), Selection(seconds=3600))
    keys = [(row["window_start"], row["campaign_id"], row["channel"]) for row in found]
    assert keys == sorted(keys)


def test_an_hour_is_open_while_one_of_its_minutes_is_and_else_corrected_if_one_was() -> None:
    found = rows(
        [
            result(0, state="final"),
            result(1, state="corrected"),
            result(60, state="provisional"),
            result(61, state="corrected"),
            result(120, state="final"),
        ],
        Selection(seconds=3600),
    )
    assert [row["state"] for row in found] == ["corrected", "provisional", "final"]


def test_from_is_taken_in_to_is_not_and_names_are_exact() -> None:
    results = [result(minute, campaign) for minute in range(10) for campaign in ("Sale", "sale", "sale 2")]
    start, end = rfc3339(BEGIN + 120), rfc3339(BEGIN + 240)
    asked = selection({"from": [start], "to": [end], "campaign": ["sale"]})
    assert [(row["window_start"], row["campaign_id"]) for row in rows(results, asked)] == [
        (start, "sale"),
        (rfc3339(BEGIN + 180), "sale"),
    ]
    assert rows(results, selection({"campaign": ["unknown"]})) == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:01:00Z", 60),
        ("1970-01-01T02:00:00+02:00", 0),
        ("1970-01-01T02:00:00 02:00", 0),
        ("1970-01-01 00:00:00.5z", 1),
        ("1970-01-01T00:00Z", 0),
    ],
)
def test_times_are_read_as_rfc_3339_and_brought_up_to_the_second(text: str, seconds: int) -> None:
    assert selection({"from": [text]}).start == seconds


BAD = [
    {"from": ["yesterday"]},
    {"from": ["2026-01-01"]},
    {"from": ["2026-01-01T00:00:00"]},
    {"from": ["2026-13-01T00:00:00Z"]},
    {"from": ["2026-W01-1T00:00:00Z"]},
    {"from": ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"]},
    {"from": ["2026-01-02T00:00:00Z"], "to": ["2026-01-01T00:00:00Z"]},
    {"from": ["2026-01-02T00:00:00Z"], "to": ["2026-01-02T00:00:00Z"]},
    {"interval": ["week"]},
    {"by": ["user"]},
    {"from": [""]},
    {"campaign": [""]},
    {"channel": ["search", ""]},
    {"campaign": ["\udcff"]},
]


@pytest.mark.parametrize("given", BAD)
def test_a_question_that_makes_no_sense_is_one_line_that_repeats_nothing_of_it(given: dict[str, list[str]]) -> None:
    with pytest.raises(InputError) as caught:
        selection(given)
    assert len(str(caught.value).splitlines()) == 1
    assert "`" in str(caught.value)
    assert not any(text in str(caught.value) for text in ("yesterday", "week", "user", "2026-13"))


def test_the_name_of_a_file_holds_nothing_that_a_name_could_bring_in() -> None:
    store = Store(hours=100)
    store.apply([result(campaign='x"\r\nSet-Cookie: a')])
    found = table(store.snapshot(), selection({"campaign": ['x"\r\nSet-Cookie: a']}), window=60, currency="USD")
    assert set(file_name(found, "csv")) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.TZ")


WIDE_SUMS = {
    "spend_micros": [2**62 + 1, 2**62 + 2, 2**62 + 3],
    "revenue_micros": [2**80 + 1, -(2**80), 5],
    "clicks": [2**40, 1, 0],
}
"""By minute: the total of the first is beyond 64 bits, that of the second is not, and its parts are."""


@pytest.mark.parametrize("form", list(FORMATS))
@pytest.mark.parametrize(("interval", "decimals"), [("total", {"spend_micros"}), ("minute", {"revenue_micros"})])
def test_a_sum_is_an_integer_while_it_fits_64_bits_and_a_decimal_beyond_column_by_column(
    form: str, interval: str, decimals: set[str]
) -> None:
    held = Store()
    minutes: list[dict[str, Any]] = [{name: values[at] for name, values in WIDE_SUMS.items()} for at in range(3)]
    held.apply([result(minute=at, **sums) for at, sums in enumerate(minutes)])
    found = table(held.snapshot(), selection({"interval": [interval]}), window=60, currency="USD").frame
    wanted = {name: [sum(values)] if interval == "total" else values for name, values in WIDE_SUMS.items()}
    assert {name for name in SUMMED if found.schema[name] == pl.Decimal(38, 0)} == decimals
    assert all(found.schema[name] == pl.Int64 for name in SUMMED if name not in decimals)
    raw = b"".join(FORMATS[form].write(found, {}))
    assert all(kind == found.schema[name] for name, kind in schema_of(form, raw).items() if name in SUMMED)
    read = [{name: int(row[name]) for name in wanted} for row in rows_of(form, raw)]
    assert read == [{name: values[at] for name, values in wanted.items()} for at in range(len(read))]
    assert len(read) == len(wanted["clicks"])


def test_large_values_in_many_rows_stay_integers_while_their_sum_fits() -> None:
    micros = [60_000_000_000_001 if at == 7 else 3_000_001_000_003 for at in range(2000)]
    (total,) = rows([result(minute=at, spend_micros=value) for at, value in enumerate(micros)], Selection(seconds=0, by=()))
    assert total["spend_micros"] == sum(micros)
    assert isinstance(total["spend_micros"], int)


@pytest.mark.parametrize("seconds", INTERVALS.values())
@pytest.mark.parametrize("spend", [-5_000_000, -(2**64)])
def test_no_figure_is_a_negative_zero(seconds: int, spend: int) -> None:
    store = Store()
    same: dict[str, Any] = {"revenue_micros": 7, "refund_micros": 7, "clicks": 0, "conversions": 3}
    store.apply([result(minute=at, spend_micros=spend, **same) for at in range(3)])
    store.apply([result(campaign="free", spend_micros=0, revenue_micros=-7, refund_micros=-7)])
    for by in (("campaign",), ()):
        found = table(store.snapshot(), Selection(seconds=seconds, by=by), window=60, currency="USD").frame
        assert 0.0 in found["roas"].to_list()
        for form in ("json", "jsonl", "csv"):
            assert not re.search(
                rb"-0(\.0+)?\b(?!\.)", b"".join(FORMATS[form].write(found.drop("window_start", "window_end"), {}))
            )


BEFORE, AFTER = BEGIN - 86_400, BEGIN + 86_400


@pytest.mark.parametrize(
    ("held", "asked"),
    [
        (0, Selection()),
        (0, Selection(start=BEFORE, end=AFTER)),
        (3, Selection(campaigns=frozenset({"unknown"}))),
        (3, Selection(campaigns=frozenset({"sale"}), channels=frozenset({"unknown"}))),
        (3, Selection(start=AFTER)),
        (3, Selection(end=BEFORE)),
        (3, Selection(start=BEGIN + 60, end=BEGIN + 61, campaigns=frozenset({"unknown"}))),
    ],
)
def test_the_total_of_nothing_is_a_table_without_rows(held: int, asked: Selection) -> None:
    store = Store()
    store.apply([result(minute=at) for at in range(held)])
    for seconds, by in itertools.product(INTERVALS.values(), [("campaign", "channel"), ("channel",), ()]):
        found = table(store.snapshot(), msgspec.structs.replace(asked, seconds=seconds, by=by), window=60, currency="USD")
        for form, one in FORMATS.items():
            raw = b"".join(one.write(found.frame, {}))
            assert rows_of(form, raw) == []
            assert columns_of(form, raw) in (found.frame.columns, [])
        first, last = found.span
        assert (first is None) == (asked.start is None and not held)
        assert (last is None) == (asked.end is None and not held)
        assert first is None or last is None or first <= last
        assert "1970" not in file_name(found, "csv")


def test_a_total_of_some_is_one_row_over_the_span_that_is_asked_for() -> None:
    (total,) = rows([result(minute=at) for at in range(3)], Selection(start=BEFORE, seconds=0, by=()))
    assert (total["window_start"], total["window_end"], total["clicks"]) == (rfc3339(BEFORE), rfc3339(BEGIN + 180), 3)
