"""Open Bandit Dataset: each row an impression of a recommended item, and a click where it says so.

``campaign_id`` is ``item-<item_id>``, ``channel`` is ``position-<position>``; ``ad_id`` and ``placement`` are item and position as they
are in the file. It knows no cost, no revenue, no user.
"""

from __future__ import annotations

from collections.abc import Iterator

from generator.formats.base import CSV_SUFFIXES, BadRows, Context, RowError, identity, members, name
from generator.formats.columns import Line
from generator.formats.dimensions import Dimensions
from generator.formats.inputs import Input
from generator.formats.tables import CsvTable
from generator.formats.times import TimeColumn
from generator.ordering import SortedRow

COLUMNS = ("timestamp", "item_id", "position", "click")
CLICKS = {"0": False, "0.0": False, "1": True, "1.0": True}


class OpenBandit:
    """The format ``open-bandit``."""

    suffixes = CSV_SUFFIXES

    def read(self, file: Input, context: Context) -> _Impressions:
        """Raise `InputError` where a column is missing."""
        return _Impressions(file, context)


class _Impressions:
    """One file of recommendations."""

    def __init__(self, file: Input, context: Context) -> None:
        self._dimensions = Dimensions({"ad_id": "item_id", "placement": "position"}, context)
        self._table = CsvTable(file, (*COLUMNS, *self._dimensions.columns), context.encoding)
        self._time = TimeColumn("timestamp", file.name, context.zone, context.dates)
        self.columns = (self._time,)

    def rows(self, complaints: BadRows) -> Iterator[SortedRow]:
        """Return an impression for each row, and a click at the same time (the file has no other) for each that was clicked."""
        return self._table.events(complaints, self._events)

    def _events(self, values: list[str], lines: Line) -> list[SortedRow]:
        timestamp, item, position, click = own = values[: len(COLUMNS)]
        time = self._time.micros(timestamp, lines)
        if click not in CLICKS:
            raise RowError("click must be 0 or 1", click)
        if not item or not position:
            raise RowError("item_id and position must not be empty", f"{item},{position}")
        campaign, channel = name(f"item-{item}", "campaign_id"), name(f"position-{position}", "channel")
        tail = members({"campaign_id": campaign, "channel": channel} | self._dimensions.fields(values[len(COLUMNS) :]))
        kinds = ("impression", "click") if CLICKS[click] else ("impression",)
        return [SortedRow(time, identity("bandit", kind, *own), f'","event_type":"{kind}","timestamp":"', tail) for kind in kinds]
