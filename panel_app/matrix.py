"""Two more looks at the same sums: the heatmap of campaigns by channels, and spend against cost per conversion."""

from __future__ import annotations

import msgspec
import polars as pl

from panel_app.measures import MEASURES, sums
from panel_app.store import Snapshot
from panel_app.tables import SETTLED, Numbers, short
from panel_app.view import View

_HEAT_ROWS, _HEAT_COLUMNS = 10, 8
_POINTS = 200


class Heatmap(msgspec.Struct, frozen=True):
    """The chosen measure of the largest campaigns on the largest channels; `values` has a row for each campaign, None where it has none.

    `more` counts the campaigns and channels that found no room.
    """

    campaigns: list[str]
    channels: list[str]
    values: list[Numbers]
    more: tuple[int, int]


class Point(msgspec.Struct, frozen=True):
    """A campaign or channel: what it spent, what a conversion of it cost (None without one), and how many there were."""

    name: str
    spend: float
    cpa: float | None
    conversions: float


class Scatter(msgspec.Struct, frozen=True):
    """The points with the largest spend; of campaigns, or of the channels of a single one. `more` found no room."""

    by: str
    points: list[Point]
    more: int


def heatmap(pairs: pl.DataFrame, snapshot: Snapshot, view: View) -> Heatmap:
    """The heatmap of `view`; `pairs` holds sums by campaign, channel and `part` of time.

    The largest are those with most of the chosen measure; where that is a rate, with the largest spend.
    """
    measure = MEASURES[view.metric]
    size = pl.col(measure.size).cast(pl.Float64).sum().alias("size")
    lazy = pairs.lazy().filter(pl.col("part") >= SETTLED)

    def ranked(key: str) -> pl.LazyFrame:
        return lazy.group_by(key).agg(size).sort("size", key, descending=[True, False])

    by_campaign, by_channel, cells = pl.collect_all(
        [
            ranked("campaign"),
            ranked("channel"),
            lazy.group_by("campaign", "channel").agg(sums(wide=snapshot.wide)).select("campaign", "channel", measure.expr()),
        ]
    )
    rows, columns = by_campaign["campaign"].to_list()[:_HEAT_ROWS], by_channel["channel"].to_list()[:_HEAT_COLUMNS]
    wanted = cells.filter(pl.col("campaign").is_in(rows) & pl.col("channel").is_in(columns))
    found = {(campaign, channel): value for campaign, channel, value in wanted.iter_rows()}
    return Heatmap(
        campaigns=[snapshot.campaigns.names[number] for number in rows],
        channels=[snapshot.channels.names[number] for number in columns],
        values=[short([found.get((campaign, channel)) for channel in columns]) for campaign in rows],
        more=(len(by_campaign) - len(rows), len(by_channel) - len(columns)),
    )


def scatter(campaigns: pl.DataFrame, channels: pl.DataFrame) -> Scatter:
    """Spend against cost per conversion; both frames are what `tables.ordered` gives."""
    single = len(campaigns) == 1
    spent = (channels if single else campaigns).filter(pl.col("spend") > 0).sort("spend", "name", descending=[True, False])
    rows = spent.head(_POINTS).select("name", "spend", "cpa", "conversions").rows()
    points = [Point(name, *(short([spend])[0] or 0.0, short([cpa])[0], conversions)) for name, spend, cpa, conversions in rows]
    return Scatter("channel" if single else "campaign", points, len(spent) - len(points))
