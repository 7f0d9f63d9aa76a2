"""A refresh of a page with a breakdown is what a fresh store answers, to the byte, whatever came in between."""

from __future__ import annotations

import datetime as dt
import random

import msgspec
import pytest

from dataflows.contract.breakdowns import Breakdown
from dataflows.contract.schema import WindowResult, rfc3339
from figures.rates.table import RateTable
from figures.store.rows import Values
from figures.store.shape import shape_of
from figures.store.store import Store
from figures.views.breakdown_table import BreakdownSource
from figures.views.money import Money
from figures.views.query import page
from figures.views.view import asked
from tests.support.results import BEGIN, result

AD = Breakdown("ad", ("adgroup_id", "ad_id"))
DAY = dt.datetime.fromtimestamp(BEGIN, dt.UTC).date() - dt.timedelta(days=1)
RATES = [RateTable(f"{rate}.csv", {"USD": {DAY: rate}}) for rate in ("1.25", "1.37")]
QUERIES = [
    "range=15m",
    "range=15m&bsort=cpa&border=asc",
    "range=15m&bsort=name&rows=all&brows=all",
    "range=30m&bsort=name&border=desc&bq=B&sort=name",
    "range=15m&split=ad_id&metric=clicks&bq=2",
    "range=1h&split=adgroup_id&metric=roas",
    "range=15m&campaign=a&compare=none",
    "range=15m&f.ad_id=b2&f.ad_id=A1&x.adgroup_id.null=1",
    "range=30m&x.ad_id=b2&channel=x&metric=conversions",
    "range=24h&x.ad_id=a1&bsort=name",
    "range=7d&currency=native",
    "range=15m&currency=USD&bsort=spend",
    "range=today&tz=Asia/Kathmandu",
]

Batch = tuple[list[WindowResult], list[Values]]


class Deployment:
    """The store of the main results and that of their breakdown."""

    def __init__(self, hours: float, days: float) -> None:
        self.main = Store(hours, days, packed_from=200)
        self.ads = Store(hours, days, packed_from=200, shape=shape_of((), AD.fields))

    def apply(self, batch: Batch) -> None:
        rows, values = batch
        self.main.apply(rows)
        self.ads.apply(rows, values=values)

    def answer(self, query: str, rates: RateTable) -> bytes:
        source = BreakdownSource(AD, self.ads.snapshot(), "live", (AD,))
        shown = page(self.main.snapshot(), asked(query, breakdowns=(AD,)).view, money=Money("EUR", lambda: rates), source=source)
        return msgspec.json.encode(msgspec.structs.replace(shown, version=0))


def batch(draw: random.Random, newest: int, revision: int) -> Batch:
    """Rows of the newest minutes, new ones and such that are restated, and now and then one of long ago."""
    rows: list[WindowResult] = []
    values: list[Values] = []
    for _ in range(draw.randrange(12)):
        minute = newest - draw.choice((0, 0, 0, 1, 1, 2, draw.randrange(70)))
        row = result(
            minute,
            draw.choice("abc"),
            draw.choice("xy"),
            currency=draw.choice(("EUR", "EUR", "USD", "XXX")),
            clicks=draw.randrange(50),
            conversions=draw.randrange(3),
            spend_micros=draw.choice((draw.randrange(-9, 10**9), 1_000_000)),
            revision=revision,
            state=draw.choice(("provisional", "final")) if newest - minute < 3 else "corrected",
        )
        ad = draw.choice((None, True, "a1", "A1", "á1", "b2", f"c{newest // 9}"))
        rows.append(row)
        values.append((True, True) if ad is True else (draw.choice((None, "g", "G")), ad))
    # The main results are not the sum of these: each of the two is compared with itself.
    return rows, values


def ended(applied: list[Batch], newest: int) -> Batch:
    """What is still provisional and no longer of the newest two minutes, as it becomes final."""
    limit = rfc3339(BEGIN + 60 * (newest - 2))
    pairs = [
        (msgspec.structs.replace(row, state="final"), value)
        for rows, values in applied[-8:]
        for row, value in zip(rows, values, strict=True)
        if row.state == "provisional" and row.window_start <= limit
    ]
    return [row for row, _ in pairs], [value for _, value in pairs]


@pytest.mark.parametrize(("hours", "days", "seed"), [(24, 0, 1), (1, 2, 3)])
def test_a_refresh_is_what_a_fresh_store_answers(hours: float, days: float, seed: int) -> None:
    draw = random.Random(seed)
    kept, applied, newest = Deployment(hours, days), list[Batch](), 80
    first = [result(minute, "abc"[minute % 3], revision=1) for minute in range(newest)]
    applied.append((first, [("g", f"a{minute % 4}") for minute in range(newest)]))
    kept.apply(applied[0])
    for revision in range(10, 30):
        newest += draw.choice((0, 0, 1, 1, 2, 20))
        for each in (ended(applied, newest), batch(draw, newest, revision)):
            applied.append(each)
            kept.apply(each)
        for query in draw.sample(QUERIES, 4):
            kept.answer(query, draw.choice(RATES))
    fresh = Deployment(hours, days)
    for each in applied:
        fresh.apply(each)
    for query in QUERIES:
        rates = draw.choice(RATES)
        assert kept.answer(query, rates) == fresh.answer(query, rates), query
