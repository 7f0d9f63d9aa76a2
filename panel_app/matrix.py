"""Two more looks at the same sums: the heatmap of campaigns by channels, and spend against cost per conversion."""

from __future__ import annotations

import msgspec
import polars as pl

from panel_app.measures import MEASURES, SUMS, figure
from panel_app.snapshot import Snapshot
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
    """The points with the largest spend; of campaigns, or of the channels of a single one. `more` were left out unseen."""

    by: str
    points: list[Point]
    more: int


def heatmap(pairs: pl.DataFrame, snapshot: Snapshot, view: View, *, campaigns: pl.DataFrame, channels: pl.DataFrame) -> Heatmap:
    """The heatmap of `view`; `pairs` holds sums by campaign, channel and `part` of time, the others are what `tables.ordered` gives.

    The largest are those with most of the chosen measure; where that is a rate, with the largest spend.
    """
    measure = MEASURES[view.metric]
    by = measure.id if measure.additive else "spend"
    rows = _largest(campaigns, by, "campaign", _HEAT_ROWS)["campaign"].to_list()
    columns = _largest(channels, by, "channel", _HEAT_COLUMNS)["channel"].to_list()
    wanted = pl.col("campaign").is_in(rows) & pl.col("channel").is_in(columns) & (pl.col("part") >= SETTLED)
    # Few rows are left, at most two for a cell: plain Python adds them up quicker than another pass of polars.
    cells: dict[tuple[int, int], dict[str, float]] = {}
    for row in pairs.filter(wanted).iter_rows(named=True):
        cell = cells.setdefault((row["campaign"], row["channel"]), dict.fromkeys(SUMS, 0))
        for name in SUMS:
            cell[name] += row[name]
    return Heatmap(
        campaigns=[snapshot.campaigns.names[number] for number in rows],
        channels=[snapshot.channels.names[number] for number in columns],
        values=[short([figure(measure, cells.get((campaign, channel))) for channel in columns]) for campaign in rows],
        more=(len(campaigns) - len(rows), len(channels) - len(columns)),
    )


def scatter(campaigns: pl.DataFrame, channels: pl.DataFrame) -> Scatter:
    """Spend against cost per conversion; both frames are what `tables.ordered` gives."""
    single = len(campaigns) == 1
    frame = channels if single else campaigns
    rows = _largest(frame, "spend", "name", _POINTS).select("name", "spend", "cpa", "conversions").rows()
    points = [Point(name, spend, short([cpa])[0], conversions) for name, spend, cpa, conversions in rows if spend > 0]
    return Scatter("channel" if single else "campaign", points, max(len(frame) - _POINTS, 0))


def _largest(frame: pl.DataFrame, by: str, key: str, limit: int) -> pl.DataFrame:
    return frame.sort(by, key, descending=[True, False], nulls_last=True).head(limit)
