"""Open Bandit Dataset: each row an impression of a recommended item, and a click where it says so.

``campaign_id`` is ``item-<item_id>``, ``channel`` is ``position-<position>``. The file knows no cost, no revenue, no user.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

from dataflows.schema import to_micros
from generator.formats.base import Complaints, Context, RowError, identity, name
from generator.formats.tables import header, records
from generator.ordering import Row

COLUMNS = ("timestamp", "item_id", "position", "click")
CLICKS = {"0": False, "0.0": False, "1": True, "1.0": True}


class OpenBandit:
    """The format ``open-bandit``."""

    suffixes = (".csv", ".csv.gz")

    def check(self, path: Path) -> None:
        """Raise `InputError` where a column is missing."""
        header(path, COLUMNS)

    def rows(self, path: Path, context: Context, complaints: Complaints) -> Iterator[Row]:
        """An impression for each row, and a click at the same time (the file has no other) for each that was clicked."""
        for lines, values in records(path, COLUMNS, complaints):
            try:
                yield from _events(values, context)
            except RowError as error:
                complaints.add(path, lines, error)


def _events(values: list[str], context: Context) -> list[Row]:
    timestamp, item, position, click = values
    if click not in CLICKS:
        raise RowError("click must be 0 or 1", click)
    time = _time(timestamp, context)
    if not item or not position:
        raise RowError("item_id and position must not be empty", f"{item},{position}")
    tail = f'","campaign_id":{name(f"item-{item}", "campaign_id")},"channel":{name(f"position-{position}", "channel")}}}'
    kinds = ("impression", "click") if CLICKS[click] else ("impression",)
    return [Row(time, identity("bandit", kind, *values), f'","event_type":"{kind}","timestamp":"', tail) for kind in kinds]


def _time(text: str, context: Context) -> int:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise RowError("timestamp is no time", text) from None
    if moment.tzinfo is None:
        if context.zone is None:
            raise RowError("timestamp has no zone; --timezone would give it one", text)
        moment = moment.replace(tzinfo=context.zone)
    return to_micros(moment)
