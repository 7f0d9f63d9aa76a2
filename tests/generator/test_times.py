"""Times and numbers of files: one reading for a whole column, or a refusal that names the lines; never another time than was meant."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.contract.errors import InputError
from generator.formats.base import RowError
from generator.formats.times import TimeColumn
from generator.replay import Pace
from tests.support.replays import HEADER, Result, line, replay, retail


def times(found: Result) -> list[str]:
    return [event.timestamp.strftime("%Y-%m-%d %H:%M:%S") for event in found.events]


@pytest.mark.parametrize(
    ("date", "utc"),
    [
        ("12/1/2010 8:26", "2010-12-01 08:26:00"),
        ("12/01/2010 08:26:59", "2010-12-01 08:26:59"),
        ("12-31-2010 8:26", "2010-12-31 08:26:00"),
        ("12/1/2010", "2010-12-01 00:00:00"),
        ("1.12.2010 08:26", "2010-12-01 08:26:00"),
        ("31.12.2010, 08:26", "2010-12-31 08:26:00"),
        ("31-12-2010T08:26", "2010-12-31 08:26:00"),
        ("2010/12/1 8:26", "2010-12-01 08:26:00"),
        ("2010.12.01 8:26", "2010-12-01 08:26:00"),
        ("2010-12-1 8:26", "2010-12-01 08:26:00"),
        ("20101201", "2010-12-01 00:00:00"),
        ("20101201082600", "2010-12-01 08:26:00"),
        ("20101201T082600Z", "2010-12-01 08:26:00"),
        ("2010-12-01T08:26:00.123456789Z", "2010-12-01 08:26:00"),
        ("12/1/2010 12:26 AM", "2010-12-01 00:26:00"),
        ("12/1/2010 12:26 pm", "2010-12-01 12:26:00"),
        ("2010-12-01 08:26:00 p.m.", "2010-12-01 20:26:00"),
        ("12/1/2010 8:26 PM -05:00", "2010-12-02 01:26:00"),
        ("12/1/2010 8:26Z", "2010-12-01 08:26:00"),
        ("6/1/2011 8:26 UTC", "2011-06-01 08:26:00"),
        ("1291191960", "2010-12-01 08:26:00"),
        ("1291191960.999", "2010-12-01 08:26:00"),
        ("1291191960000", "2010-12-01 08:26:00"),
        ("1511123000000", "2017-11-19 20:23:20"),
        ("1291191960000000", "2010-12-01 08:26:00"),
        ("1291191960000000999", "2010-12-01 08:26:00"),
        ("999999999", "2001-09-09 01:46:39"),
        ("999999999999", "2001-09-09 01:46:39"),
        ("1291191960.99999999999999999999999999999999", "2010-12-01 08:26:00"),
        ("1291191960,5", "2010-12-01 08:26:00"),
        ("12/1/2010\u00a08:26\u202fPM", "2010-12-01 20:26:00"),
        ("2010-12-01t08:26:00z", "2010-12-01 08:26:00"),
    ],
)
def test_a_time_is_read_as_what_it_is(tmp_path: Path, date: str, utc: str) -> None:
    found = retail(tmp_path, line(date=f'"{date}"'))
    assert times(found) == [utc]
    assert not found.bad


@pytest.mark.parametrize(
    ("date", "words"),
    [
        ("40513.35", "as Excel counts them"),
        ("40513", "as Excel counts them"),
        ("0", "as Excel counts them"),
        ("12/1/10 8:26", "a year of two digits"),
        ("10-12-01", "a year of two digits"),
        ("40513,35", "as Excel counts them"),
        ("201012010826", "may be a date or an epoch time"),
        ("2010120108", "may be a date or an epoch time"),
        ("01122010082600", "is not a time"),
        ("0112201008", "is not a time"),
        ("13122010", "is not a time"),
        ("1291191960,000,000", "is not a time"),
        ("99999999999999999999", "is not a time"),
        ("9" * 5000, "is not a time"),
        ("1.29119196E+12", "is not a time"),
        ("-1291191960", "is not a time"),
        ("2010-02-30 08:26", "is not a time"),
        ("30/02/2010 08:26", "is not a time"),
        ("31/31/2010 08:26", "is not a time"),
        ("12/1/2010 13:26 PM", "is not a time"),
        ("12/1/2010 24:00", "is not a time"),
        ("12/1/2010 8:26 CET", "is not a time"),
        ("12/1/2010 8:26 +24:00", "is not a time"),
        ("12/1.2010 8:26", "is not a time"),
        ("99991231", "is not a time"),
        ("9999-12-31 23:59", "lies before"),
        ("0001-01-01 00:00", "lies before"),
        ("0001-01-01T00:00:00+23:59", "lies before"),
        ("9999-12-31T23:59:59-23:59", "lies before"),
        ("12/31/9999 23:59", "lies before"),
    ],
)
def test_what_is_not_a_time_is_a_bad_row_in_words(tmp_path: Path, date: str, words: str) -> None:
    found = retail(tmp_path, line(date=f'"{date}"'))
    assert not found.events
    assert words in found.said[0]


def test_one_line_that_fits_day_first_alone_decides_for_the_lines_before_it(tmp_path: Path) -> None:
    rows = [line(date=f"{day:02}/12/2010 08:26") for day in (1, 2, 12, *[3] * 2000, 13)]
    found = retail(tmp_path, *rows)
    assert {time[5:7] for time in times(found)} == {"12"}
    (note,) = found.notes
    assert "InvoiceDate is read day-first, as line 2005 of" in note
    assert "(13/12/2010 08:26) decides" in note


def test_a_bad_row_decides_too_and_no_row_counts_twice_for_it(tmp_path: Path) -> None:
    found = retail(tmp_path, line(date="1/12/2010 8:26"), line(date="13/12/2010 8:26", quantity="-1"), line(date="", price="x"))
    assert times(found) == ["2010-12-01 08:26:00"]
    assert found.bad.total() == 2


def test_a_column_that_fits_both_orders_is_month_first_as_published_unless_said_otherwise(tmp_path: Path) -> None:
    rows = [line(date="12/1/2010 8:26"), line(date="12/2/2010 8:26")]
    found = retail(tmp_path, *rows)
    assert times(found) == ["2010-12-01 08:26:00", "2010-12-02 08:26:00"]
    assert found.notes == [
        "InvoiceDate is read month-first, as the data set is published, for each line fits both orders; "
        "--dates day-first reads it so"
    ]
    found = retail(tmp_path, *rows, dates="day-first")
    assert times(found) == ["2010-01-12 08:26:00", "2010-02-12 08:26:00"]
    assert found.notes == ["InvoiceDate is read day-first, as --dates says"]
    assert retail(tmp_path, *rows, dates="iso").bad == {"InvoiceDate is not a time by --dates iso": 2}


def test_by_choice_what_fits_the_other_order_alone_is_bad(tmp_path: Path) -> None:
    found = retail(tmp_path, line(date="12/1/2010 8:26"), line(date="13/12/2010 8:26"), dates="month-first")
    assert times(found) == ["2010-12-01 08:26:00"]
    assert found.bad == {"InvoiceDate is not a time by --dates month-first": 1}


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ("13/12/2010 8:26", "12/13/2010 8:26", "only be day-first by line 2 of .* and only month-first by line 3 of "),
        ("1291191960000", "1291191960", r"with milliseconds in line 2 \(1291191960000\), and with seconds in line 3"),
        ("2010-12-01 08:26", "12/13/2010 8:26", "with the year first in line 2 .* and with the year last in line 3"),
        ("2010-12-01 08:26", "1291191960", "with the year first in line 2 .* and with seconds in line 3"),
        ("12/13/2010 8:26", "12/13/2010 8:26 PM", "with 24-hour clock in line 2 .* and with 12-hour clock in line 3"),
        ("2010-12-01 08:26:00", "2010-12-01 08:26:00 PM", "24-hour clock in line 2 .* 12-hour clock in line 3"),
        ("1-12-2010 8:26", "2-12-2010 8:26", "fits day-first and month-first, as in line 2 .* --dates day-first"),
    ],
)
def test_a_column_without_one_reading_is_refused_with_the_lines_that_decide(
    tmp_path: Path, first: str, second: str, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        retail(tmp_path, line(date=first), line(date=second))


def test_a_file_that_decides_nothing_is_read_as_the_others_of_its_command(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.csv" for name in ("open", "day", "month")]
    for path, date in zip(paths, ("1/12/2010", "13/12/2010", "12/13/2010"), strict=True):
        path.write_text(f"{HEADER}\n{line(date=date)}\n")
    assert times(replay("online-retail", paths[0], paths[1])) == ["2010-12-01 00:00:00", "2010-12-13 00:00:00"]
    assert times(replay("online-retail", paths[0], paths[2])) == ["2010-01-12 00:00:00", "2010-12-13 00:00:00"]
    assert times(replay("online-retail", paths[1], paths[2])) == ["2010-12-13 00:00:00"] * 2
    with pytest.raises(InputError, match=r"only be day-first by line 2 of .*only month-first by line 2 of"):
        replay("online-retail", *paths)


def test_epoch_numbers_say_their_unit_and_another_format_has_no_order_by_default(tmp_path: Path) -> None:
    assert "read as milliseconds since 1970" in retail(tmp_path, line(date="1291191960000")).notes[0]
    path = tmp_path / "log.csv"
    path.write_text("timestamp,item_id,position,click\n1291191960,1,1,0\n")
    assert times(replay("open-bandit", path)) == ["2010-12-01 08:26:00"]
    path.write_text("timestamp,item_id,position,click\n1/12/2010 8:26Z,1,1,0\n")
    with pytest.raises(InputError, match="--dates month-first"):
        replay("open-bandit", path)


@settings(max_examples=100)
@given(
    st.one_of(
        st.text(max_size=30),
        st.from_regex(r"[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}[T ]?([0-9]{1,2}:[0-9]{2}(:[0-9]{2})? ?([ap]m|[+-][0-9]{4})?)?"),
        st.from_regex(r"\A-?[0-9]{1,25}(\.[0-9]{0,25})?(e[0-9]{1,9})?\Z"),
        st.datetimes(timezones=st.timezones()).map(dt.datetime.isoformat),
    )
)
def test_any_text_is_a_time_that_the_contract_takes_or_a_bad_row(text: str) -> None:
    column = TimeColumn("t", "file", None, "day-first")
    try:
        micros = column.micros(text, (1, 1))
    except RowError:
        return
    assert dt.datetime(1, 1, 2) <= dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=micros) <= dt.datetime(9999, 12, 30)


def test_times_that_lie_too_far_apart_to_be_moved_together_are_refused(tmp_path: Path) -> None:
    rows = line(date="0002-01-01"), line(date="9999-01-01")
    assert len(retail(tmp_path, *rows).events) == 2
    with pytest.raises(InputError, match="the events span 9,996 years, which moves some out of the years 1 to 9999"):
        retail(tmp_path, *rows, pace=Pace(shift=True), retime="-5f")


def prices(tmp_path: Path, *texts: str, **context: str) -> Result:
    return retail(tmp_path, *[line(quantity="1", price=f'"{text}"') for text in texts], **context)


@pytest.mark.parametrize(
    ("texts", "micros"),
    [
        (["2,55"], [2_550_000]),
        (["1.234,56", "1.234", "7"], [1_234_560_000, 1_234_000_000, 7_000_000]),
        (["1,234.56", "1,234", "1.234"], [1_234_560_000, 1_234_000_000, 1_234_000]),
        (["1,234,567"], [1_234_567_000_000]),
        (["1.234.567"], [1_234_567_000_000]),
        (["1.234"], [1_234_000]),
        (["1\u202f234,50", "1'234.50"], [1_234_500_000, 1_234_500_000]),
        (["1 234"], [1_234_000_000]),
        (["0,125"], [125_000]),
        (["2,55", "27.50"], [2_550_000, 27_500_000]),
        ([",5"], [500_000]),
    ],
)
def test_decimal_commas_and_thousands_are_read_by_what_decides_in_the_file(
    tmp_path: Path, texts: list[str], micros: list[int]
) -> None:
    assert [event.revenue_micros for event in prices(tmp_path, *texts).events] == micros


def test_a_quantity_is_read_as_the_prices_of_its_file_are(tmp_path: Path) -> None:
    found = retail(tmp_path, line(quantity="1.000", price='"2,55"'))
    assert [event.revenue_micros for event in found.events] == [2_550_000_000]
    assert "decimal commas, as in line 2 of " in found.notes[0]


@pytest.mark.parametrize("texts", [["1,234"], ["2,55", "27.50", "1.234"], ["2,55", "27.50", "1,234"]])
def test_a_number_that_may_be_a_thousand_times_as_much_needs_a_choice(tmp_path: Path, texts: list[str]) -> None:
    with pytest.raises(InputError, match=f"{texts[-1]} in line {len(texts) + 1} may be a thousand times as much"):
        prices(tmp_path, *texts)
    assert prices(tmp_path, "1,234", decimal="comma").events[0].revenue_micros == 1_234_000
    assert prices(tmp_path, "1,234", decimal="point").events[0].revenue_micros == 1_234_000_000


@pytest.mark.parametrize(
    "text", ["1,23,4", "1.2.3", "1,2345.6", "12,", "1,234.", "£2", "2 55", "(2.55)", "1.234.56", "--1", "1e5,3", "٣,٥"]
)
def test_what_is_not_a_number_is_a_bad_row(tmp_path: Path, text: str) -> None:
    found = prices(tmp_path, text)
    assert found.bad == {"UnitPrice is not a number": 1}
