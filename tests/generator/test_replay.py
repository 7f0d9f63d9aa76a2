"""Replay: every row of a real file is an event or a counted bad row, money is exact, order is by time."""

from __future__ import annotations

import gzip
import itertools
import math
import random
from collections import Counter
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from dataflows.contract.errors import InputError
from dataflows.contract.schema import to_micros
from generator.formats.inputs import gather
from generator.ordering import BEFORE_ALL, Ordered, SortedRow
from generator.replay import Pace
from tests.support.replays import BANDIT, HEADER, RETAIL, line, replay, retail

SHARED = Path(__file__).parents[3] / "shared" / "data"

shared = pytest.mark.shared


def test_each_line_of_an_invoice_is_a_purchase_and_of_a_cancellation_a_refund() -> None:
    found = replay("online-retail", RETAIL)
    assert Counter(event.event_type for event in found.events) == {"purchase": 27, "refund": 5}
    assert found.bad.total() == 2
    first = found.events[0]
    assert (first.campaign_id, first.channel, first.user_id, first.order_id) == ("United Kingdom", "online", "17850", "536365")
    assert first.revenue_micros == 15_300_000
    assert first.currency is None
    assert next(event for event in found.events if event.order_id == "C536379").revenue_micros == 27_500_000
    assert sum(event.user_id is None for event in found.events) == 5


@pytest.mark.parametrize(
    ("quantity", "price", "micros"),
    [
        ("6", "2.55", 15_300_000),
        ("3", "0.1", 300_000),
        ("80995", "2.08", 168_469_600_000),
        ("1", "0.001", 1_000),
        ("7", "1e-3", 7_000),
        ("1.0", "0.0000005", 0),
        ("3", "0.0000005", 2),
        ("12", "0.0", 0),
    ],
)
def test_money_is_quantity_times_price_to_the_last_micro(tmp_path: Path, quantity: str, price: str, micros: int) -> None:
    assert [event.revenue_micros for event in retail(tmp_path, line(quantity=quantity, price=price)).events] == [micros]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (line(quantity="-10", price="0.0"), "stock adjustment"),
        (line(quantity="0"), "stock adjustment"),
        (line("C536379", quantity="1"), "Quantity is not negative"),
        (line("A563186", quantity="1", price="-11062.06"), "adjustment (invoice A…)"),
        (line(price="-1"), "negative UnitPrice"),
        (line(quantity="six"), "Quantity is not a number"),
        (line(price="1_000"), "UnitPrice is not a number"),
        (line(price="NaN"), "UnitPrice is not a number"),
        (line(price="1e999999"), "UnitPrice is not a number"),
        (line(quantity="1e12", price="1e12"), "beyond 64 bits"),
        (line(date="yesterday"), "InvoiceDate is not a time"),
        (line(date=""), "InvoiceDate is not a time"),
        (line(country=""), "Country must have"),
        (line(country="x" * 257), "Country must have"),
        (line(invoice=""), "InvoiceNo must have"),
        ("536365,85123A", "another number of fields"),
        (line() + ",more", "another number of fields"),
    ],
)
def test_a_bad_row_is_counted_shown_with_its_line_and_skipped(tmp_path: Path, row: str, words: str) -> None:
    found = retail(tmp_path, line(), row, line())
    assert len(found.events) == 2
    assert found.bad.total() == 1
    assert "invoices.csv:3: " in found.said[0]
    assert words in found.said[0]


def test_of_many_bad_rows_the_first_ten_are_shown_and_all_are_counted(tmp_path: Path) -> None:
    found = retail(tmp_path, *[line(quantity="x")] * 500, *[line(quantity="-1")] * 20)
    assert len(found.said) == 11
    assert "520 bad rows in all: 500 × Quantity is not a number; 20 × " in found.said[-1]


def test_lines_that_are_alike_are_events_of_their_own_with_ids_of_their_own() -> None:
    found = replay("online-retail", RETAIL)
    assert len(set(found.ids())) == len(found.events)
    assert sum(event.event_id.endswith("-2") for event in found.events) == 2


def test_a_copy_elsewhere_under_another_name_has_the_same_ids(tmp_path: Path) -> None:
    copy = tmp_path / "other.csv"
    copy.write_bytes(RETAIL.read_bytes())
    assert replay("online-retail", copy).payloads == replay("online-retail", RETAIL).payloads


