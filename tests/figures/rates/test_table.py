"""The rate of a day is that day's own, else the last one before it; cross rates go by the euro, exactly."""

import datetime as dt
from fractions import Fraction

import pytest

from figures.rates.files import packaged
from figures.rates.table import EMPTY, RateTable

FRIDAY, SATURDAY, MONDAY = dt.date(2026, 11, 27), dt.date(2026, 11, 28), dt.date(2026, 11, 30)
TABLE = RateTable(
    "rates.csv", {"USD": {FRIDAY: "1.1172", MONDAY: "1.2"}, "JPY": {FRIDAY: "175.68"}, "GBP": {MONDAY: "0.80"}, "TRY": {}}
)


def value(table: RateTable, sold: str, bought: str, day: dt.date) -> tuple[Fraction, dt.date] | None:
    rate = table.rate(sold, bought, day)
    return None if rate is None else (Fraction(rate.numerator, rate.denominator), rate.day_used)


def test_a_day_with_a_rate_uses_its_own() -> None:
    assert value(TABLE, "EUR", "USD", FRIDAY) == (Fraction("1.1172"), FRIDAY)
    assert value(TABLE, "USD", "EUR", MONDAY) == (1 / Fraction("1.2"), MONDAY)


def test_a_day_without_a_rate_uses_the_last_one_before_it_and_says_which() -> None:
    assert value(TABLE, "EUR", "USD", SATURDAY) == (Fraction("1.1172"), FRIDAY)
    assert value(TABLE, "EUR", "USD", dt.date(2030, 1, 1)) == (Fraction("1.2"), MONDAY)


def test_before_the_first_rate_there_is_none() -> None:
    assert value(TABLE, "EUR", "USD", dt.date(2026, 11, 26)) is None
    assert value(TABLE, "GBP", "EUR", SATURDAY) is None
    assert value(TABLE, "TRY", "EUR", MONDAY) is None
    assert value(TABLE, "XXX", "USD", MONDAY) is None


def test_a_cross_rate_goes_by_the_euro_and_is_as_old_as_the_older_of_its_two() -> None:
    assert value(TABLE, "USD", "JPY", MONDAY) == (Fraction("175.68") / Fraction("1.2"), FRIDAY)
    assert value(TABLE, "GBP", "USD", MONDAY) == (Fraction("1.2") / Fraction("0.8"), MONDAY)


@pytest.mark.parametrize("currency", ["EUR", "USD", "XXX"])
def test_a_currency_is_worth_one_of_itself_on_any_day(currency: str) -> None:
    assert value(EMPTY, currency, currency, dt.date(1970, 1, 1)) == (Fraction(1), dt.date(1970, 1, 1))


def test_on_a_weekend_and_at_christmas_the_ecb_has_no_rate() -> None:
    table = packaged()
    for day, used in (
        (dt.date(2025, 12, 25), dt.date(2025, 12, 24)),
        (dt.date(2025, 12, 26), dt.date(2025, 12, 24)),
        (dt.date(2025, 12, 28), dt.date(2025, 12, 24)),
        (dt.date(2025, 12, 29), dt.date(2025, 12, 29)),
        (dt.date(2026, 5, 1), dt.date(2026, 4, 30)),
    ):
        rate = table.rate("USD", "EUR", day)
        assert rate is not None
        assert rate.day_used == used
        assert rate == table.rate("USD", "EUR", used)


def test_currencies_that_are_still_quoted_are_those_of_the_last_day() -> None:
    assert TABLE.quoted == {"EUR", "USD", "GBP"}
    assert "HRK" in packaged().currencies - packaged().quoted
    assert EMPTY.quoted == {"EUR"}


def test_the_name_says_to_which_day_the_rates_go() -> None:
    assert TABLE.name == "rates.csv to 2026-11-30"
    assert EMPTY.name == "no exchange rates, without any rate"
