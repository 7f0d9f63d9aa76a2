"""All figures of a page are in one currency, and money that can't be converted is shown apart."""

from __future__ import annotations

import datetime as dt
import random
from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import polars as pl
import pytest

from dataflows.contract.constants import MICROS
from dataflows.contract.schema import WindowResult
from dataflows.contract.settings import Settings
from figures.rates.source import RateSource
from figures.rates.table import RateTable
from figures.service import Service
from figures.store.rows import parse_start
from figures.store.store import Store
from figures.views import exploring
from figures.views.money import Apart, Money, UsedRates
from figures.views.query import OverviewPage, page
from figures.views.view import View, asked
from tests.support.results import BEGIN, result

DAY = dt.datetime.fromtimestamp(BEGIN, dt.UTC).date()
DAYS = [DAY + dt.timedelta(days=number) for number in range(-3, 5)]
OWN = RateTable(
    "own.csv",
    {
        "USD": {day: f"1.{17 + 3 * at}" for at, day in enumerate(DAYS)},
        "JPY": {day: f"{150 + at}.37" for at, day in enumerate(DAYS) if at != 4},
        "NEW": {DAYS[5]: "2"},
    },
)
NEVER = RateTable("empty.csv", {})


def made(minutes: Sequence[int], currencies: Sequence[str], seed: int = 5) -> list[WindowResult]:
    draw = random.Random(seed)
    return [
        result(
            minute,
            draw.choice(("a", "b", "c")),
            draw.choice(("x", "y")),
            currency=draw.choice(currencies),
            clicks=draw.randrange(50),
            conversions=draw.randrange(5),
            spend_micros=draw.randrange(10**10),
            revenue_micros=draw.randrange(10**11),
        )
        for minute in minutes
    ]


def shown(store: Store, view: View, rates: RateTable = OWN, reporting: str = "EUR") -> OverviewPage:
    return page(store.snapshot(), view, money=Money(reporting, lambda: rates))


def by_hand(results: list[WindowResult], shown: OverviewPage, zone: str, currency: str) -> dict[str, float]:
    """Spend of each campaign in the range of the page, in units of `currency`, each day and currency rounded once."""
    sums: dict[tuple[str, dt.date, str], int] = defaultdict(int)
    for one in results:
        start = parse_start(one.window_start)
        if shown.span.start <= start < shown.span.end:
            sums[one.campaign_id, dt.datetime.fromtimestamp(start, ZoneInfo(zone)).date(), one.currency] += one.spend_micros
    spend: dict[str, float] = defaultdict(float)
    for (campaign, day, own), micros in sums.items():
        rate = OWN.rate(own, currency, day)
        if rate is not None:
            spend[campaign] += round(Fraction(micros * rate.numerator, rate.denominator)) / MICROS
    return dict(spend)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kathmandu"])
@pytest.mark.parametrize("currency", ["EUR", "JPY"])
@pytest.mark.parametrize(("name", "step"), [("1h", 1), ("24h", 3), ("7d", 20), ("today", 7), ("last7d", 23)])
def test_every_part_of_a_page_is_in_its_currency(name: str, step: int, currency: str, zone: str) -> None:
    results = list(
        {one.window_start: one for one in made(range(-2000, 3000, step), ("EUR", "USD", "JPY", "NEW", "XXX"))}.values()
    )
    store = Store(hours=3.0, days=20.0)
    store.apply(results)
    view = View(range=name, zone=zone, currency=currency)
    found = shown(store, view)
    spend = by_hand(results, found, zone, currency)
    assert {row.name: row.figures[0] for row in found.campaigns.rows} == pytest.approx(spend, rel=1e-5)
    total = pytest.approx(sum(spend.values()), rel=1e-9)
    assert found.tiles[0].value == total
    assert sum(value for line in found.chart.series for value in line.values if value) == pytest.approx(
        sum(spend.values()), rel=1e-3
    )
    assert (found.currency.shown, found.currency.money, found.currency.reporting) == (currency, currency, "EUR")
    assert found.currency.available[:5] == ["EUR", "JPY", "NEW", "USD", "XXX"]


