"""Further fields of the events of a CSV file: its dimensions, the user's own mapping of columns, and its currency."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from dataflows.contract.errors import InputError
from generator.formats.base import Context, RowError, name

FIXED = ("event_id", "event_type", "timestamp", "cost_micros", "revenue_micros")
"""Fields of an event that a format computes; no column can replace them."""

NEEDED = ("campaign_id", "channel")
"""Fields that every event has: an empty value makes a row bad."""

_CURRENCY = re.compile("[A-Z]{3}")


class Dimensions:
    """Columns that become fields of an event as they are: `own`, the format's by field, and over them those of `context`.

    Raises `InputError` for a field that a format computes.
    """

    def __init__(self, own: Mapping[str, str], context: Context) -> None:
        for field, column in context.fields:
            if field in FIXED:
                raise InputError(f"--field {field}={column}: the format computes {field}; map the column to another field.")
        self._columns = dict(own) | dict(context.fields)
        self._default_currency = context.currency

    @property
    def columns(self) -> Sequence[str]:
        """The columns in the order in which `fields` takes their values."""
        return list(self._columns.values())

    def fields(self, values: Sequence[str]) -> dict[str, str]:
        """Return `values` as JSON by field; an empty one is not set, if it may be absent. Raises `RowError` for one that is not a name."""
        fields = {
            field: _currency(value, column) if field == "currency" else name(value, column)
            for (field, column), value in zip(self._columns.items(), values, strict=True)
            if value or field in NEEDED
        }
        if self._default_currency is not None:
            fields.setdefault("currency", f'"{self._default_currency}"')
        return fields


def _currency(text: str, column: str) -> str:
    if not _CURRENCY.fullmatch(text):
        raise RowError(f"{column} must be a currency of three capital letters", text)
    return f'"{text}"'
