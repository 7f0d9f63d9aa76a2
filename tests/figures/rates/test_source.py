"""Rates come from the packaged history, or from a file and a topic of the operator's, and what changes there changes the table."""

import datetime as dt
import json
import logging
from collections.abc import Generator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import msgspec
import pytest

from dataflows.contract.errors import InputError
from dataflows.contract.settings import Settings
from dataflows.kafka.clients import make_producer
from figures.rates.files import packaged
from figures.rates.source import RateSource, table_now
from tests.support.waiting import until

FRIDAY, MONDAY = dt.date(2026, 11, 27), dt.date(2026, 11, 30)


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def rate(source: RateSource, currency: str = "USD", day: dt.date = MONDAY) -> Fraction | None:
    given = source.table().rate("EUR", currency, day)
    return given and Fraction(given.numerator, given.denominator)


def put(settings: Settings, *records: tuple[object, object]) -> None:
    producer = make_producer(settings, "test")
    for key, value in records:
        producer.produce(settings.rates_topic, None if value is None else json.dumps(value), json.dumps(key))
    assert producer.flush(30) == 0


def quote(currency: str, text: object, day: str = "2026-11-27") -> tuple[object, object]:
    return [day, currency], {"date": day, "currency": currency, "rate": text}


@contextmanager
def started(settings: Settings) -> Generator[RateSource]:
    source = RateSource(settings)
    source.start()
    try:
        yield source
    finally:
        source.stop()


def test_without_a_file_and_a_topic_it_is_the_history_of_the_ecb() -> None:
    source = RateSource(Settings())
    assert source.table() is packaged()
    assert source.version == source.version == 0


def test_a_file_replaces_the_history_and_is_read_again_when_it_changes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, clock = tmp_path / "own.csv", Clock()
    path.write_text("Date,USD\n2026-11-27,1.25\n")
    source = RateSource(Settings(rates_file=str(path)), clock=clock)
    table, version = source.table(), source.version
    assert (table.name, rate(source), rate(source, "JPY")) == ("own.csv to 2026-11-27", Fraction("1.25"), None)
    path.write_text("Date,USD\n2026-11-27,1.5\n2026-11-30,1.75\n")
    assert source.table() is table  # it looks every few seconds
    clock.now += 5
    assert (source.table().name, rate(source)) == ("own.csv to 2026-11-30", Fraction("1.75"))
    assert source.version != version
    table, version = source.table(), source.version
    path.write_text("Date,USD\n2026-11-30,oops\n")
    clock.now += 5
    with caplog.at_level(logging.ERROR):
        assert source.table() is table
        clock.now += 5
        assert source.table() is table
    assert [record.getMessage() for record in caplog.records] == [
        f"{path}, line 2: 'oops' is not a rate of USD; a rate is a decimal number above 0, such as 1.1172. "
        "The exchange rates that were read before stay in use."
    ]
    path.unlink()
    clock.now += 5
    assert source.table() is table
    path.write_text("Date,USD\n2026-11-30,2\n")
    clock.now += 5
    assert rate(source) == 2


def test_a_file_that_can_not_be_used_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("Date,USD\n2026-11-27,1,25\n")
    with pytest.raises(InputError, match=r"own.csv, line 2: it has 2 columns"):
        RateSource(Settings(rates_file=str(tmp_path / "own.csv")))


def test_a_corrected_rate_on_the_topic_changes_the_table_while_it_runs(settings: Settings) -> None:
    settings = msgspec.structs.replace(settings, rates_topic=f"{settings.results_topic}-rates")
    put(settings, quote("USD", "1.25"), quote("JPY", "160"))
    with started(settings) as source:
        until(lambda: rate(source, "JPY") == 160)
        assert (rate(source), source.table().name) == (Fraction("1.25"), f"topic {settings.rates_topic} to 2026-11-27")
        version = source.version
        put(settings, quote("USD", "1.5"), quote("USD", "1.75", "2026-11-30"))
        until(lambda: rate(source) == Fraction("1.75"))
        assert rate(source, day=FRIDAY) == Fraction("1.5")
        assert source.version != version
        put(settings, (["2026-11-30", "USD"], None))
        until(lambda: rate(source) == Fraction("1.5"))
    assert table_now(settings).name == source.table().name


def test_the_topic_takes_precedence_over_the_file(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("Date,USD,JPY\n2026-11-27,1.25,160\n2026-11-26,1,1\n")
    settings = msgspec.structs.replace(settings, rates_topic=f"{settings.results_topic}-rates", rates_file=str(path))
    put(settings, quote("USD", "1.5"))
    with started(settings) as source:
        until(lambda: rate(source) == Fraction("1.5"))
        assert rate(source, "JPY") == 160
        assert rate(source, day=dt.date(2026, 11, 26)) == 1
        assert source.table().name == f"own.csv and topic {settings.rates_topic} to 2026-11-27"


def test_an_unreadable_record_is_skipped_and_named_with_its_place(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    settings = msgspec.structs.replace(settings, rates_topic=f"{settings.results_topic}-rates")
    bad = {
        "its value can't be read: Expected `str`, got `float` - at `$.rate`": quote("USD", 1.25),
        "'0' is not a rate of USD": quote("USD", "0"),
        "'usd' is not a currency code": quote("usd", "1.25"),
        "the rate of EUR is 2": quote("EUR", "2"),
        "its key is of CHF on 2026-11-28, but its value of USD on 2026-11-27": (["2026-11-28", "CHF"], quote("USD", "1.25")[1]),
        """its key is not one such as ["2026-11-27","USD"]: Expected `array`""": ("USD", {"rate": "1"}),
        """its key is not one such as ["2026-11-27","USD"]: Invalid RFC3339""": (["2026-02-30", "USD"], None),
    }
    put(settings, *bad.values(), quote("GBP", "0.8"))
    with caplog.at_level(logging.WARNING):
        assert table_now(settings).currencies == {"GBP", "EUR"}
        with started(settings) as source:
            until(lambda: rate(source, "GBP") == Fraction("0.8"))
            until(lambda: len(caplog.records) == 2 * len(bad))
    lines = [record.getMessage() for record in caplog.records]
    assert all(line.startswith(f"topic {settings.rates_topic}, partition ") and " offset " in line for line in lines)
    assert all(sum(reason in line for line in lines) == 2 for reason in bad), lines
