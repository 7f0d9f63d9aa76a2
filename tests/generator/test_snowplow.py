"""Snowplow's enriched events: page views are clicks, transactions purchases, with the campaign's terms and the visitor's place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.support.replays import Result, fields_of, replay

SHARED = Path(__file__).parents[3] / "shared" / "data" / "snowplow" / "fractribution-events.csv"
HEADER = (
    "event_id,collector_tstamp,event_name,mkt_medium,mkt_campaign,mkt_term,mkt_content,mkt_clickid,dvce_type,geo_country,"
    "page_urlhost,page_urlpath,domain_userid,tr_orderid,tr_total,tr_currency"
)
VISIT = "e-1,2022-06-10 15:28:23.123,page_view,cpc,brand,red shoes,banner-a,gclid-1,Mobile,DE,shop.example,/shoes,u-1,,,"


def snowplow(tmp_path: Path, *rows: str, **context: Any) -> Result:
    path = tmp_path / "events.csv"
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return replay("snowplow", path, **context)


def test_a_page_view_is_a_click_with_everything_that_the_row_says_and_its_own_id(tmp_path: Path) -> None:
    (payload,) = snowplow(tmp_path, VISIT).payloads
    assert fields_of(payload) == {
        "event_id": "e-1",
        "event_type": "click",
        "timestamp": "2022-06-10T15:28:23.123000Z",
        "campaign_id": "brand",
        "channel": "cpc",
        "landing_page": "shop.example/shoes",
        "user_id": "u-1",
        "ad_id": "banner-a",
        "keyword": "red shoes",
        "device": "Mobile",
        "country": "DE",
        "click_id": "gclid-1",
    }


def test_a_row_with_a_total_is_a_purchase_and_one_without_a_campaign_is_not_set(tmp_path: Path) -> None:
    (event,) = snowplow(tmp_path, "e-2,2022-06-10T15:28:23Z,transaction,,,,,,,,,,u-1,o-7,19.99,USD").events
    assert (event.event_type, event.order_id, event.revenue_micros, event.currency) == ("purchase", "o-7", 19_990_000, "USD")
    assert (event.campaign_id, event.channel) == ("(not set)", "(not set)")


def test_what_is_neither_a_page_view_nor_a_transaction_is_a_bad_row(tmp_path: Path) -> None:
    ping = VISIT.replace("page_view", "page_ping")
    found = snowplow(tmp_path, VISIT, ping, VISIT.replace("shop.example", "x" * 300), VISIT.replace("e-1", ""))
    assert len(found.events) == 1
    assert found.bad.total() == 3
    assert "neither a page view nor a transaction" in found.said[0]
    assert "page_urlpath must have 1 to 256 characters" in found.said[1]
    assert "event_id must have 1 to 256 characters" in found.said[2]


def test_moved_events_are_new_events(tmp_path: Path) -> None:
    assert snowplow(tmp_path, VISIT, retime="-5f").ids() == ["e-1-5f"]


def test_the_shared_events_sum_up_as_polars_sums_them_by_medium() -> None:
    if not SHARED.exists():
        pytest.skip("../shared/data/snowplow is not there")
    found = replay("snowplow", SHARED)
    assert not found.bad
    table = pl.read_csv(SHARED, infer_schema=False)
    total = pl.col("tr_total").cast(pl.Float64)
    expected = table.group_by(pl.col("mkt_medium").fill_null("(not set)")).agg(
        total.is_null().sum(),
        total.is_not_null().sum().alias("purchases"),
        (total.sum() * 1_000_000).round().cast(pl.Int64).alias("micros"),
    )
    sums: dict[str, list[int]] = {}
    for event in found.events:
        cell = sums.setdefault(event.channel, [0, 0, 0])
        cell[event.event_type == "purchase"] += 1
        cell[2] += event.revenue_micros or 0
    assert sums == {row[0]: list(row[1:]) for row in expected.iter_rows()}