@pytest.mark.parametrize("form", ["online-retail", "open-bandit"])
def test_neither_the_order_of_columns_nor_more_columns_nor_bom_crlf_or_gzip_change_anything(tmp_path: Path, form: str) -> None:
    path = RETAIL if form == "online-retail" else BANDIT
    table = pl.read_csv(path, infer_schema=False)
    names = table.columns[::-1]
    changed = table.select(names).with_columns(pl.lit('a "quoted", text').alias("remark"))
    text = changed.write_csv().replace("\n", "\r\n")
    packed = tmp_path / "packed.csv.gz"
    packed.write_bytes(gzip.compress(b"\xef\xbb\xbf" + text.encode()))
    assert sorted(replay(form, packed).payloads) == sorted(replay(form, path).payloads)


def test_a_file_cut_in_two_gives_the_same_events_as_the_whole(tmp_path: Path) -> None:
    head, *rows = RETAIL.read_text().splitlines()
    # Lines 13 to 16 are two pairs of equal lines: the cut goes between them.
    for name, part in (("a.csv", rows[:14]), ("b.csv", rows[14:])):
        (tmp_path / name).write_text("\n".join([head, *part]) + "\n")
    whole = replay("online-retail", RETAIL)
    cut = replay("online-retail", tmp_path / "b.csv", tmp_path / "a.csv")
    assert sorted(cut.payloads) == sorted(whole.payloads)


def test_text_that_is_not_utf_8_matters_only_where_it_is_used(tmp_path: Path) -> None:
    path = tmp_path / "latin.csv"
    rows = ["1,A,£5 VOUCHER,1,2010-12-01 08:26:00,5,,France", "2,A,x,1,2010-12-01 08:26:00,5,,Curaçao"]
    path.write_bytes("\n".join([HEADER, *rows]).encode("latin-1"))
    found = replay("online-retail", path)
    assert [event.order_id for event in found.events] == ["1"]
    assert found.bad == {"Country is not UTF-8": 1}


@pytest.mark.parametrize(
    ("date", "zone", "utc"),
    [
        ("2010-12-01 08:26:00", None, "2010-12-01T08:26:00.000000Z"),
        ("2011-06-01 08:26:00", None, "2011-06-01T07:26:00.000000Z"),
        ("2011-06-01 08:26:00", ZoneInfo("UTC"), "2011-06-01T08:26:00.000000Z"),
        ("2011-06-01T08:26:00+05:00", None, "2011-06-01T03:26:00.000000Z"),
        ("6/1/2011 8:26", None, "2011-06-01T07:26:00.000000Z"),
        # 01:30 comes twice: the first; 01:30 does not exist: by the offset before the change.
        ("2011-10-30 01:30:00", None, "2011-10-30T00:30:00.000000Z"),
        ("2011-03-27 01:30:00", None, "2011-03-27T01:30:00.000000Z"),
    ],
)
def test_times_without_a_zone_are_those_of_london_unless_another_is_given(
    tmp_path: Path, date: str, zone: ZoneInfo | None, utc: str
) -> None:
    (payload,) = retail(tmp_path, line(date=date), zone=zone).payloads
    assert f'"timestamp":"{utc}"'.encode() in payload


def test_a_row_of_open_bandit_is_an_impression_and_a_click_at_the_same_time_where_it_says_so() -> None:
    found = replay("open-bandit", BANDIT)
    assert Counter(event.event_type for event in found.events) == {"impression": 43, "click": 3}
    assert not found.bad
    first = found.events[0]
    assert (first.campaign_id, first.channel) == ("item-14", "position-3")
    assert first.timestamp.isoformat() == "2019-11-24T00:03:13.442536+00:00"
    assert first.cost_micros is first.revenue_micros is first.user_id is None
    for click in (event for event in found.events if event.event_type == "click"):
        assert any(
            (event.timestamp, event.campaign_id, event.channel) == (click.timestamp, click.campaign_id, click.channel)
            for event in found.events
            if event.event_type == "impression"
        )


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("2019-11-24 00:00:00+00:00,1,1,2", "click must be 0 or 1"),
        ("2019-11-24 00:00:00,1,1,0", "no zone"),
        ("never,1,1,0", "timestamp is not a time"),
        ("2019-11-24 00:00:00+00:00,,1,0", "must not be empty"),
    ],
)
def test_a_bad_row_of_open_bandit_is_counted_and_passed_over(tmp_path: Path, row: str, words: str) -> None:
    path = tmp_path / "log.csv"
    path.write_text(f"timestamp,item_id,position,click\n{row}\n2019-11-24 00:00:00+00:00,1,1,1\n")
    found = replay("open-bandit", path)
    assert (len(found.events), found.bad.total()) == (2, 1)
    assert words in found.said[0]


