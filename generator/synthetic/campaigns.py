"""What the synthetic traffic is made of: a table of channels and a table of demo campaigns.

Rates are relative: `--impressions`, `--clicks` and `--conversions` fix the mix of the whole, and these tables define the share of each
campaign. Money is in units of the campaign's currency. Every demo campaign is there to show one state of the dashboard.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal

import msgspec

Shape = Literal["steady", "rising", "failing", "flood", "silent"]


class Channel(msgspec.Struct, frozen=True):
    """A channel: what an impression (`cpm`, per thousand) or a click (`cpc`) costs, and how well people click and convert there.

    `terms` is the field that says where in the channel an ad was shown, empty for none; `tracked` whether its clicks have a `click_id`.
    """

    name: str
    cpm: float = 0.0
    cpc: float = 0.0
    clicks: float = 1.0
    conversions: float = 1.0
    terms: Literal["keyword", "placement", ""] = ""
    tracked: bool = True


class Campaign(msgspec.Struct, frozen=True):
    """A campaign: where it runs, how large it is, how it changes over time, and what it earns.

    `clicks` and `conversions` are factors on those of its channels; `purchases` is the share of its conversions that bring money;
    `basket` the mean revenue of one; `refunds` the share of purchases that is given back; `fee` the mean of a `cost` event, of which
    there are `fees` for a thousand impressions; `peak` the hour (UTC) in which it is largest, `swing` by how much; `abroad` says that
    its account bills in another currency than most.
    """

    name: str
    channels: tuple[str, ...]
    shape: Shape = "steady"
    volume: float = 1.0
    clicks: float = 1.0
    conversions: float = 1.0
    purchases: float = 0.6
    basket: float = 40.0
    refunds: float = 0.03
    fee: float = 0.0
    fees: float = 0.0
    peak: int = 19
    swing: float = 0.3
    abroad: bool = False


CHANNELS = (
    Channel("search", cpc=1.10, clicks=1.5, conversions=1.3, terms="keyword"),
    Channel("social", cpc=0.70, clicks=1.0, conversions=0.8),
    Channel("display", cpm=12.00, clicks=0.4, conversions=0.4, terms="placement"),
    Channel("video", cpm=25.00, clicks=0.5, conversions=0.4, terms="placement"),
    Channel("email", clicks=1.8, conversions=1.5, tracked=False),
    Channel("affiliate", cpc=0.60, clicks=1.1, conversions=1.1),
)

DEMO = (
    # The steady big one: what a healthy campaign looks like, and the scale for all others.
    Campaign("always-on-brand", ("search", "social", "display"), volume=5.0, basket=32.0),
    # The rising one: eight times as large after 40 minutes, then it starts again.
    Campaign("spring-launch", ("social", "video"), shape="rising", volume=1.2, basket=28.0, abroad=True),
    # The failing one: for 8 of every 20 minutes people click as before, but no payment succeeds.
    Campaign("checkout-outage", ("search", "affiliate"), shape="failing", volume=2.2, basket=36.0),
    # Spends without converting: CPA has no value ("–"), ROAS is 0.
    Campaign("awareness-film", ("video", "display"), volume=2.5, clicks=0.8, conversions=0.0),
    # The tiny one: minutes without a single event, ratios from a handful of clicks.
    Campaign("niche-b2b", ("search",), volume=0.06, conversions=0.8, basket=450.0, peak=10, swing=0.8),
    # The highly profitable one: few impressions, expensive baskets.
    Campaign("retargeting", ("display", "social"), volume=0.8, clicks=2.0, conversions=2.5, purchases=0.9, basket=60.0),
    # The click flood: for 3 of every 15 minutes clicks multiply and cost, and conversions do not follow.
    Campaign("bargain-clicks", ("affiliate", "search"), shape="flood", volume=0.8, conversions=0.7, basket=18.0),
    # Falls silent: 14 minutes of traffic, then none at all for 10.
    Campaign("flash-sale", ("email", "social"), shape="silent", volume=1.2, conversions=1.3, basket=30.0, fee=6.0, fees=5.0),
    # Many refunds: revenue looks fine, ROAS after refunds does not.
    Campaign("shoes-outlet", ("search", "social"), volume=1.4, purchases=0.85, basket=65.0, refunds=0.45, abroad=True),
    # Pays fees, not clicks: spend arrives in lumps as `cost` events.
    Campaign("newsletter", ("email",), volume=0.7, basket=26.0, fee=9.0, fees=6.0, peak=7, swing=0.6),
    # Leads only: conversions without revenue, a CPA but a ROAS of 0.
    Campaign("lead-form", ("search", "social"), volume=0.9, conversions=1.2, purchases=0.0, peak=11, swing=0.6),
    # A name with accents, quotes and an ampersand, which must be preserved everywhere.
    Campaign('Été & "Größe 40+"', ("display", "video", "social"), volume=0.7, basket=22.0, abroad=True),
)


def campaigns(number: int) -> tuple[Campaign, ...]:
    """Return the first `number` campaigns: the demo ones, then generated ones that shrink in size (as real accounts do)."""
    names = [channel.name for channel in CHANNELS]
    more = (
        Campaign(
            f"campaign-{index:04d}",
            (names[index % 6], names[(index * 5 + 1) % 6]) if index % 6 != (index * 5 + 1) % 6 else (names[index % 6],),
            volume=8.0 / (index + 1) ** 0.7,
            clicks=0.6 + 0.1 * (index % 9),
            conversions=0.4 + 0.15 * (index % 8),
            basket=12.0 + 7.0 * (index % 13),
            refunds=0.01 * (index % 7),
            peak=(index * 7) % 24,
            abroad=index % 4 == 0,
        )
        for index in range(len(DEMO) + 1, number + 1)
    )
    return (*DEMO[:number], *more)


def currencies_of(campaigns: Sequence[Campaign], currencies: Sequence[str]) -> list[str]:
    """Return the currency of each campaign: the first of `currencies`, and for those abroad the other ones in turn."""
    others = itertools.cycle(currencies[1:] or currencies)
    return [next(others) if campaign.abroad else currencies[0] for campaign in campaigns]


def channels(wanted: str) -> tuple[Channel, ...]:
    """Return channels by number (``4``: the first four, generated ones after the sixth) or by name (``search,podcast``: any name)."""
    if wanted.isdecimal():
        generated = tuple(Channel(f"channel-{index:02d}", cpc=0.80) for index in range(len(CHANNELS) + 1, int(wanted) + 1))
        return (*CHANNELS[: int(wanted)], *generated)
    known = {channel.name: channel for channel in CHANNELS}
    return tuple(known.get(name) or Channel(name, cpc=0.80) for name in dict.fromkeys(part.strip() for part in wanted.split(",")))
