"""UCI Online Retail: invoices of a shop, each line an item that was bought, or given back where the invoice begins with C.

``campaign_id`` is the country, ``channel`` is ``online``; `docs/generator.md` has the rule for everything that is odd in these files.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from decimal import Context as Arithmetic
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

from dataflows.schema import to_micros
from generator.formats.base import Complaints, Context, RowError, identity, name
from generator.formats.tables import header, records
from generator.ordering import Row

COLUMNS = ("InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")
CHANNEL = "online"
LONDON = "Europe/London"

# Wide enough that no product of two numbers in a file is rounded before it is a whole number of micros.
_EXACT = Arithmetic(prec=100, rounding=ROUND_HALF_EVEN)
_MICRO = Decimal(1_000_000)


class OnlineRetail:
    """The format ``online-retail``."""

    suffixes = (".csv", ".csv.gz")

    def check(self, path: Path) -> None:
        """Raise `InputError` where a column is missing."""
        header(path, COLUMNS)

    def rows(self, path: Path, context: Context, complaints: Complaints) -> Iterator[Row]:
        """A purchase or a refund for each line of an invoice."""
        zone = context.zone or ZoneInfo(LONDON)
        for lines, values in records(path, COLUMNS, complaints):
            try:
                yield _event(values, zone)
            except RowError as error:
                complaints.add(path, lines, error)


def _event(values: list[str], zone: ZoneInfo) -> Row:
    invoice, _, quantity_text, date, price_text, customer, country = values
    cancelled = invoice[:1] in ("C", "c")
    if invoice[:1] in ("A", "a") and invoice[1:].isdecimal():
        raise RowError("an adjustment (invoice A…) is no sale", invoice)
    quantity, price = _number(quantity_text, "Quantity"), _number(price_text, "UnitPrice")
    if price < 0:
        raise RowError("negative UnitPrice", price_text)
    if cancelled and quantity >= 0:
        raise RowError("a cancellation whose Quantity is not negative", f"{invoice}, {quantity_text}")
    if not cancelled and quantity <= 0:
        raise RowError(
            "Quantity is not positive and the invoice is no cancellation: a stock adjustment", f"{invoice}, {quantity_text}"
        )
    kind = "refund" if cancelled else "purchase"
    user = f',"user_id":{name(_integer(customer), "CustomerID")}' if customer else ""
    money = f',"order_id":{name(invoice, "InvoiceNo")},"revenue_micros":{_micros(quantity, price)}}}'
    tail = f'","campaign_id":{name(country, "Country")},"channel":"{CHANNEL}"{user}{money}'
    return Row(_time(date, zone), identity("retail", *values), f'","event_type":"{kind}","timestamp":"', tail)


def _number(text: str, what: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise RowError(f"{what} is no number", text) from None
    # Decimal also takes 1_000, infinity and numbers of a size that would only exhaust memory.
    if "_" in text or not number.is_finite() or abs(number.adjusted()) > 30:
        raise RowError(f"{what} is no number", text)
    return number


def _micros(quantity: Decimal, price: Decimal) -> int:
    """Quantity × price in micros, exact; where that is no whole number, the nearest (a half goes to the even one)."""
    product = _EXACT.multiply(_EXACT.multiply(abs(quantity), price), _MICRO)
    micros = int(product.to_integral_value(ROUND_HALF_EVEN, _EXACT))
    if micros > 2**63 - 1:
        raise RowError("Quantity × UnitPrice is beyond 64 bits of micros", f"{quantity} × {price}")
    return micros


def _integer(text: str) -> str:
    """``17850.0`` as ``17850``: the files went through a tool that made numbers with gaps floats."""
    return text[:-2] if text.endswith(".0") else text


@lru_cache(100_000)
def _time(text: str, zone: ZoneInfo) -> int:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        try:
            moment = dt.datetime.strptime(text, "%m/%d/%Y %H:%M")  # as UCI publishes it
        except ValueError:
            raise RowError("InvoiceDate is no time", text) from None
    # fold=0: an hour that comes twice is its first, one that does not exist is counted with the offset before the change.
    return to_micros(moment if moment.tzinfo else moment.replace(tzinfo=zone))
