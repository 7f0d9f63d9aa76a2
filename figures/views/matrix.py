"""Two more looks at the same sums: the heatmap of campaigns by channels, and spend against cost per conversion."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np

from figures.measures import Keyed, ShownMeasure
from figures.store.names import pair
from figures.views.rankings import Members, Numbers, placed, short

_HEAT_ROWS, _HEAT_COLUMNS = 10, 8
_POINTS = 200


class Heatmap(msgspec.Struct, frozen=True):
    """The chosen measure of the largest campaigns on the largest channels; `values` has a row for each campaign, None where it has none.

    `more` counts the campaigns and channels that are left out.
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
    """The points with the largest spend; of campaigns, or of the channels of a single one.

    `more` points are left out: the smaller ones, and those without a positive spend, which a logarithmic axis can't show.
    """

    by: str
    points: list[Point]
    more: int


def heatmap(pairs: Iterable[Keyed], measure: ShownMeasure, *, campaigns: Members, channels: Members) -> Heatmap:
    """Return the heatmap of `measure`; `pairs` hold sums by `names.pair`, in its order.

    The largest are those with most of the measure; where that is a rate, with the largest spend.
    """
    rows, columns = campaigns.ranked(measure.rank, _HEAT_ROWS), channels.ranked(measure.rank, _HEAT_COLUMNS)
    wanted = pair(campaigns.numbers[rows][:, None], channels.numbers[columns])
    values = np.full(wanted.shape, np.nan)
    if wanted.size:
        parts = [placed(keys, sums, wanted.ravel()) for keys, sums in pairs]
        seen = np.any([at for at, _ in parts], axis=0)
        total = sum((sums for _, sums in parts[1:]), start=parts[0][1])
        values = np.where(seen, measure.of(total), np.nan).reshape(wanted.shape)
    return Heatmap(
        campaigns=[campaigns.names[at] for at in rows],
        channels=[channels.names[at] for at in columns],
        values=[short(row) for row in values],
        more=(len(campaigns) - len(rows), len(channels) - len(columns)),
    )


def scatter(campaigns: Members, channels: Members) -> Scatter:
    """Return spend against cost per conversion."""
    single = len(campaigns) == 1
    group = channels if single else campaigns
    shown = group.ranked("spend", _POINTS)
    spend, conversions = (group.figures[name][shown].tolist() for name in ("spend", "conversions"))
    rows = zip(shown, spend, short(group.figures["cpa"][shown]), conversions, strict=True)
    points = [Point(group.names[at], money, cpa, count) for at, money, cpa, count in rows if money > 0]
    return Scatter("channel" if single else "campaign", points, len(group) - len(points))