def test_a_page_that_moves_on_minute_by_minute_is_that_of_a_new_start() -> None:
    """Across a midnight, with corrections, open minutes and a currency that appears later."""
    midnight = (24 * 60) - (BEGIN % 86_400) // 60
    currencies = ("EUR", "USD", "JPY")
    before, after = (
        made(range(midnight - 200, midnight - 20), currencies),
        made(range(midnight - 20, midnight + 30), (*currencies, "NEW", "GBP")),
    )
    store = Store()
    store.apply(before)
    views = [View(range=name, zone="UTC", currency="JPY") for name in ("15m", "1h")]
    for at, one in enumerate(after):
        store.apply([msgspec.structs.replace(one, state="provisional")])
        if at % 7 == 3:
            store.apply([msgspec.structs.replace(after[at - 3], revision=99, state="corrected", spend_micros=12_345)])
        if at:
            store.apply([msgspec.structs.replace(after[at - 1], revision=50)])
        again = Store()
        again.apply(
            list(
                {(row.window_start, row.campaign_id, row.channel, row.currency): row for row in _held(before, after, at)}.values()
            )
        )
        for view in views:
            moved, fresh = shown(store, view), shown(again, view)
            assert msgspec.structs.replace(moved, version=0) == msgspec.structs.replace(fresh, version=0)


def _held(before: list[WindowResult], after: list[WindowResult], until: int) -> list[WindowResult]:
    """What the store of the test before holds after `until` steps."""
    rows = [*before]
    best: dict[int, WindowResult] = {}
    for at in range(until + 1):
        best[at] = msgspec.structs.replace(after[at], state="provisional")
        if at:
            best[at - 1] = max(best[at - 1], msgspec.structs.replace(after[at - 1], revision=50), key=lambda one: one.revision)
        if at % 7 == 3:
            best[at - 3] = msgspec.structs.replace(after[at - 3], revision=99, state="corrected", spend_micros=12_345)
    return [*rows, *best.values()]


def test_a_corrected_rate_changes_the_next_page() -> None:
    store = Store()
    store.apply([result(minute, currency="USD", spend_micros=8 * MICROS) for minute in range(120)])
    for text, spend in (("1.6", 300.0), ("1.25", 384.0)):
        assert shown(store, View(range="1h"), RateTable("own.csv", {"USD": {DAYS[0]: text}})).tiles[0].value == spend


