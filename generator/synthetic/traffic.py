"""The cells (one campaign on one channel each), and their shares of the traffic at a given time.

The weights are functions of the event time alone (not of when a run began), so that every state of the demo shows in any half hour,
and the same time always looks the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import msgspec

from dataflows.contract.event_types import DeclaredType
from generator.synthetic.campaigns import Campaign, Channel, Shape

Kind = Literal["impression", "click", "conversion", "purchase", "refund", "cost"]
KINDS: tuple[Kind, ...] = ("impression", "click", "conversion", "purchase", "refund", "cost")

_AS_KIND: dict[str | None, Kind] = {kind: kind for kind in KINDS}

_PER_CONVERSION = {"add_to_cart": 2.5, "begin_checkout": 1.6, "view_content": 4.0, "page_view": 6.0, "sign_up": 0.4}
"""Events of a declared type without a role for one conversion; of any other name as many as conversions."""

_SHARES = {"impression": 0.05, "click": 0.05, "conversion": 0.3, "purchase": 0.2, "refund": 0.1}
"""Events of a declared type for one of the built-in type whose role it has."""


class Mix(msgspec.Struct, frozen=True):
    """Relative frequencies of the whole; conversions include purchases. Refunds and `cost` events come on top of it."""

    impressions: float = 80.0
    clicks: float = 17.0
    conversions: float = 3.0


class EventKind(msgspec.Struct, frozen=True, gc=False):
    """What can happen in a slot: an event of type `name` in a cell, whose mean money is `micros` (0: it carries none).

    It is generated as a built-in `kind`: a declared type as its role, or without one as a conversion.
    """

    name: str
    kind: Kind
    cell: int
    micros: float


class TrafficCell(msgspec.Struct, frozen=True):
    """A campaign on one of its channels, with its share of the campaign's volume."""

    campaign: Campaign
    channel: Channel
    share: float

    def money(self, kind: Kind) -> float:
        """Return the mean micros of an event of `kind`: cost of an impression, click or `cost` event, revenue of a purchase."""
        units = {
            "impression": self.channel.cpm / 1000,
            "click": self.channel.cpc,
            "purchase": self.campaign.basket,
            "cost": self.campaign.fee,
        }
        return units.get(kind, 0.0) * 1_000_000


def volume(shape: Shape, minute: float) -> float:
    """Return the factor on all events of a campaign at `minute` (since 1970, event time)."""
    if shape == "rising":
        return 0.3 * 8.0 ** min(minute % 45 / 40, 1.0)
    if shape == "silent":
        return 1.0 if minute % 24 < 14 else 0.0
    return 1.0


def clicking(shape: Shape, minute: float) -> float:
    """Return the factor on the clicks of a campaign at `minute`."""
    return 9.0 if shape == "flood" and minute % 15 < 3 else 1.0


def converting(shape: Shape, minute: float) -> float:
    """Return the factor on the conversions of a click at `minute`."""
    if shape == "failing":
        return 0.02 if minute % 20 >= 12 else 1.0
    return 1.0 / clicking(shape, minute)


def daily(campaign: Campaign, minute: float) -> float:
    """Return the factor of the daily curve: `1 + swing` in the hour of the peak (UTC), `1 - swing` twelve hours from it."""
    return 1.0 + campaign.swing * math.cos((minute / 60 % 24 - campaign.peak) * math.pi / 12)


def cells_of(campaigns: Sequence[Campaign], channels: Sequence[Channel]) -> tuple[TrafficCell, ...]:
    """Return each campaign on those of its channels that are in `channels`; one without any of them gets one of them in turn."""
    wanted = {channel.name: channel for channel in channels}
    cells: list[TrafficCell] = []
    for index, campaign in enumerate(campaigns):
        own = [wanted[name] for name in campaign.channels if name in wanted] or [channels[index % len(channels)]]
        # The first channel of a campaign is its largest.
        total = sum(1 / (rank + 1) for rank in range(len(own)))
        cells += [TrafficCell(campaign, channel, 1 / (rank + 1) / total) for rank, channel in enumerate(own)]
    # Channels that no campaign names would otherwise stay empty.
    unused = [channel for channel in channels if not any(cell.channel is channel for cell in cells)]
    return (*cells, *(TrafficCell(campaigns[index % len(campaigns)], channel, 0.3) for index, channel in enumerate(unused)))


def outcomes_of(cells: Sequence[TrafficCell], declared: Sequence[DeclaredType] = ()) -> tuple[EventKind, ...]:
    """Return every possible outcome, in the order of `weights`: for each cell the six kinds, then the declared types."""
    return tuple(
        outcome
        for index, cell in enumerate(cells)
        for outcome in (
            *(EventKind(kind, kind, index, cell.money(kind)) for kind in KINDS),
            *(EventKind(each.name, kind_of(each), index, _revenue(cell, each)) for each in declared),
        )
    )


def kind_of(declared: DeclaredType) -> Kind:
    """Return the built-in type as which an event of a declared type is generated."""
    return _AS_KIND.get(declared.role, "conversion")


def _revenue(cell: TrafficCell, declared: DeclaredType) -> float:
    # An impression or a click of a declared type costs nothing on top of the built-in ones.
    return cell.money("purchase") if declared.role == "purchase" else 0.0


def weights(cells: Sequence[TrafficCell], mix: Mix, minute: float, declared: Sequence[DeclaredType] = ()) -> list[float]:
    """Return the weight of each of `outcomes_of(cells, declared)` at `minute` (since 1970, event time); they need not add up to 1.

    The ratios of impressions, clicks and conversions (with purchases) are those of `mix` at every minute.
    """
    rows: list[tuple[float, float, float, Campaign]] = []
    for cell in cells:
        campaign, shape = cell.campaign, cell.campaign.shape
        seen = campaign.volume * cell.share * volume(shape, minute) * daily(campaign, minute)
        clicked = seen * campaign.clicks * cell.channel.clicks * clicking(shape, minute)
        converted = clicked * campaign.conversions * cell.channel.conversions * converting(shape, minute)
        rows.append((seen, clicked, converted, campaign))
    # Zero only without any visitor; what it divides is then zero as well.
    per_seen = mix.impressions / (sum(row[0] for row in rows) or 1.0)
    per_click = mix.clicks / (sum(row[1] for row in rows) or 1.0)
    per_conversion = mix.conversions / (sum(row[2] for row in rows) or 1.0)
    outcome_weights: list[float] = []
    for seen, clicked, converted, campaign in rows:
        conversions = converted * per_conversion
        purchases = conversions * campaign.purchases
        fees = seen * per_seen * campaign.fees / 1000
        built_in = {
            "impression": seen * per_seen,
            "click": clicked * per_click,
            "conversion": conversions - purchases,
            "purchase": purchases,
            "refund": purchases * campaign.refunds,
            "cost": fees,
        }
        outcome_weights += built_in.values()
        outcome_weights += [
            conversions * _PER_CONVERSION.get(each.name, 1.0) if each.role is None else built_in[each.role] * _SHARES[each.role]
            for each in declared
        ]
    return outcome_weights
