"""What ``adtally doctor`` says about the exchange rates of a deployment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dataflows.commands.doctor.check_result import CheckResult, fail, ok, warn
from dataflows.contract.errors import BrokerError, InputError
from dataflows.contract.settings import Settings
from dataflows.kafka.topics import Topics
from figures.rates.files import table_of
from figures.rates.problem import empty_topic, missing_topic, unreadable_records
from figures.rates.table import RateTable
from figures.rates.topic import UnreadableRecords, scanned

SECONDS = 10.0
"""Time that a broker may take to name the partitions of the topic."""


def rates_file(settings: Settings) -> Iterator[CheckResult]:
    """Check the file of exchange rates, if there is one."""
    if not settings.rates_file:
        return
    try:
        yield ok("rates", _content(table_of(settings.rates_file), Path(settings.rates_file).name))
    except InputError as error:
        yield fail(
            "rates", f"{str(error).rstrip('.')}; correct the file or ADTALLY_RATES_FILE: the dashboard does not start with it"
        )


def rates_topic(settings: Settings) -> Iterator[CheckResult]:
    """Check the topic of exchange rates, if there is one, which is read as a whole."""
    if not settings.rates_topic:
        return
    unreadable = UnreadableRecords()
    try:
        if not Topics(settings, "doctor", rights={settings.rates_topic: "Read"}).partitions(settings.rates_topic, SECONDS):
            yield fail("rates", str(missing_topic(settings)))
            return
        rates = scanned(settings, unreadable)
    except BrokerError as error:
        yield fail("rates", str(error).rstrip("."))
        return
    if unreadable:
        yield warn("rates", str(unreadable_records(settings, len(unreadable), unreadable.last())))
    if rates.is_empty():
        yield warn("rates", str(empty_topic(settings)))
    elif not unreadable:
        yield ok("rates", _content(RateTable("", rates.copy()), f"topic {settings.rates_topic}"))


def _content(table: RateTable, name: str) -> str:
    return f"{name}: {len(table.currencies)} currencies with the euro, to {table.last_day}"
