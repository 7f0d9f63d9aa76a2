"""Reports of the ad platforms: their rows become events whose sums are those of the file, with the dimensions that it has."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from dataflows.contract.errors import InputError
from tests.support.replays import Result, fields_of, replay

SHARED = Path(__file__).parents[3] / "shared" / "data" / "ad-reports"
MICROSOFT = "date,campaign_id,currency_code,device_type,ad_distribution,top_vs_other,clicks,impressions,spend,conversions,revenue"
GOOGLE = "date,id,ad_network_type,device,clicks,impressions,cost_micros,conversions,conversions_value"
SNAPCHAT = "ad_id,date,impressions,spend,swipes,conversion_purchases,conversion_purchases_value"


def report(tmp_path: Path, header: str, *rows: str, **context: Any) -> Result:
    path = tmp_path / "report.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return replay("ad-report", path, **context)


def test_a_row_is_as_many_events_as_it_counts_and_its_money_is_kept_to_the_micro(tmp_path: Path) -> None:
    found = report(tmp_path, MICROSOFT, "2019-05-22,7,USD,Tablet,Search,Bing - Top,3,10,0.10,2,0.01")
    assert Counter(event.event_type for event in found.events) == {"impression": 10, "click": 3, "conversion": 2}
    assert [event.cost_micros for event in found.events if event.event_type == "click"] == [33_334, 33_333, 33_333]
    assert [event.revenue_micros for event in found.events if event.event_type == "conversion"] == [5_000, 5_000]
    assert not found.bad
    for fields in map(fields_of, found.payloads):
        kept = {field: fields[field] for field in ("campaign_id", "channel", "device", "placement", "currency")}
        assert kept == {"campaign_id": "7", "channel": "Search", "device": "Tablet", "placement": "Bing - Top", "currency": "USD"}


def test_the_events_of_a_row_are_spread_over_its_day_in_the_zone_of_the_report_or_over_its_hour(tmp_path: Path) -> None:
    def times(header: str, row: str, **context: Any) -> list[str]:
        return [event.timestamp.strftime("%d %H:%M") for event in report(tmp_path, header, row, **context).events]

    google = "2021-03-28,9,SEARCH,MOBILE,0,2,0,0,0"
    assert times(GOOGLE, google) == ["28 00:00", "28 12:00"]
    # A day of 23 hours.
    assert times(GOOGLE, google, zone=ZoneInfo("Europe/Berlin")) == ["27 23:00", "28 10:30"]
    assert times(SNAPCHAT, "a,2021-03-31 11:00:00.000,2,0,0,0,0") == ["31 11:00", "31 11:30"]


def test_spend_is_on_clicks_else_on_impressions_else_on_an_event_of_its_own(tmp_path: Path) -> None:
    rows = ["a,2021-03-31 11:00,4,1000,2,0,0", "b,2021-03-31 11:00,4,1001,0,0,0", "c,2021-03-31 11:00,0,-7,0,0,0"]
    found = report(tmp_path, SNAPCHAT, *rows, "d,2021-03-31 11:00,0,0,0,0,1.5")
    charged = [(fields_of(payload)["ad_id"], event) for payload, event in zip(found.payloads, found.events, strict=True)]
    spent = [(ad, event.event_type, event.cost_micros) for ad, event in charged if event.cost_micros]
    assert sorted(spent) == [
        *[("a", "click", 500)] * 2,
        *[("b", "impression", 250)] * 3,
        ("b", "impression", 251),
        ("c", "cost", -7),
    ]
    # Revenue of a row without a conversion invents none.
    assert [(ad, event.event_type, event.revenue_micros) for ad, event in charged if event.revenue_micros] == [
        ("d", "cost", 1_500_000)
    ]


def test_fractions_of_conversions_are_rounded_and_the_summary_says_so(tmp_path: Path) -> None:
    found = report(tmp_path, GOOGLE, "2021-02-01,9,SEARCH,MOBILE,1,1,0,2.6,10", "2021-02-02,9,SEARCH,MOBILE,1,1,0,0.4,3")
    assert Counter(event.event_type for event in found.events)["conversion"] == 3
    assert sum(event.revenue_micros or 0 for event in found.events) == 13_000_000
    assert [note for note in found.notes if "rounded" in note] == [
        f"conversions are rounded to whole events in each row, as in line 2 of {tmp_path}/report.csv (2.6)"
    ]


def test_rows_that_are_alike_are_events_of_their_own(tmp_path: Path) -> None:
    found = report(tmp_path, GOOGLE, *["2021-02-01,9,SEARCH,MOBILE,1,2,50,0,0"] * 2)
    assert len(set(found.ids())) == len(found.events) == 6


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("2019-05-22,7,usd,Tablet,Search,Top,1,1,0,0,0", "currency_code must be a currency of three capital letters"),
        ("2019-05-22,,USD,Tablet,Search,Top,1,1,0,0,0", "campaign_id must have 1 to 256 characters"),
        (f"2019-05-22,7,USD,{'x' * 257},Search,Top,1,1,0,0,0", "device_type must have 1 to 256 characters"),
        ("2019-05-22,7,USD,Tablet,Search,Top,-1,1,0,0,0", "clicks is not a whole number"),
        ("2019-05-22,7,USD,Tablet,Search,Top,1,1.5,0,0,0", "impressions is not a whole number"),
        ("2019-05-22,7,USD,Tablet,Search,Top,1,1,1e13,0,0", "spend is beyond 64 bits"),
        ("2019-05-22,7,USD,Tablet,Search,Top,1,99999999,0,0,0", "more than 10,000,000 events in a row"),
        ("never,7,USD,Tablet,Search,Top,1,1,0,0,0", "date is not a time"),
    ],
)
def test_a_bad_row_of_a_report_is_counted_and_skipped(tmp_path: Path, row: str, words: str) -> None:
    found = report(tmp_path, MICROSOFT, row, "2019-05-22,7,,,Search,,0,1,--,,")
    assert len(found.events) == found.bad.total() == 1
    assert words in found.said[0]
    # What the row does not have is not set.
    assert not {"currency", "device", "placement", "cost_micros"} & fields_of(found.payloads[0]).keys()


def test_a_file_that_no_platform_writes_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not a report of a known platform; .* cost_micros with date \(google\), "):
        report(tmp_path, "date,impressions", "2019-05-22,1")


SHAPES: dict[str, tuple[str, str, str, str, int, dict[str, str]]] = {
    # Clicks, spend, conversions, revenue, micros in a unit of spend, columns of the dimensions.
    "google_ads_campaign_stats_data": (
        *("clicks", "cost_micros", "conversions", "conversions_value", 1),
        {"campaign_id": "id", "device": "device", "channel": "ad_network_type"},
    ),
    "microsoft_ads_campaign_performance_daily_report_data": (
        *("clicks", "spend", "conversions", "revenue", 1_000_000),
        {"campaign_id": "campaign_id", "device": "device_type", "placement": "top_vs_other", "currency": "currency_code"},
    ),
    "snapchat_ad_squad_hourly_report_data": (
        *("swipes", "spend", "conversion_purchases", "conversion_purchases_value", 1),
        {"adgroup_id": "ad_squad_id"},
    ),
    "tiktok_campaign_report_hourly_data": (
        *("CLICKS", "SPEND", "CONVERSION", "TOTAL_PURCHASE_VALUE", 1_000_000),
        {"campaign_id": "CAMPAIGN_ID"},
    ),
    "linkedin_ad_analytics_by_campaign_data": (
        *("clicks", "cost_in_local_currency", "external_website_conversions", "conversion_value_in_local_currency", 1_000_000),
        {"campaign_id": "campaign_id"},
    ),
}


@pytest.mark.parametrize("file", SHAPES)
def test_the_shared_reports_sum_up_as_polars_sums_them_for_each_day_and_value(file: str) -> None:
    path = SHARED / f"{file}.csv"
    if not path.exists():
        pytest.skip(f"{path.name} is not there")
    clicks, spend, conversions, value, unit, dimensions = SHAPES[file]
    found = replay("ad-report", path)
    assert not found.bad
    table = pl.read_csv(path, infer_schema=False)
    day = next(column for column in table.columns if column.lower() in ("date", "day", "stat_time_hour"))
    impressions = next(column for column in table.columns if column.lower() == "impressions")

    def number(column: str, factor: int = 1) -> pl.Expr:
        return (pl.col(column).cast(pl.Float64).fill_null(0.0) * factor).round().cast(pl.Int64).alias(f"sum of {column}")

    counted = (number(impressions), number(clicks), number(conversions), number(spend, unit), number(value, 1_000_000))
    by = [pl.col(day).str.slice(0, 10).alias("day"), *(pl.col(column).alias(field) for field, column in dimensions.items())]
    expected = table.select(*by, *counted).group_by("day", *dimensions).sum()
    sums: dict[tuple[str, ...], list[int]] = {}
    for payload, event in zip(found.payloads, found.events, strict=True):
        fields = fields_of(payload)
        cell = sums.setdefault((str(event.timestamp.date()), *(fields[field] for field in dimensions)), [0] * 5)
        kinds = ("impression", "click", "conversion", "purchase")
        if event.event_type in kinds:
            cell[min(kinds.index(event.event_type), 2)] += 1
        cell[3] += event.cost_micros or 0
        cell[4] += event.revenue_micros or 0
    width = 1 + len(dimensions)
    # A cell of nothing has no event.
    assert sums == {row[:width]: list(row[width:]) for row in expected.iter_rows() if any(row[width:])}


@pytest.mark.parametrize(
    ("header", "row", "campaign", "channel"),
    [
        (GOOGLE, "2021-02-01,9,SEARCH,MOBILE,1,1,0,0,0", "9", "SEARCH"),
        (SNAPCHAT, "a,2021-03-31 11:00,1,0,0,0,0", "snapchat", "snapchat"),
        ("campaign_id,STAT_TIME_HOUR,clicks,impressions,spend", "1,2021-09-15 5:00:00,0,1,2", "1", "tiktok"),
        ("campaign_id,stat_time_day,country_code,impressions", "1,2021-09-15 00:00:00,US,1", "1", "tiktok"),
        ("campaign_id,day,impressions,cost_in_local_currency", "1,2020-04-06 00:00:00,1,0.5", "1", "linkedin"),
        ("ad_id,date,account_id,impressions,inline_link_clicks,spend", "3,2020-12-10,17,1,0,0.5", "17", "meta"),
        ("date,campaign_id,clicks,impressions,spend", "2020-12-10,5,0,1,0.5", "5", "ads"),
        ("date,campaign_id,channel,clicks,impressions,spend", "2020-12-10,5,podcast,0,1,0.5", "5", "podcast"),
        (MICROSOFT, "2019-05-22,7,USD,Tablet,Search,Top,0,1,0,0,0", "7", "Search"),
    ],
)
def test_the_platform_of_a_report_is_recognised_by_its_columns(
    tmp_path: Path, header: str, row: str, campaign: str, channel: str
) -> None:
    event = report(tmp_path, header, row).events[0]
    assert (event.campaign_id, event.channel) == (campaign, channel)