def test_amounts_without_a_rate_are_apart_with_all_that_belongs_to_them() -> None:
    store = Store()
    store.apply([result(minute, currency="EUR", spend_micros=MICROS) for minute in range(120)])
    store.apply([result(minute, "b", currency="XXX", spend_micros=MICROS, revenue_micros=MICROS // 2) for minute in range(120)])
    store.apply([result(minute, "c", currency="USD", spend_micros=MICROS) for minute in range(0)])
    found = shown(store, View(range="1h"), NEVER)
    assert [row.name for row in found.campaigns.rows] == ["sale"]
    assert found.tiles[0].value == 60.0
    assert found.funnel["clicks"] == 60.0
    assert found.currency.apart == [Apart("XXX", 60.0, 30.0)]
    assert found.currency.rates == UsedRates("empty.csv, without any rate", 0, None)


def test_the_rates_that_were_used_are_named() -> None:
    store = Store()
    store.apply([result(minute, currency="JPY") for minute in range(1440, 1440 + 300)])
    rates = RateTable("own.csv", {"JPY": {DAY: "160"}})
    assert shown(store, View(range="1h"), rates).currency.rates == UsedRates(f"own.csv to {DAY}", 1, DAY)


def test_native_shows_one_currency_as_it_is_and_the_others_apart() -> None:
    store = Store()
    store.apply([result(minute, "us", currency="USD", spend_micros=2 * MICROS) for minute in range(120)])
    store.apply([result(minute, "eu", currency="EUR", spend_micros=MICROS, events=99) for minute in range(120)])
    native = View(range="1h", currency="native")

    def money(view: View) -> tuple[str, str, float | None, list[Apart]]:
        found = shown(store, view, NEVER, "USD")
        return found.currency.shown, found.currency.money, found.tiles[0].value, found.currency.apart

    assert money(native) == ("native", "USD", 120.0, [Apart("EUR", 60.0, 0.0)])
    assert money(msgspec.structs.replace(native, campaigns=("eu",))) == ("native", "EUR", 60.0, [])
    assert shown(store, native, NEVER, "GBP").currency.money == "EUR"  # that of the most events
    assert shown(store, native, NEVER, "USD").currency.rates is None


def test_one_currency_needs_no_rates_and_offers_no_choice() -> None:
    store = Store()
    store.apply([result(minute) for minute in range(120)])

    def refused() -> RateTable:
        raise AssertionError

    found = page(store.snapshot(), View(range="1h"), money=Money("USD", refused)).currency
    assert (found.available, found.rates, found.apart, found.money) == ([], None, [], "USD")


def test_sums_beyond_64_bits_are_converted_too() -> None:
    store = Store()
    store.apply([result(minute, currency="USD", spend_micros=5 * 2**70) for minute in range(120)])
    rates = RateTable("own.csv", {"USD": {DAYS[0]: "1.25"}})
    assert shown(store, View(range="1h"), rates).tiles[0].value == pytest.approx(60 * 4 * 2**70 / MICROS)


def test_the_currency_of_a_page_is_in_its_url() -> None:
    assert asked("currency=JPY").view.currency == "JPY"
    assert asked("currency=native").view.currency == "native"
    wrong = asked("currency=yen")
    assert wrong.view.currency == ""
    assert wrong.notes == (
        "`currency` is not applied: it must be native, or the code of a currency in capital letters, such as EUR.",
    )


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
@pytest.mark.parametrize("kind", ["bar", "table"])
def test_explore_is_in_the_currency_of_its_url(kind: str, zone: str) -> None:
    results = list({one.window_start: one for one in made(range(-2000, 3000, 20), ("EUR", "USD", "JPY", "XXX"))}.values())
    store = Store(hours=3.0, days=20.0)
    store.apply(results)
    ask = exploring.Ask(by=("campaign",), kind=kind, span="all", currency="JPY", zone=zone)
    found = exploring.find(store.snapshot(), ask, 60, Money("EUR", lambda: OWN))
    sums: dict[tuple[str, dt.date, str], int] = defaultdict(int)
    for one in results:
        day = dt.datetime.fromtimestamp(parse_start(one.window_start), ZoneInfo(zone)).date()
        sums[one.campaign_id, day, one.currency] += one.spend_micros
    spend: dict[str, float] = defaultdict(float)
    apart = 0.0
    for (campaign, day, own), micros in sums.items():
        rate = OWN.rate(own, "JPY", day)
        if rate is None:
            apart += micros / MICROS
        else:
            spend[campaign] += micros * rate.numerator / rate.denominator / MICROS
    totals = found.frame.group_by("campaign").agg(pl.col("spend").sum())
    assert dict(totals.iter_rows()) == pytest.approx(dict(spend))
    assert (found.currency.money, sum(each.spend for each in found.currency.apart)) == ("JPY", pytest.approx(apart))


def test_explore_of_one_currency_as_it_is_names_the_others() -> None:
    store = Store()
    store.apply([result(minute, currency=currency, spend_micros=MICROS) for minute in range(30) for currency in ("USD", "EUR")])
    ask = exploring.Ask(by=(), kind="bar", span="all", currency="native")
    found = exploring.find(store.snapshot(), ask, 60, Money("USD", lambda: NEVER))
    assert found.frame["spend"].to_list() == [30.0]
    assert (found.currency.shown, found.currency.money, found.currency.apart) == ("native", "USD", [Apart("EUR", 30.0, 0.0)])


@pytest.mark.parametrize("kind", ["bar", "table", "line"])
def test_explore_split_by_currency_converts_and_leaves_out_nothing(kind: str) -> None:
    store = Store()
    spent = {"USD": 2, "EUR": 3, "XXX": 5}
    store.apply(
        [
            result(at, f"c{name}", currency=code, spend_micros=MICROS * sum_)
            for at in range(9)
            for name in range(20)
            for code, sum_ in spent.items()
        ]
    )
    ask, notes = exploring.asked(f"by=campaign,currency&kind={kind}&range=all&currency=EUR")
    found = exploring.find(store.snapshot(), ask, 60, Money("USD", lambda: NEVER))
    totals = found.frame.group_by("currency").agg(pl.col("spend").sum())
    assert dict(totals.iter_rows()) == {code: 9 * 20 * amount for code, amount in spent.items()}
    assert (notes, found.currency.apart) == (("`currency` is not applied: split by currency, money stays as it is.",), [])
    assert (found.about["currency"], found.about["rates"]) == ("native", None)


def test_a_file_of_rates_that_changes_changes_the_answer_of_the_dashboard(tmp_path: Path) -> None:
    path, now = tmp_path / "own.csv", [0.0]
    path.write_text(f"Date,USD\n{DAY},1.25\n")
    settings = Settings(currency="EUR", rates_file=str(path))
    service = Service(settings)
    service.rates = RateSource(settings, clock=lambda: now[0])
    service.money = Money("EUR", service.rates.table)
    service.store.apply([result(minute, currency="USD", spend_micros=5 * MICROS) for minute in range(120)])

    def spend(have: str = "") -> tuple[str, float | None]:
        answer = msgspec.json.decode(service.answer("range=1h", have=have))
        return answer["token"], answer["page"] and answer["page"]["tiles"][0]["value"]

    token, first = spend()
    assert first == 240.0
    assert spend(token) == (token, None)
    path.write_text(f"Date,USD\n{DAY},2.50\n")
    now[0] += 10
    assert spend(token)[1] == 120.0
