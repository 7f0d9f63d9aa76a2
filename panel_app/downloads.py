"""CSV for spreadsheets, in which no name can act as a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

import msgspec

from panel_app import view as views
from panel_app.query import page
from panel_app.service import Service

_ROWS = 1_000_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


class Download(msgspec.Struct, frozen=True):
    """A file for the browser to save."""

    id: int
    name: str
    text: str


def safe(text: str) -> str:
    """`text` as a cell that a spreadsheet shows and does not run: one that begins like a formula gets an apostrophe before it.

    This is OWASP's rule against CSV injection; characters before the formula that a spreadsheet skips count too.
    """
    return f"'{text}" if text.lstrip(" \ufeff\u200b\u00a0").startswith(_FORMULA) or text.startswith(_FORMULA) else text


def to_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """CSV (RFC 4180) with a header; text cells made `safe`, None as an empty cell."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([safe(column) for column in columns])
    for row in rows:
        writer.writerow(["" if cell is None else safe(cell) if isinstance(cell, str) else cell for cell in row])
    return out.getvalue()


def reply(service: Service, number: int, query: str) -> str:
    """JSON of the `Download` of the campaigns table under the view of `query`, with every row that matches."""
    view = views.from_query(query)
    found = page(service.snapshot(), view, service.settings.window_seconds, limit=_ROWS)
    table = found.campaigns
    text = to_csv(("campaign", *table.columns), ((row.name, *row.figures) for row in table.rows))
    return msgspec.json.encode(Download(number, f"adtally-campaigns-{found.span.range}.csv", text)).decode()
