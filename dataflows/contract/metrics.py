"""The metric struct and its fold: count, merge, ratios. It knows no time and no Kafka.

All fields are sums, so that partial tallies of one cell can be merged in any order and give the same figures.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from dataflows.contract.schema import Event

MICROS = 1_000_000
"""Micros in one unit of currency."""


class Metrics(msgspec.Struct, gc=False, array_like=True):
    """What one cell (window, campaign, channel) has added up to; counts, and money in integer micros."""

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
        self.impressions += other.impressions
        self.clicks += other.clicks
        self.conversions += other.conversions
        self.purchases += other.purchases
        self.refunds += other.refunds
        self.spend_micros += other.spend_micros
        self.revenue_micros += other.revenue_micros
        self.refund_micros += other.refund_micros
        self.events += other.events


Cells = dict[tuple[str, str], Metrics]
"""Metrics by (campaign, channel), all of one window."""


def fold(cells: Cells, events: Iterable[Event]) -> None:
    """Count `events`, all of one window, into `cells`.

    A purchase is a conversion with money: it counts in both. A refund's revenue goes to the refunds; cost is spend whatever
    the type. This is the innermost loop of adtally: one pass, no call for each event.
    """
    for event in events:
        key = (event.campaign_id, event.channel)
        cell = cells.get(key)
        if cell is None:
            cell = cells[key] = Metrics()
        cell.events += 1
        kind = event.event_type
        revenue = event.revenue_micros
        if kind == "impression":
            cell.impressions += 1
        elif kind == "click":
            cell.clicks += 1
        elif kind == "conversion":
            cell.conversions += 1
        elif kind == "purchase":
            cell.conversions += 1
            cell.purchases += 1
        elif kind == "refund":
            cell.refunds += 1
            if revenue:
                cell.refund_micros += revenue
                revenue = 0
        if revenue:
            cell.revenue_micros += revenue
        cost = event.cost_micros
        if cost:
            cell.spend_micros += cost


class Ratios(msgspec.Struct, gc=False, frozen=True):
    """CTR, CVR, CPC, CPM, CPA and ROAS of some sums; money in currency units, None where the denominator is 0."""

    ctr: float | None
    cvr: float | None
    cpc: float | None
    cpm: float | None
    cpa: float | None
    roas: float | None


def ratios(sums: Metrics) -> Ratios:
    """The ratios of `sums`; the definitions are those of the contract (`schema.WindowResult`)."""
    impressions, clicks, conversions, spend = sums.impressions, sums.clicks, sums.conversions, sums.spend_micros
    # Without a call for each, and by position: this is done for every result.
    return Ratios(
        clicks / impressions if impressions else None,
        conversions / clicks if clicks else None,
        spend / (clicks * MICROS) if clicks else None,
        1000 * spend / (impressions * MICROS) if impressions else None,
        spend / (conversions * MICROS) if conversions else None,
        # 0 divided by a negative spend is -0.0 in floating point; a figure must not be a negative zero.
        (sums.revenue_micros - sums.refund_micros) / spend or 0.0 if spend else None,
    )
