"""From a snapshot and a view to the figures of one page. Pure functions on polars frames; they know no Panel and no Kafka."""

from __future__ import annotations

import msgspec
import numpy as np

from dataflows.contract.metrics import COUNTS, SUMS
from figures.catalogue import BUILT_IN, Catalogue
from figures.measures import Floats, Keys, Sums, compared
from figures.store.snapshot import Snapshot
from figures.store.spelling import SpellingMark
from figures.views import breakdown_table, charts, matrix, rankings
from figures.views.breakdown_table import BreakdownSource, BreakdownTable
from figures.views.charts import Chart, Tile
from figures.views.keys import CAMPAIGNS
from figures.views.matrix import Heatmap, Scatter
from figures.views.money import USD, Money, PageCurrency, PageMoney
from figures.views.rankings import Numbers
from figures.views.span import ShownComparison, ShownRange, SpanFigures, span_of
from figures.views.view import View

_FUNNEL = [SUMS.index(name) for name in COUNTS]
_STEPS = ("clicks", "conversions", "purchases")
"""Steps of the funnel after the impressions, in the order of `COUNTS`."""


class Moved(msgspec.Struct, frozen=True):
    """A change, or the difference that replaces it (`measures.compared`)."""

    change: float | None
    difference: float | None


class OverviewPage(msgspec.Struct, frozen=True):
    """Everything that the overview shows of the data, under one version of the store."""

    version: int
    rows: int
    oldest: int
    newest: int
    span: SpanFigures
    range: ShownRange
    compare: ShownComparison
    zone: str
    """IANA name of the time zone of days, and with `week` of weeks and months."""
    week: str
    currency: PageCurrency
    empty: bool
    tiles: list[Tile]
    chart: Chart
    campaigns: rankings.RankedTable
    channels: rankings.RankedTable
    heatmap: Heatmap
    scatter: Scatter
    funnel: dict[str, float]
    marks: dict[str, SpellingMark]
    """How names of the tables and the heatmap that look like another one differ from it, by name."""
    breakdown: BreakdownTable | None
    """The values of the view's breakdown; None if none is declared."""
    figures_of: str
    """The breakdown whose rows everything here is computed from, because of filters on its values; empty for the main results."""
    funnel_changes: dict[str, Moved]
    """Changes of the conversion rate from the previous step to this one, over the compared minutes; empty without a comparison."""


def page(
    snapshot: Snapshot,
    view: View,
    window: int = 60,
    limit: int = 0,
    *,
    money: Money = USD,
    catalogue: Catalogue = BUILT_IN,
    source: BreakdownSource | None = None,
) -> OverviewPage:
    """Return the figures of `view`, with amounts as `money` says; `window` is the length of a window in seconds.

    `limit` is a number of campaigns other than the view's; `catalogue` has the measures; `source` is the view's breakdown, and needed
    for filters on its values.

    What lies before the open minutes is remembered (`PageSums`), so that a refresh costs those: a call into polars costs more than
    the rows of an hour.
    """
    version, figures_of = snapshot.version, ""
    if source is not None and view.filters:
        snapshot, figures_of = source.snapshot, source.breakdown.name
    span = span_of(snapshot, view, window)
    page_money = PageMoney(snapshot, view, span, money)
    page_sums = page_money.sums(snapshot)
    measure, columns = catalogue.measures[view.metric], catalogue.columns(view.metric, view.sort)
    nothing = np.zeros(len(snapshot.shape.sums), np.int64)
    settled, opened, earlier = parts = page_sums.compared(), page_sums.left_out(), page_sums.before()
    held_totals = [part.total for part in (settled, opened) if part.total is not None]
    now = sum(held_totals[1:], start=held_totals[0]) if held_totals else None
    # A previous period that is held only in part is not compared; one that is held but without events is.
    whole = span.compared > 0
    before = None if not whole else nothing if earlier.total is None else earlier.total
    complete = None if now is None else nothing if settled.total is None else settled.total
    all_campaigns = rankings.grouped([part.campaigns for part in parts], snapshot.campaigns, measure, columns, whole=whole)
    all_channels = rankings.grouped([part.channels for part in parts], snapshot.channels, measure, columns, whole=whole)
    lines = charts.lines(page_sums.cells(), page_sums.earlier_cells(), span)
    shown = charts.chart(snapshot, measure, span, lines, all_channels)

    def trends(numbers: Keys, spare: Keys) -> list[Numbers]:
        keyed = page_sums.trends(CAMPAIGNS, numbers, spare)
        return rankings.trends(len(numbers), keyed, measure=measure, span=span, unknown=shown.incomplete(span))

    campaigns, channels = rankings.campaigns(all_campaigns, view, trends, limit), rankings.channels(all_channels, view)
    heatmap = matrix.heatmap([settled.pairs, opened.pairs], measure, campaigns=all_campaigns, channels=all_channels)
    return OverviewPage(
        version=version,
        rows=snapshot.rows,
        oldest=snapshot.oldest,
        newest=snapshot.newest,
        span=span.figures,
        range=span.shown_range,
        compare=span.comparison,
        zone=view.zone,
        week=view.week,
        currency=page_money.currency(),
        empty=now is None,
        tiles=charts.tiles(catalogue.tiles(view.metric), lines, span, shown, now=now, complete=complete, before=before),
        chart=shown,
        campaigns=campaigns,
        channels=channels,
        heatmap=heatmap,
        scatter=matrix.scatter(all_campaigns, all_channels),
        marks={
            **snapshot.campaigns.marks([*(row.name for row in campaigns.rows), *heatmap.campaigns]),
            **snapshot.channels.marks([*(row.name for row in channels.rows), *heatmap.channels]),
        },
        breakdown=None
        if source is None
        else breakdown_table.table(source, view, span, page_money, catalogue, incomplete=shown.incomplete(span)),
        figures_of=figures_of,
        funnel=dict.fromkeys(COUNTS, 0.0) if now is None else _funnel(now),
        funnel_changes={} if complete is None or before is None else _funnel_changes(complete, before),
    )


def _funnel(total: Sums) -> dict[str, float]:
    return dict(zip(COUNTS, map(float, total[_FUNNEL]), strict=True))


def _funnel_changes(now: Sums, was: Sums) -> dict[str, Moved]:
    """Return the changes of the funnel's conversion rates, each step relative to the one before."""

    def parts(total: Sums) -> Floats:
        sums = total[_FUNNEL].astype(np.float64)[: len(_STEPS) + 1]
        return np.divide(sums[1:], sums[:-1], out=np.full(len(_STEPS), np.nan), where=sums[:-1] != 0)

    changes, differences = map(rankings.short, compared(parts(now), parts(was)))
    return {step: Moved(change, apart) for step, change, apart in zip(_STEPS, changes, differences, strict=True)}
