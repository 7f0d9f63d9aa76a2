"""Exchange rates from a compacted topic: key `[date, currency]`, value `{"date", "currency", "rate"}`, the rate a text against the euro."""

from __future__ import annotations

import datetime as dt
import logging
import threading
from typing import Annotated

import msgspec
from confluent_kafka import Message
from typing_extensions import override

from dataflows.contract.settings import Settings
from dataflows.kafka.scan import scan
from figures.feed.follower import Follower
from figures.feed.reporter import StateReporter
from figures.rates.files import RatesByCurrency
from figures.rates.problem import NO_TOPIC, RatesProblem, empty_topic, missing_topic, unreadable_records
from figures.rates.table import currency_code, rate_text

log = logging.getLogger("adtally.rates")

_LOGGED = 20
"""Number of unreadable records that get a line in the log; all of them are counted."""

_REMEMBERED = 1_000
"""Number of keys with unreadable records that are remembered; a topic of something else may have millions."""

RateKey = tuple[dt.date, str]


class RateRecord(msgspec.Struct, frozen=True):
    """Value of a record: what one euro is worth in `currency` on `date`."""

    date: dt.date
    currency: str
    rate: Annotated[str, msgspec.Meta(max_length=100)]


_decode_key = msgspec.json.Decoder(RateKey).decode
_decode_value = msgspec.json.Decoder(RateRecord).decode


def read_record(message: Message) -> tuple[RateKey, str | None]:
    """Return key and rate of a record, None for a tombstone; raises `ValueError`, which says what is wrong with it."""
    try:
        key = _decode_key(message.key() or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f'its key is not one such as ["2026-11-27","USD"]: {error}') from None
    currency_code(key[1])
    value = message.value()
    if value is None:
        return key, None
    try:
        record = _decode_value(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"its value can't be read: {error}") from None
    if (record.date, record.currency) != key:
        raise ValueError(f"its key is of {key[1]} on {key[0]}, but its value of {record.currency[:3]} on {record.date}")
    return key, rate_text(record.currency, record.rate)


class TopicRates:
    """The rates that a topic has so far. Records are upserts, and a tombstone deletes a rate."""

    def __init__(self) -> None:
        self._rates: RatesByCurrency = {}
        self._lock = threading.Lock()
        self.version = 0
        """Number that rises with every change."""

    def apply(self, key: RateKey, rate: str | None) -> None:
        """Set the rate of a day and currency, or delete it."""
        day, currency = key
        with self._lock:
            daily = self._rates.setdefault(currency, {})
            if daily.get(day) == rate:
                return
            if rate is None:
                del daily[day]
            else:
                daily[day] = rate
            self.version += 1

    def clear(self) -> None:
        """Delete all rates."""
        with self._lock:
            self._rates = {}
            self.version += 1

    def is_empty(self) -> bool:
        """Whether there is no rate at all."""
        with self._lock:
            return not any(self._rates.values())

    def copy(self) -> RatesByCurrency:
        """Return the rates as they are now."""
        with self._lock:
            return {currency: dict(daily) for currency, daily in self._rates.items()}


class UnreadableRecords:
    """The keys of a topic of rates whose last record can't be read, each with its place and the reason."""

    def __init__(self) -> None:
        self._reasons: dict[bytes | None, str] = {}

    def __len__(self) -> int:
        return len(self._reasons)

    def add(self, message: Message, reason: Exception) -> None:
        """Remember a record that can't be read; a tombstone deletes its key, whatever that is."""
        key = _key_of(message)
        known = self._reasons.pop(key, None)
        if message.value() is not None and (known is not None or len(self._reasons) < _REMEMBERED):
            self._reasons[key] = f"{_place(message)}: {reason}"

    def correct(self, message: Message) -> None:
        """Forget what was wrong with the key of `message`, which could be read."""
        if self._reasons:
            self._reasons.pop(_key_of(message), None)

    def clear(self) -> None:
        """Forget all."""
        self._reasons.clear()

    def last(self) -> str:
        """Return place and reason of the last one; empty without any."""
        return next(reversed(list(self._reasons.values())), "")


class RateFeed(Follower):
    """Follows the topic of rates; a record that can't be read is counted, logged and skipped."""

    def __init__(self, settings: Settings, rates: TopicRates, look_seconds: float = 5.0) -> None:
        reporter = StateReporter(settings, settings.rates_topic, creation=NO_TOPIC)
        super().__init__(settings, settings.rates_topic, "rates", look_seconds, reporter)
        self._rates = rates
        self._unreadable = UnreadableRecords()
        self._is_empty = False

    def problem(self) -> RatesProblem | None:
        """Return what is wrong with the topic; None also while it is being read, or Kafka does not answer."""
        status = self.status
        if status.state == "waiting":
            return missing_topic(self.settings, status.since)
        if self.reporter.is_barred or self.refused:
            words, _, cure = status.problem.rstrip(".").partition("; ")
            return RatesProblem(words, cure, is_total=not self.settings.rates_file, since=status.since)
        if status.state != "live":
            return None
        if self._rates.is_empty():
            return empty_topic(self.settings)
        return unreadable_records(self.settings, count, self._unreadable.last()) if (count := len(self._unreadable)) else None

    @override
    def take(self, messages: list[Message]) -> None:
        """Apply the records in their order."""
        for message in messages:
            try:
                self._rates.apply(*read_record(message))
                self._unreadable.correct(message)
                self.records += 1
            except ValueError as reason:
                self.cannot_read(message, reason)

    @override
    def reach_end(self) -> None:
        """Log once that the topic has no rate."""
        was_empty, self._is_empty = self._is_empty, self._rates.is_empty()
        if self._is_empty and not was_empty:
            log.warning("%s", empty_topic(self.settings))

    @override
    def cannot_read(self, message: Message, reason: Exception) -> None:
        """Count and log a record that can't be read."""
        super().cannot_read(message, reason)
        self._unreadable.add(message, reason)
        if self.unread <= _LOGGED:
            log.warning("%s", _unreadable(self.settings, message, reason))

    @override
    def forget(self, partition: int) -> None:
        """Drop all rates: the topic was recreated or emptied, and a key may be in any partition."""
        del partition
        self.records = self.unread = 0
        self._rates.clear()
        self._unreadable.clear()


def scanned(settings: Settings, unreadable: UnreadableRecords | None = None) -> TopicRates:
    """Return the rates that the topic has now; records that can't be read are logged and skipped. Raises `BrokerError`.

    `unreadable`: what gets the records that can't be read, which are not logged then.
    """
    rates = TopicRates()
    for message in scan(settings, settings.rates_topic):
        try:
            rates.apply(*read_record(message))
        except ValueError as reason:
            if unreadable is None:
                log.warning("%s", _unreadable(settings, message, reason))
            else:
                unreadable.add(message, reason)
        else:
            if unreadable is not None:
                unreadable.correct(message)
    return rates


def _key_of(message: Message) -> bytes | None:
    key = message.key()
    return key.encode() if isinstance(key, str) else key


def _unreadable(settings: Settings, message: Message, reason: Exception) -> str:
    return f"topic {settings.rates_topic}, {_place(message)} is not an exchange rate and is skipped: {reason}"


def _place(message: Message) -> str:
    return f"partition {message.partition()}, offset {message.offset()}"
