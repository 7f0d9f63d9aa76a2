"""What the Explore page shows besides its plots: the table, and how high the plots are, so that nothing moves when they come."""

from __future__ import annotations

from typing import Any

import msgspec

from figures.service import Service
from figures.store.spelling import SpellingMark
from figures.views import exploring
from figures.views.exploring import BARS, Ask, ExploreFigures
from figures.views.money import PageCurrency
from figures.views.view import EVERYTHING, Scope

HEIGHT, _TALL = 360, 440
"""Pixels of a plot, and of one on a phone."""
_BAR = 20
_BETWEEN = 10
"""Pixels of the margins of a plot."""
_TABLE_ROWS = 200


class ExploreAnswer(msgspec.Struct, frozen=True):
    """What the page shows under its plots; `rows` are the first of `total` rows: the newest, or the largest."""

    id: int
    ask: Ask
    columns: list[str]
    """Heads of the columns; that of a field is its name."""
    kinds: list[str]
    """What each column has: time, text, field (a text too), or the unit of a measure."""
    rows: list[tuple[Any, ...]]
    total: int
    note: str
    notes: tuple[str, ...]
    """Parameters of the URL that are not applied, and what is wrong with the exchange rates, one line each."""
    marks: dict[str, SpellingMark]
    zone: str
    """The time zone of the plots."""
    currency: PageCurrency
    heights: tuple[int, int]
    """Height in pixels of all plots together: on wide screens, and on a phone."""


def find(service: Service, query: str, scope: Scope = EVERYTHING) -> tuple[ExploreFigures, tuple[str, ...]]:
    """Return the figures that the URL's `query` asks for within `scope`, and its lines (`ExploreAnswer.notes`)."""
    settings = service.settings
    ask, notes = exploring.asked(query, service.catalogue, settings.breakdown_list, scope)
    source = service.breakdown_source(ask.breakdown)
    snapshot = service.snapshot() if source is None else source.snapshot
    figures = exploring.find(snapshot, ask, settings.window_seconds, service.money, service.catalogue)
    return figures, (*notes, *service.rates_notes(ask.currency))


def height(figures: ExploreFigures, *, narrow: bool) -> int:
    """Return the height of one plot in pixels: room for the name of each bar, and for a legend in two columns (`narrow`)."""
    bars = min(len(figures.frame), BARS) * _BAR + 100 if figures.ask.kind == "bar" else 0
    return max(_TALL if narrow else HEIGHT, bars)


def shown(number: int, figures: ExploreFigures, notes: tuple[str, ...], zone: str = "UTC") -> str:
    """Return JSON of what the page shows of `figures`; `notes`: parameters not applied; `zone`: the time zone of the plots."""
    ask = figures.ask
    timed = ask.kind != "bar"
    kinds = (
        ["time"] * timed + ["text"] * len(ask.by) + ["field"] * len(ask.fields) + [measure.unit for measure in figures.measures]
    )
    columns = [*["Time"] * timed, *map(str.capitalize, ask.by), *ask.fields, *(measure.label for measure in figures.measures)]
    newest = figures.frame.sort("time", descending=True, maintain_order=True) if timed else figures.frame
    rows = newest.head(_TABLE_ROWS).rows()
    wide, narrow = ((height(figures, narrow=narrow) + _BETWEEN) * len(figures.ask.measures) for narrow in (False, True))
    answer = ExploreAnswer(
        number,
        figures.ask,
        columns,
        kinds,
        rows,
        len(figures.frame),
        figures.note,
        notes,
        figures.marks,
        zone,
        figures.currency,
        (wide, narrow),
    )
    return msgspec.json.encode(answer).decode()
