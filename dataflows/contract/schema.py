"""The contract: the records of the topics `logs`, `results` and `rejected`, and how they are encoded and decoded.

Money is integer micros of the deployment's currency, so that sums are exact whatever their order. Everything here is msgspec;
decoding with these types validates, so nothing is checked again later.
"""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from typing import Annotated, Any, Literal, Optional, cast

import msgspec
from msgspec import Meta

EventType = Literal["impression", "click", "conversion", "purchase", "refund", "cost"]
State = Literal["provisional", "final", "corrected"]
Reason = Literal["malformed", "late", "too_far_ahead", "oversize"]

Name = Annotated[str, Meta(min_length=1, max_length=256)]
Timestamp = Annotated[dt.datetime, Meta(tz=True)]
Micros = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]

MAX_PAYLOAD_BYTES = 64 * 1024
"""A larger payload is `oversize`: the whole of it would not fit through the broker a second time."""

KEPT_PAYLOAD_BYTES = 4 * 1024
"""Number of bytes of an oversize payload that its `Rejected` keeps."""

MAX_DEPTH = 100
"""Deeper JSON is malformed; a bound of our own, since that of the interpreter changes with its version."""

VERSION = 1
"""Version of this contract. A new field does not change it, because readers ignore unknown fields; a new meaning increases it by one."""

VERSION_HEADER = "adtally-contract"
RecordHeaders = list[tuple[str, str | bytes | None]] | dict[str, str | bytes | None] | None
HEADERS: list[tuple[str, bytes]] = [(VERSION_HEADER, str(VERSION).encode())]
"""Headers of each Kafka record on `results` and `rejected`; a record without them is read as one of this version."""

STATES: tuple[State, ...] = ("provisional", "final", "corrected")
"""States in order of time: at equal `revision` a consumer keeps the later one."""

# gc=False: these hold only text, numbers and times, never a cycle, so the collector can skip a million of them.


class Event(msgspec.Struct, gc=False, frozen=True, omit_defaults=True):
    """One ad event. On `logs` its Kafka key is `event_id`, so that a resent event meets its twin on one partition."""

    event_id: Name
    event_type: EventType
    timestamp: Timestamp
    campaign_id: Name
    channel: Name
    user_id: Name | None = None
    order_id: Name | None = None
    cost_micros: Micros | None = None
    revenue_micros: Micros | None = None
    currency: str | None = None


class WindowResult(msgspec.Struct, gc=False, frozen=True):
    """The figures of one window, campaign and channel; an upsert under `result_key`.

    Ratios (Google Ads' terms): CTR clicks/impressions, CVR conversions/clicks, CPC spend/clicks, CPM 1000 spend/impressions, CPA
    spend/conversions, ROAS (revenue - refunds)/spend; money ratios in currency units, null where the denominator is 0.
    `revision` is the number of events in the cell: a consumer keeps the highest, and at equal revision the later `state`.
    """

    window_start: str
    window_end: str
    campaign_id: str
    channel: str
    impressions: int
    clicks: int
    conversions: int
    purchases: int
    refunds: int
    spend_micros: int
    revenue_micros: int
    refund_micros: int
    ctr: float | None
    cvr: float | None
    cpc: float | None
    cpm: float | None
    cpa: float | None
    roas: float | None
    currency: str
    events: int
    revision: int
    state: State


class Rejected(msgspec.Struct, gc=False, frozen=True, omit_defaults=True):
    """An event that could not be counted, as it came; an upsert under `rejected_key`.

    `payload` is text; `payload_base64` replaces it where the bytes are not UTF-8; both are absent if there was no value.
    `size` (bytes) and `sha256` (hex) are given for `oversize`, whose payload is only its first `KEPT_PAYLOAD_BYTES`.
    """

    reason: Reason
    detail: str
    topic: str
    partition: int
    offset: int
    rejected_at: str
    payload: str | None = None
    payload_base64: str | None = None
    size: int | None = None
    sha256: str | None = None


def strict_event(currency: str) -> type[Event]:
    """Return `Event` with `currency` narrowed to the deployment's (ISO 4217): any other currency is malformed."""
    fields: list[Any] = [("currency", Optional[Literal[currency]], None)]  # noqa: UP045 - type checkers do not accept `Literal[x] | None` here
    narrowed = msgspec.defstruct("Event", fields, bases=(Event,), frozen=True, gc=False, omit_defaults=True, module=__name__)
    return cast(type[Event], narrowed)


def event_decoder(currency: str) -> msgspec.json.Decoder[Event]:
    """Return a strict decoder of JSON bytes to `Event`, for a deployment that counts in `currency`.

    It raises `msgspec.DecodeError`, `UnicodeDecodeError` or `RecursionError` for a malformed event.
    """
    return msgspec.json.Decoder(strict_event(currency))


def result_key(window_start: str, campaign_id: str, channel: str) -> bytes:
    """Return the Kafka key of a result: a JSON array, because names may hold any character."""
    return encode((window_start, campaign_id, channel))


def rejected_key(topic: str, partition: int, offset: int) -> bytes:
    """Return the Kafka key of a rejected event: its position on `logs`, so that a repetition after a crash replaces it."""
    return encode((topic, partition, offset))


encode = msgspec.json.Encoder().encode
"""Encoder of any of these records to JSON bytes."""

decode_result_key = msgspec.json.Decoder(tuple[str, str, str]).decode
"""The start of the window, the campaign and the channel."""

decode_rejected_key = msgspec.json.Decoder(tuple[str, int, int]).decode
"""Decoder of the key of a rejected event: topic, partition and offset of its message."""

decode_result = msgspec.json.Decoder(WindowResult).decode
decode_rejected = msgspec.json.Decoder(Rejected).decode


def foreign(headers: RecordHeaders) -> str | None:
    """Return in words why a Kafka record with `headers` can't be read by this contract; None if it can be."""
    version = dict(headers or ()).get(VERSION_HEADER, HEADERS[0][1])
    if version == HEADERS[0][1]:
        return None
    return f"it follows version {version[:16] if version else None!r} of the contract, and this adtally reads {VERSION}"


_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


def to_micros(moment: dt.datetime) -> int:
    """Return the microseconds since 1970 (UTC) of an aware datetime."""
    return (moment - _EPOCH) // _MICROSECOND


@lru_cache(maxsize=4096)  # a window's bounds are in each of its results
def rfc3339(seconds: int) -> str:
    """Return whole seconds since 1970 as ``2026-11-23T08:00:00Z``; raises `OverflowError` outside the years 1 to 9999."""
    return (_EPOCH + dt.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")
