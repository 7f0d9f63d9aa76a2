"""What the money of a page is in: one currency, to which the others are converted; and what a page says about it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np
import polars as pl

from dataflows.contract.constants import MICROS
from dataflows.contract.metrics import MONEY
from figures.calendar.calendar import Calendar
from figures.measures import matrix, sums
from figures.rates.conversion import CURRENCY, Notes, convert, dated
from figures.rates.exchange import Exchange
from figures.rates.files import packaged
from figures.rates.table import RateTable
from figures.store.snapshot import Snapshot
from figures.views.converted import ConvertedSums
from figures.views.grid import Grid
from figures.views.keys import PAIRS, KeyCode, conditions, passing
from figures.views.parameters import NATIVE
from figures.views.span import TimeSpan
from figures.views.sums import PageSums
from figures.views.view import Filtered, View

_DAY = 86_400
_AMOUNTS = ("spend_micros", "revenue_micros")


class UsedRates(msgspec.Struct, frozen=True):
    """The table that amounts were converted by: its name, the number of days that used the rate of an earlier day, the last day used."""

    name: str
    days_from_earlier: int
    last_used: dt.date | None


class Apart(msgspec.Struct, frozen=True):
    """Amounts in a currency that are in no figure of the page."""

    currency: str
    spend: float
    revenue: float


class PageCurrency(msgspec.Struct, frozen=True):
    """The currency of a page: what was chosen (`shown`, a code or `NATIVE`), and what its amounts are in (`money`).

    `available` are the currencies that can be chosen; none where everything that is held is in the reporting currency.
    """

    shown: str
    money: str
    reporting: str
    available: list[str]
    rates: UsedRates | None
    """None if nothing had to be converted."""
    apart: list[Apart]


class Money(msgspec.Struct, frozen=True):
    """How amounts come to be in the currency of the URL (empty for `reporting`): `rates` gives the table to convert by."""

    reporting: str
    rates: Callable[[], RateTable] = packaged


USD = Money("USD")
"""The default of functions: amounts in dollars."""


class ScopeMoney:
    """The money of the rows that pass the filters `wanted`, between `start` and `end` (seconds since 1970)."""

    def __init__(self, snapshot: Snapshot, wanted: Filtered, currency: str, money: Money, *, start: int, end: int) -> None:
        """`currency` is a code, `NATIVE`, or empty for the reporting currency."""
        self._reporting, self._asked = money.reporting, currency
        self._snapshot, self._wanted, self._start, self._end = snapshot, wanted, start, end
        self._held = [*snapshot.names[CURRENCY].names]
        self._apart: Mapping[str, tuple[float, float]] = {}
        self.table: RateTable | None = None
        """The rates by which other currencies are converted; None if there is nothing to convert."""
        self.code = currency or money.reporting
        """The currency that amounts are in."""
        if currency == NATIVE:
            self.show_one()
        elif any(each != self.code for each in self._held):
            self.table = money.rates()

    def show_one(self) -> None:
        """Have one currency shown as it is, and the others apart: the reporting one, or without it the one with the most events."""
        self.table = None
        by_currency = self._snapshot.remembered(
            ("currencies", self._wanted.campaigns, self._wanted.channels, self._wanted.filters),
            self._start,
            self._end,
            self._by_currency,
        )
        if self._asked == NATIVE:
            most = max(by_currency, key=lambda code: (code == self._reporting, by_currency[code][0], code), default="")
            self.code = most or self._reporting
        self._apart = {code: amounts[1:] for code, amounts in by_currency.items() if code != self.code}

    def accounted(self, notes: Notes | None, apart: Mapping[str, tuple[float, float]]) -> PageCurrency:
        """Return what is said of the currency; `apart` has the spend and revenue (in micros) that had no rate."""
        apart = {**self._apart, **apart}
        return PageCurrency(
            shown=NATIVE if self._asked == NATIVE else self.code,
            money=self.code,
            reporting=self._reporting,
            available=_available(self._held, self._reporting, self.code, self.table),
            rates=notes and UsedRates(notes.rates, notes.days_from_earlier, notes.last_used),
            apart=[
                Apart(currency, spend / MICROS, revenue / MICROS)
                for currency, (spend, revenue) in sorted(apart.items())
                if spend or revenue
            ],
        )

    def _by_currency(self) -> dict[str, tuple[int, float, float]]:
        """Return events, spend and revenue (in micros) by currency."""
        snapshot, tested = self._snapshot, conditions(self._snapshot, self._wanted, None)
        rows = passing(snapshot.between(self._start, self._end, _DAY, by=(*PAIRS.dimensions, *tested, CURRENCY)), tested)
        sums = matrix(rows, ["events", *_AMOUNTS], wide=snapshot.wide)
        numbers, names = rows[CURRENCY].to_numpy(), snapshot.names[CURRENCY].names
        return {names[number]: tuple(sums[numbers == number].sum(axis=0).tolist()) for number in np.unique(numbers).tolist()}


class PageMoney(ScopeMoney):
    """The money of one page over `span`, of which `snapshot` has the main figures."""

    def __init__(self, snapshot: Snapshot, view: View, span: TimeSpan, money: Money) -> None:
        super().__init__(snapshot, view, view.currency, money, start=span.start, end=span.end)
        self._view, self._span = view, span
        self._source: ConvertedSums | None = None

    def sums(self, snapshot: Snapshot, code: KeyCode = PAIRS, view: View | None = None) -> PageSums:
        """Return the sums of the main results or of a breakdown, in the page's currency; `currency` accounts for the first ones.

        `view` replaces the filters of the page.
        """
        view = view or self._view
        if self.table is not None:
            columns = [snapshot.shape.sums.index(name) for name in MONEY]
            exchange = Exchange(self.table, self.code, snapshot.names[CURRENCY].names, columns)
            sums = ConvertedSums(snapshot, view, self._span, exchange, code=code)
            if sums.has_room:
                self._source = self._source or sums
                return sums
            self.show_one()
        return PageSums(snapshot, view, self._span, self.code, code)

    def currency(self) -> PageCurrency:
        """Return what the page says of its currency; to be called after its sums were asked for."""
        source = self._source
        return self.accounted(None, {}) if source is None else self.accounted(source.notes(), source.left())


def converted_rows(
    rows: pl.DataFrame, snapshot: Snapshot, money: ScopeMoney, *, keys: Sequence[str], zone: str, points: Grid
) -> tuple[pl.DataFrame, PageCurrency]:
    """Return `rows` (with `t` and the number of their currency) in the currency of `money`, and what is said of it.

    `t` is brought down to the first instant of one of `points`, and rows are added up by `keys` where they are converted. Rows without a
    rate are left out.
    """
    starts = points.floor(rows["t"].to_numpy())
    if money.table is None:
        return rows.with_columns(t=starts), money.accounted(None, {})
    names = pl.lit(snapshot.names[CURRENCY].series())
    dated_rows = dated(rows, Calendar(zone)).with_columns(names.gather(pl.col(CURRENCY)).alias(CURRENCY), t=starts)
    totals = sums(snapshot.shape.sums, wide=snapshot.wide)
    added, notes = convert(dated_rows, money.table, money.code, keys=keys, money=MONEY, totals=totals)
    is_shown = pl.col(CURRENCY) == money.code
    left = added.filter(~is_shown).group_by(CURRENCY).agg(pl.col(_AMOUNTS).cast(pl.Float64).sum())
    apart = {currency: (spend, revenue) for currency, spend, revenue in left.iter_rows()}
    return added.filter(is_shown), money.accounted(notes, apart)


def _available(held: list[str], reporting: str, shown: str, table: RateTable | None) -> list[str]:
    """Return the currencies that can be chosen, those that are held first; none where there is only the reporting one."""
    own = sorted({*held, reporting, shown})
    if own == [reporting]:
        return []
    return [*own, *sorted((table.quoted if table else frozenset()) - {*own})]
