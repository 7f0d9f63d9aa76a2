"""A table of exchange rates: for each currency and day what one euro is worth, as exact fractions."""

from __future__ import annotations

import datetime as dt
import re
from bisect import bisect_right
from collections.abc import Mapping
from functools import lru_cache
from math import gcd

import msgspec

BASE = "EUR"
"""Currency that every rate is quoted against: one euro is `rate` units of the other currency."""

DailyRates = Mapping[dt.date, str]
"""Rates of one currency as decimal texts, by day."""

_CODE = re.compile(r"[A-Z]{3}")
_DECIMAL = re.compile(r"(?P<whole>\d{1,30})(?:\.(?P<part>\d{1,30}))?(?:[eE](?P<power>[+-]?\d{1,2}))?", re.ASCII)


class Rate(msgspec.Struct, frozen=True):
    """How many units of one currency a unit of another is worth: `numerator / denominator`, both above 0.

    `day_used` is the day whose rate it is: the day that was asked for, or the last one before it that has a rate.
    """

    numerator: int
    denominator: int
    day_used: dt.date


def currency_code(text: str) -> str:
    """Return the currency code in `text`; raises `ValueError` unless it is three capital letters."""
    if not _CODE.fullmatch(text):
        raise ValueError(f"{text[:20]!r} is not a currency code of three capital letters")
    return text


def rate_text(currency: str, text: str) -> str:
    """Return `text`; raises `ValueError` unless it is a decimal number above 0, such as 1.1172 or 0.75e-7, and 1 for the euro."""
    match = _DECIMAL.fullmatch(text)
    if match is None or not (match["whole"] + (match["part"] or "")).strip("0"):
        raise ValueError(f"{text[:40]!r} is not a rate of {currency}; a rate is a decimal number above 0, such as 1.1172")
    if currency == BASE and fraction(text) != (1, 1):
        raise ValueError(f"the rate of {BASE} is {text}, but rates are quoted against {BASE}, so it is 1")
    return text


@lru_cache(maxsize=50_000)
def fraction(text: str) -> tuple[int, int]:
    """Return the decimal number in `text`, one that `rate_text` has accepted, as a reduced fraction: numerator and denominator."""
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is not a decimal number")
    part = match["part"] or ""
    power = int(match["power"] or 0) - len(part)
    numerator, denominator = int(match["whole"] + part) * 10 ** max(power, 0), 10 ** max(-power, 0)
    divisor = gcd(numerator, denominator)
    return numerator // divisor, denominator // divisor


class RateTable:
    """Rates against the euro by currency and day. Immutable, and compared by identity, so that it can be part of a cache's key."""

    def __init__(self, source: str, rates: Mapping[str, DailyRates]) -> None:
        """`source` is what the table is named after; the texts in `rates` are those of `rate_text`."""
        self._source = source
        self._days = {currency: sorted(daily) for currency, daily in rates.items() if daily}
        self._rates = rates
        self.last_day = max((days[-1] for days in self._days.values()), default=None)
        """Last day that has a rate; None in an empty table."""

    @property
    def name(self) -> str:
        """What is shown with every converted figure: the source and the last day, as in "ECB reference rates to 2026-11-27"."""
        return f"{self._source} to {self.last_day}" if self.last_day else f"{self._source}, without any rate"

    @property
    def currencies(self) -> frozenset[str]:
        """The currencies that have a rate, with the euro."""
        return frozenset(self._days) | {BASE}

    @property
    def quoted(self) -> frozenset[str]:
        """The currencies that have a rate on the last day, with the euro: those that still exist."""
        return frozenset(currency for currency, days in self._days.items() if days[-1] == self.last_day) | {BASE}

    def rate(self, from_currency: str, to_currency: str, day: dt.date) -> Rate | None:
        """Return the rate of `day`, else that of the last day before it; None before the first rate of either currency.

        A rate between two other currencies is their cross rate by the euro: each at its own last rate, `day_used` being the earlier of
        the two days. A currency is worth one of itself on any day, with or without a table.
        """
        if from_currency == to_currency:
            return Rate(1, 1, day)
        sold, bought = self._per_euro(from_currency, day), self._per_euro(to_currency, day)
        if sold is None or bought is None:
            return None
        numerator, denominator = bought.numerator * sold.denominator, bought.denominator * sold.numerator
        divisor = gcd(numerator, denominator)
        return Rate(numerator // divisor, denominator // divisor, min(sold.day_used, bought.day_used))

    def _per_euro(self, currency: str, day: dt.date) -> Rate | None:
        if currency == BASE:
            return Rate(1, 1, day)
        days = self._days.get(currency, [])
        index = bisect_right(days, day)
        if not index:
            return None
        used = days[index - 1]
        return Rate(*fraction(self._rates[currency][used]), used)


EMPTY = RateTable("no exchange rates", {})
"""A table without rates: every currency is worth one of itself, and nothing of another."""
