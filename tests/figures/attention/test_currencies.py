"""What needs attention is found in the money of all currencies, converted to the reporting one."""

import datetime as dt

import numpy as np

from figures.attention.history import REVENUE, SPEND, Keeper
from figures.rates.table import RateTable
from figures.store.store import Store
from tests.support.results import BEGIN, result

DAY = dt.datetime.fromtimestamp(BEGIN, dt.UTC).date()


def table(text: str) -> RateTable:
    return RateTable("own.csv", {"USD": {DAY: text}})


def held(store: Store, keeper: Keeper) -> tuple[float, float]:
    """Spend and revenue of all campaigns in the first half hour."""
    past = keeper.history(store.snapshot(), BEGIN, BEGIN + 1800).whole(BEGIN, 60)
    total = past.series.sum(axis=0)
    return float(total[SPEND]), float(total[REVENUE])


def test_other_currencies_count_at_the_rate_of_their_day_and_those_without_a_rate_do_not() -> None:
    store = Store()
    store.apply(
        [
            result(3, "a", currency="EUR", spend_micros=2_000_000),
            result(4, "b", currency="USD", spend_micros=5_000_000, revenue_micros=10_000_000, refund_micros=5_000_000),
            result(5, "c", currency="XXX", spend_micros=7_000_000),
        ]
    )
    tables = [table("1.25")]
    keeper = Keeper("EUR", lambda: tables[0])
    assert np.allclose(held(store, keeper), (6.0, 4.0))
    tables[0] = table("2.5")  # a corrected rate
    assert np.allclose(held(store, keeper), (4.0, 2.0))


def test_amounts_beyond_64_bits_are_converted_too() -> None:
    store = Store()
    store.apply([result(4, "b", currency="USD", spend_micros=5 * 2**80)])
    assert np.allclose(held(store, Keeper("EUR", lambda: table("1.25"))), (4 * 2**80 / 1e6, 0.0))
