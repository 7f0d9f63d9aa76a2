"""UCI Online Retail: invoices of a shop, each line an item that was bought, or given back where the invoice begins with C.

``campaign_id`` is the country, ``channel`` is ``online``; `docs/generator.md` has the rule for every special case in these files.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Decimal
from decimal import Context as Arithmetic
from zoneinfo import ZoneInfo

from generator.formats.base import CSV_SUFFIXES, BadRows, Context, RowError, identity, name
from generator.formats.columns import Line
from generator.formats.inputs import Input
from generator.formats.numbers import NumberColumns
from generator.formats.tables import CsvTable
from generator.formats.times import TimeColumn
from generator.ordering import SortedRow

COLUMNS = ("InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")
CHANNEL = "online"
LONDON = "Europe/London"

# Wide enough that no product of two numbers in a file is rounded before it is a whole number of micros.
_EXACT = Arithmetic(prec=100, rounding=ROUND_HALF_EVEN)
_MICRO = Decimal(1_000_000)


class OnlineRetail:
    """The format ``online-retail``."""

    suffixes = CSV_SUFFIXES

    def read(self, file: Input, context: Context) -> _Invoices:
        """Raise `InputError` where a column is missing."""
        return _Invoices(file, context)


class _Invoices:
    """One file of invoices."""

    def __init__(self, file: Input, context: Context) -> None:
        self._file = file
        self._table = CsvTable(file, COLUMNS, context.encoding)
        # UCI publishes the data set with the month first.
        self._time = TimeColumn(
            "InvoiceDate", file.name, context.zone or ZoneInfo(LONDON), context.dates, published="month-first"
        )
        self._numbers = NumberColumns(file.name, context.decimal)
        self.columns = (self._time, self._numbers)

    def rows(self, complaints: BadRows) -> Iterator[SortedRow]:
        """A purchase or a refund for each line of an invoice."""
        for lines, values in self._table.records(complaints):
            try:
                yield self._event(values, lines)
            except RowError as error:
                complaints.add(self._file.name, lines, error)

    def _event(self, values: list[str], lines: Line) -> SortedRow:
        invoice, _, quantity_text, date, price_text, customer, country = values
        # Times and numbers first: a row that is bad for another reason still helps to decide how the columns are read.
        time = self._time.micros(date, lines)
        quantity = self._numbers.number("Quantity", quantity_text, lines)
        price = self._numbers.number("UnitPrice", price_text, lines)
        cancelled = invoice[:1] in ("C", "c")
        if invoice[:1] in ("A", "a") and invoice[1:].isdecimal():
            raise RowError("an adjustment (invoice A…) is not a sale", invoice)
        if price < 0:
            raise RowError("negative UnitPrice", price_text)
        if cancelled and quantity >= 0:
            raise RowError("a cancellation whose Quantity is not negative", f"{invoice}, {quantity_text}")
        if not cancelled and quantity <= 0:
            raise RowError(
                "Quantity is not positive and the invoice is not a cancellation: a stock adjustment",
                f"{invoice}, {quantity_text}",
            )
        kind = "refund" if cancelled else "purchase"
        user = f',"user_id":{name(_integer(customer), "CustomerID")}' if customer else ""
        money = f',"order_id":{name(invoice, "InvoiceNo")},"revenue_micros":{_micros(quantity, price)}}}'
        tail = f'","campaign_id":{name(country, "Country")},"channel":"{CHANNEL}"{user}{money}'
        return SortedRow(time, identity("retail", *values), f'","event_type":"{kind}","timestamp":"', tail)


def _micros(quantity: Decimal, price: Decimal) -> int:
    """Return quantity × price in micros, exact; rounded half to even if it is not a whole number."""
    product = _EXACT.multiply(_EXACT.multiply(abs(quantity), price), _MICRO)
    micros = int(product.to_integral_value(ROUND_HALF_EVEN, _EXACT))
    if micros > 2**63 - 1:
        raise RowError("Quantity × UnitPrice is beyond 64 bits of micros", f"{quantity} × {price}")
    return micros


def _integer(text: str) -> str:
    """Return ``17850.0`` as ``17850``: the files went through a tool that converts number columns with gaps to floats."""
    return text[:-2] if text.endswith(".0") else text
