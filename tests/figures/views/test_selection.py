"""Results for scripts: exact, the same from every entry point, and an invalid question gets one line."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import random
import re
import string
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import polars as pl
import pytest

from dataflows.contract.errors import InputError
from dataflows.contract.measures import ratios
from dataflows.contract.metrics import Metrics
from dataflows.contract.schema import STATES, WindowResult, rfc3339
from figures.calendar.calendar import SHORT, Calendar
from figures.files.formats import FORMATS
from figures.store.rows import parse_start
from figures.store.store import Store
from figures.views.result_table import file_name, table
from figures.views.selection import INTERVALS, Selection, selection
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


def first_instant(start: int, interval: str, zone: str) -> int | None:
    """The beginning of the bucket of a window, by the standard library; hours are those of zones with whole hours."""
    if interval in SHORT or interval == "total":
        return start - start % SHORT[interval] if interval in SHORT else None
    day = dt.datetime.fromtimestamp(start, ZoneInfo(zone)).date()
    if interval == "week":
        day -= dt.timedelta(days=day.weekday())
    if interval == "month":
        day = day.replace(day=1)
    return int(dt.datetime.combine(day, dt.time(), ZoneInfo(zone)).timestamp())


def by_hand(
    results: list[WindowResult], interval: str, by: tuple[str, ...], zone: str = "UTC"
) -> dict[tuple[Any, ...], dict[str, int]]:
    """The same sums by a dictionary."""
    sums: dict[tuple[Any, ...], dict[str, int]] = {}
    for one in results:
        start = first_instant(parse_start(one.window_start), interval, zone)
        names = {"campaign": one.campaign_id, "channel": one.channel}
        key = (None if start is None else rfc3339(start), *(names[name] for name in by))
        cell = sums.setdefault(key, dict.fromkeys(SUMMED, 0))
        for name in SUMMED:
            cell[name] += getattr(one, name)
    return sums


@pytest.mark.parametrize("by", [("campaign", "channel"), ("campaign",), ("channel",), ()])
@pytest.mark.parametrize("interval", INTERVALS)
@pytest.mark.parametrize("store", [(100.0, 0.0), (2.0, 30.0)])
def test_sums_equal_those_by_hand(interval: str, by: tuple[str, ...], store: tuple[float, float]) -> None:
    results = made()
    found = {}
    for row in rows(results, Selection(interval=interval, by=by), *store):
        names = {"campaign": row.get("campaign_id"), "channel": row.get("channel")}
        key = (None if interval == "total" else row["window_start"], *(names[name] for name in by))
        found[key] = {name: row[name] for name in SUMMED}
        assert row["spend"] == row["spend_micros"] / 1_000_000
    assert found == by_hand(results, interval, by)


@pytest.mark.parametrize("store", [(100.0, 0.0), (2.0, 30.0)])
@pytest.mark.parametrize(
    ("zone", "date"),
    [
        ("Europe/Berlin", "2026-10-25"),
        ("Europe/Berlin", "2026-03-29"),
        ("America/New_York", "2026-11-01"),
        ("Asia/Kathmandu", "2026-10-31"),
        ("Australia/Lord_Howe", "2026-04-05"),
        ("Africa/Cairo", "2026-04-24"),
    ],
)
def test_days_weeks_and_months_of_a_zone_equal_those_by_hand(zone: str, date: str, store: tuple[float, float]) -> None:
    middle = int(dt.datetime.fromisoformat(f"{date}T12:00:00+00:00").timestamp())
    results = [
        result((middle - BEGIN) // 60 - 2000 + 7 * at, "ab"[at % 2], clicks=at, spend_micros=at**2 - 999) for at in range(600)
    ]
    calendar = Calendar(zone)
    for interval in ("day", "week", "month"):
        found = rows(results, Selection(interval=interval, by=("campaign",), calendar=calendar), *store)
        sums = {(row["window_start"], row["campaign_id"]): {name: row[name] for name in SUMMED} for row in found}
        assert sums == by_hand(results, interval, ("campaign",), zone)
        for row in found:
            start = parse_start(row["window_start"])
            assert row["window_end"] == rfc3339(calendar.edges(start, start + 1, interval)[1])


def test_an_hour_that_comes_twice_has_two_rows() -> None:
    begin = int(dt.datetime.fromisoformat("2026-10-24T22:00:00+00:00").timestamp())
    results = [result((begin - BEGIN) // 60 + 15 * at, clicks=1) for at in range(25 * 4)]
    for interval, seconds in (("hour", 3600), ("quarter", 900)):
        found = rows(results, selection({"interval": [interval], "tz": ["Europe/Berlin"], "range": ["2026-10-25..2026-10-25"]}))
        assert [row["window_start"] for row in found] == [rfc3339(at) for at in range(begin, begin + 25 * 3600, seconds)]
        assert [row["window_end"] for row in found[:-1]] == [row["window_start"] for row in found[1:]]
    (day,) = rows(results, selection({"interval": ["day"], "tz": ["Europe/Berlin"]}))
    assert (day["window_start"], day["window_end"], day["clicks"]) == (rfc3339(begin), rfc3339(begin + 25 * 3600), 100)
    howe = rows(results, selection({"interval": ["hour"], "tz": ["australia/lord_howe"]}))
    assert {row["window_start"][14:16] for row in howe} == {"00"}  # 11 hours ahead
    nepal = rows(results, selection({"interval": ["hour"], "tz": ["Asia/Kathmandu"]}))
    assert {row["window_start"][14:16] for row in nepal} == {"15"}


@pytest.mark.parametrize("store", [(100.0, 0.0), (2.0, 30.0)])
def test_a_range_ends_with_the_newest_window(store: tuple[float, float]) -> None:
    results = [result(minute) for minute in range(0, 4000, 10)]
    newest = parse_start(results[-1].window_start)
    for zone in ("UTC", "Europe/Berlin", "Asia/Kathmandu"):
        calendar = Calendar(zone)
        midnight = calendar.floor_one(newest, "day")
        given = {"tz": [zone], "interval": ["total"], "by": ["none"]}
        (today,) = rows(results, selection({**given, "range": ["today"]}), *store)
        assert today["window_start"] == rfc3339(midnight)
        assert today["events"] == sum(one.events for one in results if parse_start(one.window_start) >= midnight)
        (hour,) = rows(results, selection({**given, "range": ["1h"]}), *store)
        assert (hour["window_start"], hour["window_end"]) == (rfc3339(newest + 60 - 3600), rfc3339(newest + 60))


def test_dates_are_those_of_the_zone() -> None:
    asked = selection({"from": ["2026-03-29"], "to": ["2026-03-30"], "tz": ["Europe/Berlin"]})
    assert (asked.start, asked.end) == (parse_start("2026-03-28T23:00:00Z"), parse_start("2026-03-29T22:00:00Z"))
    both = selection({"range": ["2026-03-29..2026-03-29"], "tz": ["Europe/Berlin"]})
    assert (both.start, both.end) == (asked.start, asked.end)


@pytest.mark.parametrize("window", [7, 60, 300, 420, 3600, 5400, 86_400])
def test_a_window_longer_than_the_interval_has_a_row_of_its_own(window: int) -> None:
    store = Store(hours=1000)
    starts = [(BEGIN // window + at) * window for at in range(20)]
    store.apply([msgspec.structs.replace(result(), window_start=rfc3339(at), window_end=rfc3339(at + window)) for at in starts])
    for interval in INTERVALS:
        asked = Selection(interval=interval, by=(), calendar=Calendar("Asia/Kathmandu"))
        found = table(store.snapshot(), asked, window=window, currency="USD").frame
        assert found["events"].sum() == 20 * result().events
        firsts = [int(start.timestamp()) for start in found["window_start"].to_list()]
        if SHORT.get(interval, 10**9) < window:
            assert firsts == starts
            assert found["window_end"].to_list()[0].timestamp() == starts[0] + window
        elif interval != "total":
            assert firsts == sorted({Calendar("Asia/Kathmandu").floor_one(at, interval) for at in starts})  # pyright: ignore[reportArgumentType]  # no total


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
    found = rows(made(), Selection(interval="hour"))
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
        Selection(interval="hour"),
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
    {"from": ["2026-13"]},
    {"from": ["2026-01-01T00:00:00"]},
    {"from": ["2026-02-30"]},
    {"from": ["2026-01-02"], "to": ["2026-01-02"]},
    {"range": ["last week"]},
    {"range": ["2026-01-02..2026-01-01"]},
    {"range": ["today"], "from": ["2026-01-01"]},
    {"range": ["today", "yesterday"]},
    {"tz": ["Mars/Olympus"]},
    {"week": ["tuesday"]},
    {"from": ["2026-13-01T00:00:00Z"]},
    {"from": ["2026-W01-1T00:00:00Z"]},
    {"from": ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"]},
    {"from": ["2026-01-02T00:00:00Z"], "to": ["2026-01-01T00:00:00Z"]},
    {"from": ["2026-01-02T00:00:00Z"], "to": ["2026-01-02T00:00:00Z"]},
    {"interval": ["fortnight"]},
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
    assert not any(text in str(caught.value) for text in ("fortnight", "tuesday", "user", "2026-13", "Mars"))


def test_the_name_of_a_file_holds_nothing_that_a_name_could_bring_in() -> None:
    store = Store(hours=100)
    store.apply([result(campaign='x"\r\nSet-Cookie: a')])
    found = table(store.snapshot(), selection({"campaign": ['x"\r\nSet-Cookie: a']}), window=60, currency="USD")
    assert set(file_name(found, "csv")) <= {*string.ascii_letters, *string.digits, *"+-._"}


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
    (total,) = rows(
        [result(minute=at, spend_micros=value) for at, value in enumerate(micros)], Selection(interval="total", by=())
    )
    assert total["spend_micros"] == sum(micros)
    assert isinstance(total["spend_micros"], int)


@pytest.mark.parametrize("interval", INTERVALS)
@pytest.mark.parametrize("spend", [-5_000_000, -(2**64)])
def test_no_figure_is_a_negative_zero(interval: str, spend: int) -> None:
    store = Store()
    same: dict[str, Any] = {"revenue_micros": 7, "refund_micros": 7, "clicks": 0, "conversions": 3}
    store.apply([result(minute=at, spend_micros=spend, **same) for at in range(3)])
    store.apply([result(campaign="free", spend_micros=0, revenue_micros=-7, refund_micros=-7)])
    for by in (("campaign",), ()):
        found = table(store.snapshot(), Selection(interval=interval, by=by), window=60, currency="USD").frame
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
    for interval, by in itertools.product(INTERVALS, [("campaign", "channel"), ("channel",), ()]):
        found = table(store.snapshot(), msgspec.structs.replace(asked, interval=interval, by=by), window=60, currency="USD")
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
    (total,) = rows([result(minute=at) for at in range(3)], Selection(start=BEFORE, interval="total", by=()))
    assert (total["window_start"], total["window_end"], total["clicks"]) == (rfc3339(BEFORE), rfc3339(BEGIN + 180), 3)
