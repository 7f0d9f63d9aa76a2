"""A page's arrays of sums are converted as exactly as a table's, and the rates that were used are accounted for."""

import datetime as dt
import random
from fractions import Fraction

import numpy as np
import pytest

from figures.rates.conversion import Notes
from figures.rates.exchange import Exchange
from figures.rates.table import RateTable

FRIDAY = dt.date(2026, 11, 27)
DAY = (FRIDAY - dt.date(1970, 1, 1)).days
TABLE = RateTable("own.csv", {"USD": {FRIDAY: "1.1172"}, "JPY": {FRIDAY: "175.68"}, "FIN": {FRIDAY: "1.00000000000000000001"}})
CURRENCIES = ("USD", "EUR", "JPY", "XXX", "FIN")


def exchanged(
    rows: list[list[int]], currencies: list[int], days: list[int], to: str = "EUR"
) -> tuple[list[list[int]], list[bool], Notes]:
    exchange = Exchange(TABLE, to, CURRENCIES, [1, 2])
    result, has_rate = exchange.converted(np.array(rows), np.array(currencies), np.array(days))
    return result.tolist(), has_rate.tolist(), exchange.notes()


@pytest.mark.parametrize("to", ["EUR", "JPY", "USD"])
def test_each_row_is_converted_at_the_rate_of_its_currency_and_day(to: str) -> None:
    rng = random.Random(4)
    rows = [[rng.randrange(9), rng.randrange(-(10**12), 10**12), rng.randrange(10**13)] for _ in range(200)]
    currencies = [rng.choice((0, 1, 2, 4)) for _ in rows]
    found, has_rate, _ = exchanged(rows, currencies, [DAY + rng.randrange(3) for _ in rows], to)
    assert all(has_rate)
    for (clicks, *money), currency, row in zip(rows, currencies, found, strict=True):
        rate = TABLE.rate(CURRENCIES[currency], to, FRIDAY)
        assert rate is not None
        factor = Fraction(rate.numerator, rate.denominator)
        assert row == [clicks, *(round(amount * factor) for amount in money)]


def test_rows_without_a_rate_are_marked_and_left_as_they_are() -> None:
    found, has_rate, notes = exchanged([[1, 16, 0], [2, 5, 6], [1, 8, 0]], [0, 3, 0], [DAY + 1, DAY, DAY - 1])
    assert found == [[1, 14, 0], [2, 5, 6], [1, 8, 0]]
    assert has_rate == [True, False, False]
    assert notes == Notes("EUR", "own.csv to 2026-11-27", 1, FRIDAY, ("USD", "XXX"))


def test_sums_that_integers_could_not_hold_become_floats() -> None:
    found, _, _ = exchanged([[1, 2**62, -(2**60)]], [0], [DAY], "JPY")
    assert found == [[1.0, pytest.approx(2**62 * 175.68 / 1.1172), pytest.approx(-(2**60) * 175.68 / 1.1172)]]


def test_no_rows_are_no_problem() -> None:
    exchange = Exchange(TABLE, "EUR", CURRENCIES, [1, 2])
    nothing = np.zeros(0, np.int64)
    result, has_rate = exchange.converted(np.zeros((0, 3), np.int64), nothing, nothing)
    assert (result.shape, has_rate.shape) == ((0, 3), (0,))
    assert exchange.notes() == Notes("EUR", "own.csv to 2026-11-27")
