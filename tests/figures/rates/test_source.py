"""Rates come from the packaged history, or from a file and a topic of the operator's, and what changes there changes the table."""

import datetime as dt
import json
import logging
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import cast

import msgspec
import pytest
from confluent_kafka import Message

from dataflows.commands.doctor.check_result import CheckResult
from dataflows.contract.errors import InputError
from dataflows.contract.settings import Settings
from dataflows.kafka.clients import make_producer
from dataflows.kafka.topics import Topics
from figures.rates.examination import rates_file, rates_topic
from figures.rates.files import packaged
from figures.rates.source import RateSource, table_now
from figures.rates.topic import UnreadableRecords
from figures.service import Service
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
def started(settings: Settings, source: RateSource | None = None) -> Generator[RateSource]:
    source = source or RateSource(settings)
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
    cure = "the exchange rates that were read before stay in use; replace the file by one that can be used, or correct ADTALLY_RATES_FILE"
    line = f"{path}, line 2: 'oops' is not a rate of USD; a rate is a decimal number above 0, such as 1.1172; {cure}"
    assert [record.getMessage() for record in caplog.records] == [line]
    assert str(source.problem()) == line
    path.unlink()
    clock.now += 5
    assert source.table() is table
    assert str(source.problem()) == f"exchange rates in {path} can't be read: No such file or directory; {cure}"
    path.write_text("Date,USD\n2026-11-30,2\n")
    clock.now += 5
    assert source.problem() is None
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


def test_a_topic_that_is_missing_empty_or_partly_unreadable_is_named_with_the_cure_until_it_is_mended(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings = msgspec.structs.replace(settings, rates_topic=f"{settings.results_topic}-rates")
    topic = settings.rates_topic

    def lines(check: Callable[[Settings], Iterable[CheckResult]]) -> list[tuple[str, str]]:
        return [(found.level, found.words) for found in check(settings)]

    missing = (
        f"topic {topic} of exchange rates does not exist, so no amount is converted; "
        "create it with cleanup.policy=compact, or correct ADTALLY_RATES_TOPIC"
    )
    empty = (
        f"topic {topic} has no exchange rate, so no amount is converted; "
        "write a record for each day and currency (docs/operations.md, “Exchange rates”), or correct ADTALLY_RATES_TOPIC"
    )
    unreadable = (
        f"on topic {topic} 1 record is not an exchange rate and is skipped, the last one at partition 2, offset 0: "  # as its key is hashed
        "'0' is not a rate of USD; a rate is a decimal number above 0, such as 1.1172; "
        "write each again with the same key, or delete it with a tombstone"
    )
    assert lines(rates_topic) == [("fail", missing)]
    service = Service(settings)
    with caplog.at_level(logging.WARNING), started(settings, service.rates) as source:
        until(lambda: str(source.problem()) == missing)
        assert service.answered("").notes == (f"Exchange rates: {missing}.",)
        assert service.answered("currency=native").notes == ()
        Topics(settings).ensure(topic)
        until(lambda: str(source.problem()) == empty)
        assert lines(rates_topic) == [("warn", empty)]
        put(settings, quote("USD", "0"), quote("GBP", "0.8"))
        until(lambda: str(source.problem()) == unreadable)
        assert lines(rates_topic) == [("warn", unreadable)]
        put(settings, quote("USD", "1.25"))
        until(lambda: source.problem() is None)
        assert lines(rates_topic) == [("ok", f"topic {topic}: 3 currencies with the euro, to 2026-11-27")]
        put(settings, (quote("USD", "1")[0], None), (quote("GBP", "1")[0], None), ("no key", {}))
        until(lambda: str(source.problem()) == empty)
        until(lambda: sum(record.getMessage() == empty for record in caplog.records) == 2)
    said = [record.getMessage() for record in caplog.records]
    assert (
        f"waiting for topic {topic} on {settings.brokers}; create it with cleanup.policy=compact, or correct ADTALLY_RATES_TOPIC"
        in said
    )


class Keyed:
    """A message with a key of its own."""

    def __init__(self, number: int) -> None:
        self._number = number

    def key(self) -> bytes:
        return b"%d" % self._number

    def value(self) -> bytes:
        return b"{}"

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self._number


def test_a_topic_of_something_else_is_not_remembered_as_a_whole() -> None:
    unreadable = UnreadableRecords()
    for number in range(3000):
        unreadable.add(cast("Message", Keyed(number)), ValueError("no"))
    assert len(unreadable) == 1000


def test_the_doctor_names_the_line_of_a_file_that_can_not_be_used(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    settings = Settings(rates_file=str(path))
    (missing,) = rates_file(settings)
    assert missing.words.startswith(f"exchange rates in {path} can't be read: No such file or directory; correct the file or ")
    path.write_text("Date,USD\n2026-11-27,1.25\n")
    assert [(found.level, found.words) for found in rates_file(settings)] == [
        ("ok", "own.csv: 2 currencies with the euro, to 2026-11-27")
    ]
    assert list(rates_file(Settings())) == list(rates_topic(Settings())) == []
