"""Money of several currencies in one: at the rate of each event's day in the zone, rounded once per row, day and currency."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections import defaultdict
from collections.abc import Mapping
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from dataflows.contract.errors import InputError
from dataflows.contract.metrics import MONEY
from dataflows.contract.schema import WindowResult
from figures.calendar.calendar import Calendar, Interval
from figures.files.formats import FORMATS
from figures.rates.files import packaged
from figures.rates.table import RateTable
from figures.store.rows import parse_start
from figures.store.store import Store
from figures.views.result_table import ResultTable, check_currency, table
from figures.views.selection import Selection, selection
from tests.support.results import BEGIN, result

FRIDAY = dt.date(2026, 11, 27)
OWN = RateTable("own.csv", {"USD": {FRIDAY: "1.25", dt.date(2026, 11, 30): "1.6"}, "JPY": {FRIDAY: "160"}})


def at(text: str) -> int:
    """The minute after `BEGIN` of a time."""
    return (int(dt.datetime.fromisoformat(text).timestamp()) - BEGIN) // 60


def answer(results: list[WindowResult], query: Mapping[str, str], rates: RateTable = OWN, reporting: str = "EUR") -> ResultTable:
    held = Store(hours=3.0, days=400.0)
    held.apply(results)
    question = selection({name: [text] for name, text in query.items()})
    check_currency(question, lambda: rates)
    return table(held.snapshot(), question, window=60, currency=reporting, rates=lambda: rates)


def rows(found: ResultTable) -> list[dict[str, Any]]:
    return json.loads(b"".join(FORMATS["json"].write(found.frame, {})))["rows"]


def amounts(found: ResultTable) -> dict[str, tuple[int, int]]:
    """Clicks and spend by currency, of an answer with one row for each."""
    return {row["currency"]: (row["clicks"], row["spend_micros"]) for row in rows(found)}


@pytest.mark.parametrize("interval", ["minute", "hour", "day", "week", "month", "total"])
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/New_York"])
def test_converted_rows_equal_those_by_hand(interval: Interval, zone: str) -> None:
    draw = random.Random(zone + interval)
    calendar, clock, rates = Calendar(zone), ZoneInfo(zone), packaged()
    middle = at("2026-10-25T12:00:00Z")  # when the clock is turned back in Berlin
    results = [
        result(
            middle + draw.randrange(-6000, 6000),
            draw.choice("ab"),
            currency=draw.choice(("EUR", "USD", "JPY", "GBP", "XXX")),
            spend_micros=draw.randrange(-(10**6), 10**12),
            revenue_micros=draw.randrange(10**14),
            refund_micros=draw.randrange(10**3),
        )
        for _ in range(300)
    ]
    results = list({(one.window_start, one.campaign_id, one.currency): one for one in results}.values())
    for by, currency in ((("campaign",), "JPY"), ((), "EUR")):
        sums: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0, 0])
        for one in results:
            start = parse_start(one.window_start)
            bucket = 0 if interval == "total" else calendar.floor_one(start, interval)
            day = dt.datetime.fromtimestamp(start, clock).date()
            for place, name in enumerate(MONEY):
                sums[bucket, one.campaign_id if by else "", day, one.currency][place] += getattr(one, name)
        expected: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0, 0])
        for (bucket, campaign, day, own), money in sums.items():
            rate = rates.rate(own, currency, day)
            factor = Fraction(rate.numerator, rate.denominator) if rate else 1
            for place, amount in enumerate(money):
                expected[bucket, campaign, currency if rate else own][place] += round(amount * factor)
        query = {"interval": interval, "tz": zone, "currency": currency, "by": ",".join(by) or "none"}
        found = {
            (
                0 if interval == "total" else parse_start(row["window_start"]),
                row.get("campaign_id", ""),
                row["currency"],
            ): [row[name] for name in MONEY]
            for row in rows(answer(results, query, rates))
        }
        assert found == dict(expected)


def test_an_event_late_in_the_evening_is_of_the_next_day_in_berlin() -> None:
    results = [result(at("2026-11-29T23:30:00Z"), currency="USD", spend_micros=8_000_000)]
    query = {"interval": "day", "currency": "EUR"}
    assert amounts(answer(results, query)) == {"EUR": (1, 6_400_000)}  # on Sunday, at the rate of Friday
    berlin = answer(results, {**query, "tz": "Europe/Berlin"})
    assert amounts(berlin) == {"EUR": (1, 5_000_000)}  # on Monday, at its own
    assert rows(berlin)[0]["window_start"] == "2026-11-29T23:00:00Z"
    assert berlin.rates is not None
    assert (berlin.rates.days_from_earlier, berlin.rates.last_used) == (0, dt.date(2026, 11, 30))


def test_a_weekend_and_christmas_use_the_last_rate_before_and_the_answer_says_so() -> None:
    days = ("2025-12-24", "2025-12-25", "2025-12-26", "2025-12-27", "2025-12-29")
    results = [result(at(f"{day}T12:00:00Z"), currency="USD", spend_micros=10**9) for day in days]
    found = answer(results, {"interval": "day", "by": "none", "currency": "EUR"}, packaged())
    eve, *_, monday = (packaged().rate("USD", "EUR", dt.date.fromisoformat(day)) for day in days)
    assert eve is not None
    assert monday is not None
    assert [row["spend_micros"] for row in rows(found)] == [
        round(Fraction(10**9 * rate.numerator, rate.denominator)) for rate in (eve, eve, eve, eve, monday)
    ]
    assert found.about["rates"] == {
        "name": packaged().name,
        "days_from_earlier": 3,
        "last_used": dt.date(2025, 12, 29),
        "without_rate": (),
    }


def test_money_without_a_rate_is_a_row_of_its_own_and_never_added() -> None:
    minute = at("2026-11-27T12:00:00Z")
    results = [
        result(minute, currency="EUR", spend_micros=1),
        result(minute, currency="USD", spend_micros=10),
        result(minute, currency="XXX", spend_micros=7),
        result(at("2026-11-26T12:00:00Z"), currency="JPY", spend_micros=5),  # before the first rate
    ]
    found = answer(results, {"interval": "total", "by": "none"})
    assert amounts(found) == {"EUR": (2, 9), "JPY": (1, 5), "XXX": (1, 7)}
    assert found.rates is not None
    assert found.rates.without_rate == ("JPY", "XXX")


def test_native_has_a_row_for_each_currency_and_needs_no_rates() -> None:
    minute = at("2026-11-27T12:00:00Z")
    results = [
        *(result(minute, currency=currency, spend_micros=number) for number, currency in enumerate(("USD", "EUR", "XXX"))),
        result(minute + 1, currency="USD", spend_micros=40),
    ]
    for query in ({"currency": "native", "by": "none"}, {"by": "currency"}):
        found = answer(results, {**query, "interval": "total"})
        assert amounts(found) == {"EUR": (1, 1), "USD": (2, 40), "XXX": (1, 2)}
        assert (found.about["currency"], found.about["rates"]) == ("native", None)


def test_one_currency_is_left_as_it_is_and_the_table_is_named_only_where_it_is_asked_for() -> None:
    results = [result(at("2026-11-27T12:00:00Z"), currency="EUR")]

    def refused() -> RateTable:
        raise AssertionError

    held = Store()
    held.apply(results)
    assert table(held.snapshot(), Selection(), window=60, currency="EUR", rates=refused).rates is None
    named = answer(results, {"currency": "EUR"}).about["rates"]
    assert isinstance(named, dict)
    assert (named["name"], named["last_used"]) == ("own.csv to 2026-11-30", None)


def test_a_corrected_rate_changes_the_answer() -> None:
    results = [result(at("2026-11-27T12:00:00Z"), currency="USD", spend_micros=8)]
    corrected = RateTable("own.csv", {"USD": {FRIDAY: "0.5"}})
    assert amounts(answer(results, {"currency": "EUR"})) == {"EUR": (1, 6)}
    assert amounts(answer(results, {"currency": "EUR"}, corrected)) == {"EUR": (1, 16)}


def test_ratios_are_those_of_the_converted_money() -> None:
    minute = at("2026-11-27T12:00:00Z")
    results = [
        result(minute, currency="USD", spend_micros=10**7, revenue_micros=5 * 10**7, clicks=4),
        result(minute, currency="EUR", spend_micros=2 * 10**6, revenue_micros=0, clicks=6),
    ]
    (row,) = rows(answer(results, {"interval": "total", "by": "none"}))
    assert (row["spend"], row["cpc"], row["roas"], row["currency"]) == (10.0, 1.0, 4.0, "EUR")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"currency": "eur"}, "`currency` must be native, or the code of a currency in capital letters"),
        ({"currency": "EURO"}, "`currency` must be native, or the code"),
        ({"currency": "XXX"}, "`currency` must be native, or one that has a rate: EUR, JPY, USD."),
        ({"by": "currency", "currency": "EUR"}, "`by=currency` is for `currency=native`"),
    ],
)
def test_a_currency_that_can_not_be_used_is_named(query: dict[str, str], words: str) -> None:
    with pytest.raises(InputError) as refused:
        answer([result(currency="USD")], query)
    assert words in str(refused.value)
