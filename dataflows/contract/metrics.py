"""The sums of a cell, and the contribution of an event to them. This module knows neither time nor Kafka.

All fields are sums, so that partial tallies of one cell can be merged in any order and give the same figures.
"""

from __future__ import annotations

import msgspec

from dataflows.contract.schema import Event, EventType


class Metrics(msgspec.Struct, gc=False, array_like=True):
    """Sums of one cell (window, campaign, channel): counts, and money in integer micros."""

    impressions: int = 0
    clicks: int = 0
    conversions: int = 0
    purchases: int = 0
    refunds: int = 0
    spend_micros: int = 0
    revenue_micros: int = 0
    refund_micros: int = 0
    events: int = 0

    def merge(self, other: Metrics) -> None:
        """Add the sums of `other` to these."""
        for name in SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))


SUMS: tuple[str, ...] = Metrics.__struct_fields__
"""The names of the sums, in their order: the counts, the money, the events."""

MONEY = tuple(name for name in SUMS if name.endswith("_micros"))
"""Sums of money, in micros of the deployment's currency."""

COUNTS = tuple(name for name in SUMS if name not in {*MONEY, "events"})
"""Counts of events of certain types; `events` counts them all."""


class Contribution(msgspec.Struct, frozen=True):
    """Contribution of an event of one type to its cell: 1 to each of `counts`, its revenue to `revenue`. Its cost is always spend."""

    counts: tuple[str, ...]
    revenue: str = "revenue_micros"


CONTRIBUTIONS: dict[EventType, Contribution] = {
    "impression": Contribution(("impressions",)),
    "click": Contribution(("clicks",)),
    "conversion": Contribution(("conversions",)),
    # A purchase is a conversion with money.
    "purchase": Contribution(("conversions", "purchases")),
    "refund": Contribution(("refunds",), revenue="refund_micros"),
    "cost": Contribution(()),
}

ROLES: tuple[EventType, ...] = ("impression", "click", "conversion", "purchase", "refund")
"""The built-in types whose contribution a declared type may have too."""


Cells = dict[tuple[str, str], Metrics]
"""Metrics by (campaign, channel), all of one window."""


def fold(cells: Cells, event: Event) -> None:
    """Add `event` to its cell of `cells`, which are those of its window, as `CONTRIBUTIONS` says."""
    cell = cells.setdefault((event.campaign_id, event.channel), Metrics())
    cell.events += 1
    adds = CONTRIBUTIONS[event.event_type]
    for name in adds.counts:
        setattr(cell, name, getattr(cell, name) + 1)
    if event.revenue_micros:
        setattr(cell, adds.revenue, getattr(cell, adds.revenue) + event.revenue_micros)
    if event.cost_micros:
        cell.spend_micros += event.cost_micros
