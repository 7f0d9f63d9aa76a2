"""What is wrong with the rates of a deployment, in one line with the cure; without any way to find out."""

from __future__ import annotations

import msgspec

from dataflows.contract.settings import Settings

NO_RATES = "write a record for each day and currency (docs/operations.md, “Exchange rates”), or correct ADTALLY_RATES_TOPIC"
NO_TOPIC = "create it with cleanup.policy=compact, or correct ADTALLY_RATES_TOPIC"
WRITE_AGAIN = "write each again with the same key, or delete it with a tombstone"


class RatesProblem(msgspec.Struct, frozen=True):
    """What is wrong (a sentence without its full stop), and what to do (the same, in small letters).

    `is_total`: without any rate, so that nothing is converted; `since`: seconds since 1970, None if unknown.
    """

    words: str
    cure: str
    is_total: bool = False
    since: float | None = None

    def __str__(self) -> str:
        """Return both as one line, without a full stop."""
        return f"{self.words}; {self.cure}"


def missing_topic(settings: Settings, since: float | None = None) -> RatesProblem:
    """Return the problem that the topic of rates does not exist."""
    words = f"topic {settings.rates_topic} of exchange rates does not exist"
    return RatesProblem(f"{words}, {_effect(settings)}", NO_TOPIC, is_total=not settings.rates_file, since=since)


def empty_topic(settings: Settings) -> RatesProblem:
    """Return the problem that the topic has no rate."""
    words = f"topic {settings.rates_topic} has no exchange rate"
    return RatesProblem(f"{words}, {_effect(settings)}", NO_RATES, is_total=not settings.rates_file)


def unreadable_records(settings: Settings, count: int, last: str) -> RatesProblem:
    """Return the problem that `count` keys of the topic have records that are not rates; `last`: the reason of one of them."""
    are = "1 record is not an exchange rate and is" if count == 1 else f"{count:,} records are not exchange rates and are"
    return RatesProblem(f"on topic {settings.rates_topic} {are} skipped, the last one at {last}", WRITE_AGAIN)


def bad_file(reason: str) -> RatesProblem:
    """Return the problem that the file could not be read again; `reason`: a sentence that names it and the place in it."""
    return RatesProblem(
        f"{reason.rstrip('.')}; the exchange rates that were read before stay in use",
        "replace the file by one that can be used, or correct ADTALLY_RATES_FILE",
    )


def _effect(settings: Settings) -> str:
    return "so only those of ADTALLY_RATES_FILE apply" if settings.rates_file else "so no amount is converted"
