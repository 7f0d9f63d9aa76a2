"""Sums are converted exactly: half to even, once per row, day and currency, at any size of amount and rate."""

import datetime as dt
import random
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction

import polars as pl
import pytest

from figures.calendar.calendar import Calendar
from figures.measures import WIDE
from figures.rates.conversion import DAY, Notes, convert, converted, dated
from figures.rates.files import packaged
from figures.rates.table import Rate, RateTable

THURSDAY, FRIDAY, SATURDAY = (dt.date(2026, 11, day) for day in (26, 27, 28))
TABLE = RateTable(
    "rates.csv",
    {
        "USD": {THURSDAY: "1.25", FRIDAY: "1.6"},
        "JPY": {THURSDAY: "175.68", FRIDAY: "160"},
        "IDR": {THURSDAY: "20275.17"},
        "BIG": {THURSDAY: "12345.123456789"},
        "VST": {THURSDAY: "123456789012345678.123456789"},
        "LOW": {THURSDAY: "0.000000000000123456789"},
    },
)
MONEY = ("spend", "revenue")
TOTALS = (pl.col("clicks").sum(), pl.col("spend").sum(), pl.col("revenue").sum())


def frame(*rows: tuple[str, dt.date, str, int, int, int], dtype: type[pl.DataType] | pl.DataType = pl.Int64) -> pl.DataFrame:
    schema = {"campaign": pl.String, DAY: pl.Date, "currency": pl.String, "clicks": pl.Int64, "spend": dtype, "revenue": dtype}
    columns = list(zip(*rows, strict=True))
    series = [
        pl.Series(name, [Decimal(value) for value in values] if kind == WIDE else values, kind)
        for (name, kind), values in zip(schema.items(), columns, strict=True)
    ]
    return pl.DataFrame(series)


def in_euro(
    rows: pl.DataFrame, table: RateTable = TABLE, to: str = "EUR"
) -> tuple[dict[tuple[str, str], tuple[int, ...]], Notes]:
    result, notes = convert(rows, table, to, keys=["campaign"], money=MONEY, totals=TOTALS)
    return {
        (row["campaign"], row["currency"]): (row["clicks"], int(row["spend"]), int(row["revenue"])) for row in result.to_dicts()
    }, notes


@pytest.mark.parametrize(
    ("amount", "numerator", "denominator", "expected"),
    [
        (5, 1, 2, 2),
        (7, 1, 2, 4),
        (-5, 1, 2, -2),
        (-7, 1, 2, -4),
        (1, 1, 3, 0),
        (2, 1, 3, 1),
        (-1, 1, 3, 0),
        (-2, 1, 3, -1),
        (0, 7, 3, 0),
    ],
)
def test_half_is_rounded_to_even(amount: int, numerator: int, denominator: int, expected: int) -> None:
    assert converted(amount, Rate(numerator, denominator, FRIDAY)) == expected
    rates = RateTable("halves", {"USD": {FRIDAY: str(Decimal(denominator))}, "JPY": {FRIDAY: str(numerator)}})
    assert in_euro(frame(("a", FRIDAY, "USD", 1, amount, 0)), rates, "JPY")[0] == {("a", "JPY"): (1, expected, 0)}


def test_a_conversion_is_that_of_decimal_and_fraction_whatever_the_size() -> None:
    rng = random.Random(14)
    for _ in range(2000):
        amount = rng.choice((1, -1)) * rng.getrandbits(rng.choice((8, 40, 63, 95)))
        numerator, denominator = rng.getrandbits(rng.choice((3, 20, 60))) + 1, rng.getrandbits(rng.choice((3, 20, 60))) + 1
        exact = converted(amount, Rate(numerator, denominator, FRIDAY))
        assert exact == round(Fraction(amount) * Fraction(numerator, denominator))
        with localcontext(prec=400, rounding=ROUND_HALF_EVEN):
            assert exact == int((Decimal(amount) * numerator / denominator).quantize(Decimal(1)))


@pytest.mark.parametrize("bits", [20, 50, 63, 95])
@pytest.mark.parametrize("to", ["EUR", "USD", "JPY", "BIG"])
def test_a_frame_is_converted_as_its_sums_are_one_by_one(bits: int, to: str) -> None:
    rng = random.Random(bits)
    rows = [
        (
            rng.choice("abcd"),
            rng.choice((THURSDAY, FRIDAY, SATURDAY)),
            rng.choice(("EUR", "USD", "JPY", "IDR", "XXX", "LOW", "BIG")[: 5 if bits > 50 else 7]),
            rng.randrange(100),
            rng.choice((1, -1)) * rng.getrandbits(bits - 8),
            rng.choice((1, -1)) * rng.getrandbits(bits - 8),
        )
        for _ in range(300)
    ]
    sums: dict[tuple[str, dt.date, str], list[int]] = {}
    for campaign, day, currency, *values in rows:
        total = sums.setdefault((campaign, day, currency), [0, 0, 0])
        for at, each in enumerate(values):
            total[at] += each
    expected: dict[tuple[str, str], list[int]] = {}
    for (campaign, day, currency), (clicks, *money) in sums.items():
        rate = TABLE.rate(currency, to, day)
        factor = Fraction(1) if rate is None else Fraction(rate.numerator, rate.denominator)
        total = expected.setdefault((campaign, currency if rate is None else to), [0, 0, 0])
        for at, each in enumerate((clicks, *(round(amount * factor) for amount in money))):
            total[at] += each
    found, notes = in_euro(frame(*rows, dtype=WIDE if bits > 63 else pl.Int64), TABLE, to)
    assert found == {key: tuple(total) for key, total in expected.items()}
    assert notes.without_rate == ("XXX",)


