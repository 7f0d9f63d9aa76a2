"""UCI Online Retail: invoices of a shop, each line an item that was bought, or given back where the invoice begins with C.

``campaign_id`` and ``country`` are the country, ``channel`` is ``online``, ``stock_code`` the item; `docs/generator.md` has the rule for
every special case in these files.
"""

from __future__ import annotations

from collections.abc import Iterator
from zoneinfo import ZoneInfo

from generator.formats.base import CSV_SUFFIXES, BadRows, Context, RowError, identity, members, name
from generator.formats.columns import Line
from generator.formats.dimensions import Dimensions
from generator.formats.inputs import Input
from generator.formats.numbers import NumberColumns, micros
from generator.formats.tables import CsvTable
from generator.formats.times import TimeColumn
from generator.ordering import SortedRow

COLUMNS = ("InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")
CHANNEL = "online"
LONDON = "Europe/London"


class OnlineRetail:
    """The format ``online-retail``."""

    suffixes = CSV_SUFFIXES

    def read(self, file: Input, context: Context) -> _Invoices:
        """Raise `InputError` where a column is missing."""
        return _Invoices(file, context)


class _Invoices:
    """One file of invoices."""

    def __init__(self, file: Input, context: Context) -> None:
        self._dimensions = Dimensions({"stock_code": "StockCode", "country": "Country"}, context)
        self._table = CsvTable(file, (*COLUMNS, *self._dimensions.columns), context.encoding)
        # UCI publishes the data set with the month first.
        self._time = TimeColumn(
            "InvoiceDate", file.name, context.zone or ZoneInfo(LONDON), context.dates, published="month-first"
        )
        self._numbers = NumberColumns(file.name, context.decimal)
        self.columns = (self._time, self._numbers)

    def rows(self, complaints: BadRows) -> Iterator[SortedRow]:
        """Return a purchase or a refund for each line of an invoice."""
        return self._table.events(complaints, self._events)

    def _events(self, values: list[str], lines: Line) -> tuple[SortedRow]:
        invoice, _, quantity_text, date, price_text, customer, country = own = values[: len(COLUMNS)]
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
        fields = {"campaign_id": name(country, "Country"), "channel": f'"{CHANNEL}"'}
        if customer:
            fields["user_id"] = name(_integer(customer), "CustomerID")
        fields["order_id"] = name(invoice, "InvoiceNo")
        fields["revenue_micros"] = str(micros("Quantity × UnitPrice", abs(quantity), price))
        tail = members(fields | self._dimensions.fields(values[len(COLUMNS) :]))
        return (SortedRow(time, identity("retail", *own), f'","event_type":"{kind}","timestamp":"', tail),)


def _integer(text: str) -> str:
    """Return ``17850.0`` as ``17850``: the files went through a tool that converts number columns with gaps to floats."""
    return text[:-2] if text.endswith(".0") else text
