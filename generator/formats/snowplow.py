"""Snowplow's enriched events: a page view is a click of the channel that led to it, a row with a transaction's total a purchase.

``campaign_id`` is ``mkt_campaign``, ``channel`` is ``mkt_medium``, each ``(not set)`` where it is empty; the id is that of the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from zoneinfo import ZoneInfo

from generator.formats.base import CSV_SUFFIXES, BadRows, Context, RowError, members, name
from generator.formats.columns import Line
from generator.formats.dimensions import Dimensions
from generator.formats.inputs import Input
from generator.formats.numbers import NumberColumns, micros
from generator.formats.tables import CsvTable
from generator.formats.times import TimeColumn
from generator.ordering import SortedRow

REQUIRED = ("event_id", "collector_tstamp", "mkt_medium", "mkt_campaign")
OPTIONAL = ("event_name", "event", "tr_total", "derived_tstamp", "page_urlhost", "page_urlpath")
DIMENSIONS = {
    "user_id": ("domain_userid", "user_id", "network_userid"),
    "order_id": ("tr_orderid", "txn_id"),
    "ad_id": ("mkt_content",),
    "keyword": ("mkt_term",),
    "device": ("dvce_type",),
    "country": ("geo_country",),
    "click_id": ("mkt_clickid",),
    "currency": ("tr_currency", "base_currency"),
}
NOT_SET = "(not set)"


class Snowplow:
    """The format ``snowplow``."""

    suffixes = CSV_SUFFIXES

    def read(self, file: Input, context: Context) -> _EnrichedEvents:
        """Raise `InputError` where a column is missing."""
        return _EnrichedEvents(file, context)


class _EnrichedEvents:
    """One file of enriched events."""

    def __init__(self, file: Input, context: Context) -> None:
        header = CsvTable(file, REQUIRED, context.encoding)
        own = {
            field: column
            for field, columns in DIMENSIONS.items()
            if (column := next((each for each in columns if header.has(each)), None))
        }
        self._dimensions = Dimensions(own, context)
        self._table = CsvTable(file, (*REQUIRED, *self._dimensions.columns), context.encoding, OPTIONAL)
        self._retime = context.retime
        self._time = TimeColumn("collector_tstamp", file.name, context.zone or ZoneInfo("UTC"), context.dates)
        self._numbers = NumberColumns(file.name, context.decimal)
        self.columns = (self._time, self._numbers)

    def rows(self, complaints: BadRows) -> Iterator[SortedRow]:
        """Return a click or a purchase for each row that is a page view or has a transaction's total."""
        return self._table.events(complaints, self._events)

    def _events(self, values: list[str], lines: Line) -> tuple[SortedRow]:
        identity, collected, medium, campaign = values[: len(REQUIRED)]
        split = len(values) - len(OPTIONAL)
        event_name, event, total, derived, host, path = values[split:]
        # The time of the event, corrected for the client's clock; the collector's is at most some seconds later.
        time = self._time.micros(derived or collected, lines)
        fields = {
            "campaign_id": name(campaign or NOT_SET, "mkt_campaign"),
            "channel": name(medium or NOT_SET, "mkt_medium"),
        }
        revenue = self._numbers.number("tr_total", total, lines) if total else Decimal()
        if revenue < 0:
            raise RowError("negative tr_total", total)
        if total:
            kind, fields["revenue_micros"] = "purchase", str(micros("tr_total", revenue))
        elif (event_name or event) == "page_view":
            kind = "click"
        else:
            raise RowError("neither a page view nor a transaction", event_name or event)
        if host or path:
            fields["landing_page"] = name(host + path, "page_urlpath")
        fields |= self._dimensions.fields(values[len(REQUIRED) : split])
        event_id = f"{identity[: 256 - len(self._retime)]}{self._retime}"
        head = f'{{"event_id":{name(event_id, "event_id")},"event_type":"{kind}","timestamp":"'
        return (SortedRow(time, event_id, head.encode(), members(fields)),)