def test_the_sum_of_a_day_is_rounded_once() -> None:
    rows = [("a", THURSDAY, "USD", 1, 1, 0)] * 5  # 5 / 1.25 = 4, and one by one it would be 5 times 1
    assert in_euro(frame(*rows))[0] == {("a", "EUR"): (5, 4, 0)}


def test_the_euro_itself_and_the_same_currency_are_left_as_they_are() -> None:
    rows = frame(("a", THURSDAY, "USD", 1, 7, -3), ("a", FRIDAY, "USD", 1, 1, 0))
    assert in_euro(rows, to="USD") == ({("a", "USD"): (2, 8, -3)}, Notes("USD", "rates.csv to 2026-11-27"))


def test_a_currency_without_a_rate_stays_a_row_of_its_own() -> None:
    rows = frame(
        ("a", FRIDAY, "USD", 1, 16, 0),
        ("a", FRIDAY, "XXX", 2, 5, 6),
        ("a", SATURDAY, "XXX", 1, 1, 0),
        ("b", FRIDAY, "EUR", 1, 3, 0),
    )
    found, notes = in_euro(rows)
    assert found == {("a", "EUR"): (1, 10, 0), ("a", "XXX"): (3, 6, 6), ("b", "EUR"): (1, 3, 0)}
    assert notes == Notes("EUR", "rates.csv to 2026-11-27", 0, FRIDAY, ("XXX",))


def test_days_before_the_first_rate_stay_apart_too() -> None:
    rows = frame(("a", dt.date(2026, 11, 25), "USD", 1, 8, 0), ("a", FRIDAY, "USD", 1, 8, 0))
    assert in_euro(rows)[0] == {("a", "USD"): (1, 8, 0), ("a", "EUR"): (1, 5, 0)}


def test_notes_count_the_days_that_use_an_earlier_rate() -> None:
    rows = frame(
        ("a", SATURDAY, "USD", 1, 8, 0),
        ("a", SATURDAY, "JPY", 1, 8, 0),
        ("a", FRIDAY, "IDR", 1, 8, 0),
        ("a", THURSDAY, "USD", 1, 8, 0),
    )
    notes = in_euro(rows)[1]
    assert (notes.days_from_earlier, notes.last_used) == (2, FRIDAY)


def test_a_sum_beyond_64_bits_after_the_conversion_is_exact() -> None:
    found, _ = in_euro(frame(("a", THURSDAY, "EUR", 1, 2**62, 1), ("a", THURSDAY, "EUR", 1, 2**62 - 1, 1)), to="IDR")
    assert found == {("a", "IDR"): (2, round((2**63 - 1) * Fraction("20275.17")), round(2 * Fraction("20275.17")))}


def test_an_amount_that_no_column_could_hold_stays_in_its_currency() -> None:
    found, notes = in_euro(frame(("a", THURSDAY, "EUR", 1, 2**62, 0), ("b", THURSDAY, "EUR", 1, 100, 0)), to="VST")
    assert found == {("a", "EUR"): (1, 2**62, 0), ("b", "VST"): (1, round(100 * Fraction("123456789012345678.123456789")), 0)}
    assert notes.without_rate == ("EUR",)


def test_nothing_to_convert_gives_nothing() -> None:
    empty = frame(("a", FRIDAY, "USD", 1, 1, 1)).clear()
    assert in_euro(empty) == ({}, Notes("EUR", "rates.csv to 2026-11-27"))


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("UTC", FRIDAY),
        ("Europe/Berlin", SATURDAY),
        ("America/New_York", FRIDAY),
        ("Asia/Kathmandu", SATURDAY),
        ("Pacific/Niue", FRIDAY),
    ],
)
def test_the_day_of_a_rate_is_that_of_the_zone(zone: str, day: dt.date) -> None:
    at = int(dt.datetime(2026, 11, 27, 23, 30, tzinfo=dt.UTC).timestamp())
    rows = pl.DataFrame({"t": [at, at - 86_400, at]})
    assert dated(rows, Calendar(zone))[DAY].to_list() == [day, day - dt.timedelta(days=1), day]
    assert dated(rows.clear(), Calendar(zone))[DAY].to_list() == []


def test_a_thousand_campaigns_agree_with_the_packaged_history() -> None:
    rng = random.Random(3)
    days = [dt.date(2026, 10, 1) + dt.timedelta(days=number) for number in range(40)]
    rows = [
        (str(number), day, currency, 1, rng.randrange(10**12), -rng.randrange(10**9))
        for number in range(100)
        for day in days
        for currency in ("EUR", "USD")
    ]
    found, _ = in_euro(frame(*rows), packaged(), "JPY")
    for number in ("0", "99"):
        spend = 0
        for campaign, day, currency, _clicks, amount, _revenue in rows:
            rate = packaged().rate(currency, "JPY", day)
            assert rate is not None
            spend += round(Fraction(amount) * rate.numerator / rate.denominator) if campaign == number else 0
        assert found[number, "JPY"][1] == spend
