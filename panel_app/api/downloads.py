"""Files for a browser to save: the data behind each part of the overview, exact, as CSV, Parquet and more."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import polars as pl

from figures.calendar.calendar import Calendar
from figures.files.formats import FORMATS, FileFormat, csv_format
from figures.service import Service
from figures.store.names import LABELS, NOT_SET_NUMBER, OTHER_NUMBER
from figures.store.spelling import folded, matches
from figures.views import view as views
from figures.views.result_table import ResultTable, file_stem, table
from figures.views.selection import Selection
from figures.views.span import span_of

SHEETS: dict[str, tuple[bool, tuple[str, ...]]] = {
    "chart": (True, ("channel",)),
    "tiles": (True, ()),
    "campaigns": (False, ("campaign",)),
    "channels": (False, ("channel",)),
    "cells": (False, ("campaign", "channel")),
    "breakdown": (False, ()),
    "funnel": (False, ()),
}
"""What can be saved: whether it has a row for each point of the chart, and what else its rows are split by."""


FILES: dict[str, FileFormat] = {
    **FORMATS,
    "csv": csv_format(bom=True),
    "semicolons": csv_format(";", bom=True, decimal_comma=True),
}
"""Formats of a saved file: the API's, with CSV as spreadsheets open it, for locales with decimal points and with decimal commas."""


class Download(msgspec.Struct, frozen=True):
    """A file for the browser to save; `data` is Base64."""

    id: int
    name: str
    media: str
    data: str


def packed(number: int, name: str, frame: pl.DataFrame, form: str, about: Mapping[str, object]) -> str:
    """Return JSON of the `Download` of `frame` in `form`, a key of `FILES` (default CSV); `name` is the file name without its ending.

    `about` is what the file says of its rows, if it has a place for it (`formats.FileFormat.write`).
    """
    file_format = FILES.get(form, FILES["csv"])
    body = b"".join(file_format.write(frame, {**about, "count": len(frame)}))
    return msgspec.json.encode(
        Download(number, f"{name}.{file_format.ending}", file_format.media, base64.b64encode(body).decode())
    ).decode()


def sheet(service: Service, what: str, query: str, scope: views.Scope = views.EVERYTHING) -> tuple[str, ResultTable]:
    """Return the data behind the part `what` of the overview (a key of `SHEETS`), and a file name.

    It is the data that the page shows for the URL's `query`, within `scope`.
    """
    view = views.from_query(query, service.catalogue, service.settings.breakdown_list, scope)
    window = service.settings.window_seconds
    source = service.breakdown_source(view.breakdown)
    breakdown = None if source is None or not (view.filters or what == "breakdown") else source.breakdown
    figures = service.snapshot() if source is None or not view.filters else source.snapshot
    snapshot = figures if source is None or breakdown is None else source.snapshot
    span = span_of(figures, view, window)
    points, by = SHEETS[what]
    fields = () if breakdown is None or what != "breakdown" else (view.split,) if view.split else breakdown.fields
    question = Selection(
        span.start,
        span.end,
        frozenset(view.campaigns),
        frozenset(view.channels),
        interval="total",
        by=by,
        edges=span.points.edges if points else (),
        breakdown=breakdown,
        fields=fields,
        filters=view.filters if breakdown is not None else (),
        calendar=Calendar(view.zone, view.week),
        currency=view.currency,
    )
    money = service.money
    answer = table(snapshot, question, window=window, currency=money.reporting, rates=money.rates, catalogue=service.catalogue)
    if what == "campaigns":
        answer = msgspec.structs.replace(answer, frame=_as_shown(answer.frame, view))
    elif fields:
        answer = msgspec.structs.replace(answer, frame=_values_as_shown(answer.frame, answer.fields, view))
    return file_stem(what, span.range, view.zone, answer.currency), answer


def _as_shown(frame: pl.DataFrame, view: views.View) -> pl.DataFrame:
    """Return the campaigns that match the search, in the order of the table."""
    names = frame["campaign_id"].to_list()
    if view.search:
        frame = frame.filter(pl.Series([matches(name, view.search) for name in names], dtype=pl.Boolean))
    if view.sorted_by == "name":
        order = pl.Series([folded(name) for name in frame["campaign_id"].to_list()], dtype=pl.String)
        return frame.sort(order, "campaign_id", descending=view.descending)
    return frame.sort(view.sorted_by, "campaign_id", descending=[view.descending, False], nulls_last=True)


def _values_as_shown(frame: pl.DataFrame, columns: Sequence[str], view: views.View) -> pl.DataFrame:
    """Return the rows of a breakdown of which a value in `columns` matches the search, in the order of the table."""
    label = pl.when("other").then(pl.lit(LABELS[OTHER_NUMBER])).otherwise(pl.lit(LABELS[NOT_SET_NUMBER]))
    shown = frame.select(pl.coalesce(column, label).alias(column) for column in columns)
    if view.values_search:
        found = pl.Series([any(matches(text, view.values_search) for text in row) for row in shown.rows()], dtype=pl.Boolean)
        frame, shown = frame.filter(found), shown.filter(found)
    by = view.values_sort or view.metric
    if by == "name":
        order = [pl.Series([folded(text) for text in shown[column].to_list()], dtype=pl.String) for column in columns]
        return frame.sort(*order, descending=view.values_descending)
    if by not in frame.columns:
        return frame
    return frame.sort(by, *columns, descending=[view.values_descending, *[False] * len(columns)], nulls_last=True)


def reply(service: Service, number: int, asked: Mapping[str, Any], scope: views.Scope = views.EVERYTHING) -> str:
    """Return JSON of the requested `Download`: `what` (a key of `SHEETS`), `format` (of `FILES`), `query`, within `scope`."""
    what = str(asked.get("what"))
    name, answer = sheet(service, what if what in SHEETS else "campaigns", str(asked.get("query", "")), scope)
    return packed(number, name, answer.frame, str(asked.get("format")), answer.about)
