"""Real files through the whole pipeline, as a user runs it, against sums that polars makes of the files themselves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from msgspec.structs import replace

from dataflows.contract.settings import Settings
from tests.support.flows import counters, environment, recovery_folder, running, wait_for
from tests.support.settings import SHARED
from tests.system.oracle.compare import differences, result_frame, topics_of
from tests.system.oracle.history import KeyHistory, decoded
from tests.system.oracle.terms import MAIN, terms_of
from tests.system.oracle.topics import read

EXCERPTS = Path(__file__).parents[1] / "data"
FOLDERS = [
    pytest.param(EXCERPTS, id="excerpts"),
    pytest.param(SHARED, id="real files", marks=[pytest.mark.shared, pytest.mark.long]),
]
MICRO = 1_000_000


def generate(settings: Settings, *arguments: str) -> int:
    """Run the generator to its end; how many messages are on the logs then."""
    command = [sys.executable, "-m", "generator", *arguments, "--quiet"]
    done = subprocess.run(command, env=environment(settings), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return len(read(settings.brokers, settings.logs_topic))


def through_the_flow(settings: Settings, tmp_path: Path, *arguments: str) -> dict[str, pl.DataFrame]:
    """Generate, let the flow read all of it, hold it to the oracle, and return the last values of the results, by table."""
    folder = recovery_folder(tmp_path / "recovery")
    sent = generate(settings, *arguments)
    with running(settings, tmp_path / "log", "-r", str(folder), "-s", "1", "-b", "0") as flow:
        wait_for(lambda: sum(one.get("read", 0) for one in counters(settings)) == sent, "the flow to have read it all")
        assert flow.stop() == [0]
    topics = (settings.logs_topic, settings.results_topic, settings.rejected_topic)
    assert differences(settings.brokers, *topics, terms_of(settings), group=settings.group) == []
    return {table: frame_of(settings, table) for table in terms_of(settings).tables()}


def frame_of(settings: Settings, table: str) -> pl.DataFrame:
    """The last value of each key of a table, with a column for each field of a breakdown."""
    terms = terms_of(settings)
    history = KeyHistory(terms, table)
    for record in decoded(read(settings.brokers, topics_of(settings.results_topic, terms)[table])):
        history.take(*record)
    values = pl.col("values").str.json_decode(pl.List(pl.String))
    fields = enumerate(terms.tables()[table])
    return result_frame(history, terms, table).with_columns(values.list.get(number).alias(field) for number, field in fields)


def minute(time: pl.Expr) -> pl.Expr:
    return time.dt.truncate("1m").dt.strftime("%Y-%m-%dT%H:%M:%SZ").alias("window_start")


def same(expected: pl.DataFrame, found: pl.DataFrame, *fields: str) -> None:
    """Both hold the same windows, campaigns, channels, values of `fields` and sums."""
    keys = ["window_start", "campaign_id", "channel", *fields]
    sums = [name for name in expected.columns if name not in keys]
    names = [*keys, *sums]
    expected = expected.select(*keys, *(pl.col(name).cast(pl.Int128) for name in sums))
    assert expected.height > 10
    assert found.select(names).sort(keys).equals(expected.select(names).sort(keys))


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_shops_invoices_give_the_sums_of_the_files_to_the_last_micro(
    on_each_broker: Settings, tmp_path: Path, folder: Path
) -> None:
    files = sorted(folder.glob("online-retail*/*.csv")) or sorted(folder.glob("online-retail*.csv"))
    settings = replace(on_each_broker, breakdowns="stock=stock_code;country;both=country,stock_code")
    found = through_the_flow(settings, tmp_path, "replay", "--speed", "max", "--format", "online-retail", *map(str, files))
    rows = pl.concat([pl.read_csv(file, infer_schema=False) for file in files])
    quantity, cancelled = pl.col("Quantity").cast(pl.Int64), pl.col("InvoiceNo").str.starts_with("C")
    price = pl.col("UnitPrice").cast(pl.Float64)
    sold = rows.filter(
        ~pl.col("InvoiceNo").str.contains("^A[0-9]+$"), (quantity > 0) | cancelled, (quantity < 0) | ~cancelled, price >= 0
    )
    # The files have prices of up to three digits after the point: as whole thousandths they multiply without rounding.
    micros = quantity.abs() * (price * 1000).round().cast(pl.Int64) * (MICRO // 1000)
    time = (
        pl.col("InvoiceDate")
        .str.to_datetime("%Y-%m-%d %H:%M:%S")
        .dt.replace_time_zone("Europe/London")
        .dt.convert_time_zone("UTC")
    )
    rows = sold.with_columns(
        minute(time),
        micros.alias("micros"),
        cancelled.alias("cancelled"),
        pl.lit("online").alias("channel"),
        pl.col("Country").alias("campaign_id"),
        pl.col("Country").alias("country"),
        pl.col("StockCode").str.strip_chars().alias("stock_code"),
    )
    for table, fields in {MAIN: [], "stock": ["stock_code"], "country": ["country"], "both": ["country", "stock_code"]}.items():
        expected = rows.group_by("window_start", "campaign_id", "channel", *fields).agg(
            (~pl.col("cancelled")).sum().alias("purchases"),
            (~pl.col("cancelled")).sum().alias("conversions"),
            pl.col("cancelled").sum().alias("refunds"),
            pl.col("micros").filter(~pl.col("cancelled")).sum().alias("revenue_micros"),
            pl.col("micros").filter(pl.col("cancelled")).sum().alias("refund_micros"),
            pl.len().alias("events"),
        )
        same(expected, found[table], *fields)


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_recommendation_log_gives_the_counts_of_the_file(on_each_broker: Settings, tmp_path: Path, folder: Path) -> None:
    (file,) = [*folder.glob("open-bandit/*.csv"), *folder.glob("open-bandit*.csv")]
    settings = replace(on_each_broker, breakdowns="item=ad_id;position=placement,ad_id")
    found = through_the_flow(settings, tmp_path, "replay", "--speed", "max", "--format", "open-bandit", str(file))
    time = pl.col("timestamp").str.slice(0, 16).str.to_datetime("%Y-%m-%d %H:%M")
    rows = pl.read_csv(file, infer_schema=False).with_columns(
        minute(time),
        (pl.col("click") == "1").alias("clicked"),
        (pl.lit("item-") + pl.col("item_id")).alias("campaign_id"),
        (pl.lit("position-") + pl.col("position")).alias("channel"),
        pl.col("item_id").alias("ad_id"),
        pl.col("position").alias("placement"),
    )
    for table, fields in {MAIN: [], "item": ["ad_id"], "position": ["placement", "ad_id"]}.items():
        expected = rows.group_by("window_start", "campaign_id", "channel", *fields).agg(
            pl.len().alias("impressions"),
            pl.col("clicked").sum().alias("clicks"),
            (pl.len() + pl.col("clicked").sum()).alias("events"),
        )
        same(expected, found[table], *fields)


@pytest.mark.shared
@pytest.mark.long
def test_the_report_of_an_ad_platform_gives_the_sums_of_each_device_and_currency(settings: Settings, tmp_path: Path) -> None:
    file = SHARED / "ad-reports" / "microsoft_ads_campaign_performance_daily_report_data.csv"
    settings = replace(settings, breakdowns="device")
    found = through_the_flow(settings, tmp_path, "replay", "--speed", "max", "--format", "ad-report", str(file))
    rows = pl.read_csv(file, infer_schema_length=None)
    keys = {"campaign_id": "campaign_id", "device_type": "device", "currency_code": "currency"}
    sums = ["impressions", "clicks", "spend_micros", "conversions", "revenue_micros"]

    def micros(column: str) -> pl.Expr:
        return (pl.col(column).fill_null(0) * MICRO).round().cast(pl.Int128)

    spent = (micros("spend").alias("spend_micros"), micros("revenue").alias("revenue_micros"))
    counts = (pl.col(name).fill_null(0).round().cast(pl.Int128) for name in ("impressions", "clicks", "conversions"))
    expected = rows.select(*(pl.col(name).cast(pl.String).alias(key) for name, key in keys.items()), *counts, *spent)
    expected = expected.group_by(*keys.values()).agg(pl.col(name).sum() for name in sums)
    shown = found["device"].group_by(*keys.values()).agg(pl.col(name).sum() for name in sums)
    counted = pl.any_horizontal(pl.col(name) != 0 for name in sums)
    assert expected["device"].n_unique() > 2
    assert shown.sort(*keys.values()).equals(expected.filter(counted).select(shown.columns).sort(*keys.values()))


def test_synthetic_events_with_every_fault_agree_with_the_oracle(on_each_broker: Settings, tmp_path: Path) -> None:
    faults = ["--disorder", "0.05", "--duplicates", "0.01", "--malformed", "0.01", "--late", "0.005"]
    through_the_flow(on_each_broker, tmp_path, "synthetic", "--count", "10000", "--backfill", "10m", "--seed", "11", *faults)
    shown = counters(on_each_broker)
    assert sum(one["read"] for one in shown) == 10_000
    assert all(one["read"] == one["counted"] + one["duplicate"] + one["late"] + one["malformed"] for one in shown)
    assert all(sum(one[name] for one in shown) > 0 for name in ("duplicate", "late", "malformed"))