def test_several_files_merge_by_time_even_where_none_is_sorted(tmp_path: Path) -> None:
    head, *rows = RETAIL.read_text().splitlines()
    random.Random(3).shuffle(rows)
    for index in range(3):
        (tmp_path / f"{index}.csv").write_text("\n".join([head, *rows[index::3]]) + "\n")
    found = replay("online-retail", *(tmp_path / f"{index}.csv" for index in range(3)))
    times = [event.timestamp for event in found.events]
    assert times == sorted(times)
    assert sorted(found.payloads) == sorted(replay("online-retail", RETAIL).payloads)


@pytest.mark.parametrize("chunk", [1, 7, 64, 10_000])
def test_more_rows_than_fit_in_memory_come_out_in_the_same_order(chunk: int) -> None:
    random_ = random.Random(1)
    rows = [
        SortedRow(random_.randrange(20), str(index), b"\xff" if index % 2 else "é", None if index % 3 else "t")
        for index in range(200)
    ]
    ordered = Ordered(chunk)
    for row in rows:
        ordered.add(row)
    assert (ordered.count, ordered.first, ordered.last) == (200, 0, 19)
    assert list(ordered) == sorted(rows, key=lambda row: row.time)


def test_jsonl_passes_events_on_byte_for_byte_by_time(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    lines = [payload for _, payload in zip(range(20), replay("online-retail", RETAIL).payloads, strict=False)]
    odd = b'{"event_type": "click","event_id":"x","timestamp":"2010-12-01T09:00:00+01:00", "campaign_id":"\\u00e9","channel":"c","z":1}'
    path.write_bytes(b"\xef\xbb\xbf" + b"\r\n".join([*reversed(lines), b"", odd]))
    found = replay("jsonl", path)
    assert sorted(found.payloads) == sorted([*lines, odd])
    assert found.payloads[0] == odd
    assert [event.timestamp for event in found.events] == sorted(event.timestamp for event in found.events)


def test_an_invalid_line_is_counted_and_sent_only_with_keep_bad(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    good = replay("online-retail", RETAIL).payloads[:2]
    bad = [b"{", b'{"event_id":"x"}', b"\xff\xfe"]
    path.write_bytes(b"\n".join([bad[0], good[0], *bad[1:], good[1]]))
    found = replay("jsonl", path)
    assert found.payloads == good
    assert found.bad.total() == 3
    assert "events.jsonl:1: not an event (" in found.said[0]
    kept = replay("jsonl", path, keep_bad=True)
    assert kept.payloads == [bad[0], good[0], *bad[1:], good[1]]
    assert kept.bad.total() == 3


def test_lines_of_jsonl_are_read_by_the_types_and_breakdowns_of_the_deployment(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    plain = replay("online-retail", RETAIL).payloads[0]
    path.write_bytes(
        b"\n".join(
            [
                plain[:-1] + b',"currency":"GBP"}',
                plain[:-1] + b',"currency":"gbp"}',
                plain.replace(b'"purchase"', b'"renewal"'),
                plain[:-1] + b',"shop":7}',
            ]
        )
    )
    assert len(replay("jsonl", path).bad) == 2
    kept = replay("jsonl", path, types=("renewal",), columns=("shop",), keep_bad=True)
    assert len(kept.payloads) == 4
    assert ["`currency`" in kept.said[0], "shop" in kept.said[1], len(kept.said)] == [True, True, 2]


@pytest.mark.parametrize("speed", [0.5, 1.0, 60.0, math.inf])
def test_moved_times_never_lie_ahead_of_their_sending_and_keep_their_windows(speed: float) -> None:
    pace = Pace(speed, shift=True, window=60_000_000)
    first, last, now = 1_000_000_123, 5_000_000_456, 1_767_268_812_345_678
    moved = pace.moved_by(first, last, now)
    assert moved % 60_000_000 == 0
    gaps = [(now if math.isinf(speed) else pace.due(time, first, now)) - (time + moved) for time in (first, 3_000_000_000, last)]
    assert min(gaps) >= 0
    assert min(gaps) < 60_000_000
    if speed == 1.0:
        assert max(gaps) < 60_000_000


def test_moved_events_are_new_events_with_their_other_fields_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join(replay("online-retail", RETAIL).payloads))
    for form, source in (("jsonl", path), ("online-retail", RETAIL)):
        moved = replay(form, source, pace=Pace(shift=True), retime="-5f")
        plain = replay(form, source)
        assert moved.ids() == [f"{event_id}-5f" for event_id in plain.ids()]
        gaps = {to_micros(new.timestamp) - to_micros(old.timestamp) for new, old in zip(moved.events, plain.events, strict=True)}
        assert len(gaps) == 1
        assert [event.revenue_micros for event in moved.events] == [event.revenue_micros for event in plain.events]
        assert [event.order_id for event in moved.events] == [event.order_id for event in plain.events]


def test_at_a_speed_rows_are_due_as_far_apart_as_they_happened() -> None:
    found = replay("open-bandit", BANDIT, pace=Pace(speed=60.0))
    times = [to_micros(event.timestamp) for event in found.events]
    assert [due - found.due[0] for due in found.due] == pytest.approx([(time - times[0]) / 60 for time in times], abs=2)


def test_a_leading_bad_line_that_is_kept_does_not_set_the_pace(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"{\n" + replay("online-retail", RETAIL).payloads[0])
    found = replay("jsonl", path, keep_bad=True, pace=Pace(speed=1.0))
    assert found.due[0] == found.due[1]
    ordered = Ordered()
    ordered.add(SortedRow(BEFORE_ALL, "k", b"{", None))
    assert ordered.first is None


def test_a_folder_means_its_files_of_the_format_and_no_file_counts_twice(tmp_path: Path) -> None:
    for name in ("b.csv", "a.CSV.GZ", "notes.txt"):
        (tmp_path / name).touch()
    assert [file.short for file in gather([str(tmp_path)], (".csv", ".csv.gz"))] == ["a.CSV.GZ", "b.csv"]
    for other in (tmp_path / "b.csv", tmp_path / ".." / tmp_path.name / "b.csv"):
        with pytest.raises(InputError, match="named twice"):
            gather([str(tmp_path), str(other)], (".csv",))
    with pytest.raises(InputError, match=r"no file in this folder ends in \.jsonl or \.ndjson"):
        gather([str(tmp_path)], (".jsonl", ".ndjson"))


def test_a_gzip_file_that_breaks_off_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "half.csv.gz"
    path.write_bytes(gzip.compress(RETAIL.read_bytes())[:-40])
    with pytest.raises(InputError, match=r"half\.csv\.gz: its gzip data is cut off"):
        replay("online-retail", path)


def folder(name: str) -> list[Path]:
    found = sorted((SHARED / name).glob("*.csv"))
    if not found:
        pytest.skip(f"../shared/data/{name} is not there")
    return found


@shared
def test_the_shared_invoices_sum_up_as_polars_sums_them_for_each_minute_and_country() -> None:
    paths = folder("online-retail")
    found = replay("online-retail", *paths)
    lines = pl.concat([pl.read_csv(path, infer_schema=False) for path in paths])
    cancelled, quantity = pl.col("InvoiceNo").str.starts_with("C"), pl.col("Quantity").cast(pl.Int64)
    rows = lines.select(
        minute=pl.col("InvoiceDate").str.to_datetime("%Y-%m-%d %H:%M:%S").dt.replace_time_zone("Europe/London").dt.epoch("s")
        // 60,
        country="Country",
        kind=pl.when(cancelled).then(pl.lit("refund")).otherwise(pl.lit("purchase")),
        micros=quantity.abs() * (pl.col("UnitPrice").str.to_decimal(scale=6) * 1_000_000).cast(pl.Int64),
        good=cancelled == (quantity < 0),
    )
    assert found.bad.total() == rows.filter(~pl.col("good")).height
    expected = rows.filter("good").group_by("minute", "country", "kind").agg(pl.len(), pl.col("micros").sum())
    cells: dict[tuple[int, str, str], list[int]] = {}
    for event in found.events:
        cell = cells.setdefault((to_micros(event.timestamp) // 60_000_000, event.campaign_id, event.event_type), [0, 0])
        cell[0] += 1
        cell[1] += event.revenue_micros or 0
    assert cells == {(row[0], row[1], row[2]): [row[3], row[4]] for row in expected.iter_rows()}
    assert len(set(found.ids())) == len(found.events) == 42_411


@shared
def test_the_shared_recommendation_log_sums_up_as_polars_sums_it_for_each_minute_item_and_position() -> None:
    paths = folder("open-bandit")
    found = replay("open-bandit", *paths)
    rows = pl.concat([pl.read_csv(path, columns=["timestamp", "item_id", "position", "click"]) for path in paths])
    rows = rows.with_columns(minute=pl.col("timestamp").str.to_datetime("%Y-%m-%d %H:%M:%S%.f%z").dt.epoch("s") // 60)
    expected = rows.group_by("minute", "item_id", "position").agg(pl.len(), pl.col("click").sum())
    cells: dict[tuple[int, str, str], list[int]] = {}
    for event in found.events:
        cell = cells.setdefault((to_micros(event.timestamp) // 60_000_000, event.campaign_id, event.channel), [0, 0])
        cell[event.event_type == "click"] += 1
    assert cells == {(row[0], f"item-{row[1]}", f"position-{row[2]}"): [row[3], row[4]] for row in expected.iter_rows()}
    assert all(before.timestamp <= after.timestamp for before, after in itertools.pairwise(found.events))
