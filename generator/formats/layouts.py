"""How the ad platforms lay out their reports: which column is which field of an event, and how money and time are written.

A layout is recognised by its `marks`; the columns that it names may be missing but for those, the time and the impressions.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Converted = Literal["conversion", "purchase"]


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """A platform's report: the columns of its time, counts and money; of several names the first one that a file has counts.

    `marks` are columns that only this platform has; `hourly` where a row is an hour, else a day. `spend` is in units of the currency,
    `spend_micros` in micros. `value` is the revenue of the `conversions`, which become events of the type `converted`. `channel` and
    `campaign` are columns, and where a row has none of them the platform's `name`.
    """

    name: str
    marks: tuple[str, ...]
    time: tuple[str, ...] = ("date",)
    hourly: bool = False
    impressions: tuple[str, ...] = ("impressions",)
    clicks: tuple[str, ...] = ("clicks",)
    spend: tuple[str, ...] = ("spend",)
    spend_micros: tuple[str, ...] = ()
    conversions: tuple[str, ...] = ("conversions",)
    value: tuple[str, ...] = ()
    converted: Converted = "conversion"
    campaign: tuple[str, ...] = ("campaign_id",)
    channel: tuple[str, ...] = ()


LAYOUTS = (
    Layout(
        name="google",
        marks=("cost_micros",),
        spend=(),
        spend_micros=("cost_micros",),
        value=("conversions_value",),
        campaign=("campaign_id", "id"),
        channel=("advertising_channel_type", "ad_network_type"),
    ),
    Layout(
        name="snapchat",
        marks=("swipes",),
        hourly=True,
        clicks=("swipes",),
        spend=(),
        spend_micros=("spend",),
        conversions=("conversion_purchases",),
        value=("conversion_purchases_value",),
        converted="purchase",
    ),
    Layout(
        name="tiktok",
        marks=("stat_time_hour",),
        time=("stat_time_hour",),
        hourly=True,
        conversions=("conversion",),
        value=("total_purchase_value",),
    ),
    Layout(
        name="tiktok",
        marks=("stat_time_day",),
        time=("stat_time_day",),
        conversions=("conversion",),
        value=("total_purchase_value",),
    ),
    Layout(
        name="linkedin",
        marks=("cost_in_local_currency",),
        time=("day", "date"),
        spend=("cost_in_local_currency",),
        conversions=("external_website_conversions",),
        value=("conversion_value_in_local_currency",),
    ),
    Layout(name="meta", marks=("inline_link_clicks",), clicks=("inline_link_clicks",), campaign=("campaign_id", "account_id")),
    Layout(name="microsoft", marks=("ad_distribution",), value=("revenue",), channel=("ad_distribution",)),
    Layout(name="ads", marks=("clicks", "spend"), value=("revenue",), channel=("channel", "network", "source")),
)
"""In the order in which a file is compared with them: the last one is a report of any other platform."""

DIMENSIONS = {
    "adgroup_id": ("adgroup_id", "ad_group_id", "ad_set_id", "ad_squad_id"),
    "ad_id": ("ad_id", "creative_id"),
    "keyword": ("keyword", "keyword_text", "search_term"),
    "placement": ("placement", "publisher_platform", "top_vs_other"),
    "device": ("device", "device_type", "impression_device"),
    "country": ("country", "country_code"),
    "landing_page": ("landing_page", "landing_page_url", "final_url"),
    "currency": ("currency", "currency_code", "account_currency_code"),
}
"""Columns of any report that are fields of an event, in the same way."""
