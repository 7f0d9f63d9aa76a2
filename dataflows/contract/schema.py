"""The contract: the records of the topics `logs`, `results`, `results.<breakdown>` and `rejected`, and how they are encoded and decoded.

Money is integer micros of its currency, so that sums are exact whatever their order. Everything here is msgspec; decoding with these types
validates, so nothing is checked again later.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Annotated, Any, Literal, Optional, TypeAlias, cast, get_args

import msgspec
from msgspec import Meta
from msgspec.structs import astuple

EventType = Literal["impression", "click", "conversion", "purchase", "refund", "cost"]
State = Literal["provisional", "final", "corrected"]
Reason = Literal["malformed", "late", "too_far_ahead", "oversize"]

Value: TypeAlias = str | Literal[True] | None
"""Value of a field in a row of a breakdown: a text, None where the events have none, True in the row of what was not admitted."""

Name = Annotated[str, Meta(min_length=1, max_length=256)]
Timestamp = Annotated[dt.datetime, Meta(tz=True)]
Micros = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")]

MAX_PAYLOAD_BYTES = 64 * 1024
"""A larger payload is `oversize`: the whole of it would not fit through the broker a second time."""

KEPT_PAYLOAD_BYTES = 4 * 1024
"""Number of bytes of an oversize payload that its `Rejected` keeps."""

MAX_DEPTH = 100
"""Deeper JSON is malformed; a bound of our own, since that of the interpreter changes with its version."""

VERSION = 2
"""Version of this contract. A new field does not change it, because readers ignore unknown fields; a new meaning increases it by one."""

VERSION_HEADER = "adtally-contract"
RecordHeaders = list[tuple[str, str | bytes | None]] | dict[str, str | bytes | None] | None
HEADERS: list[tuple[str, bytes]] = [(VERSION_HEADER, str(VERSION).encode())]
"""Headers of each Kafka record on the topics of results and on `rejected`; a record without them is read as one of this version."""

STATES: tuple[State, ...] = ("provisional", "final", "corrected")
"""States in order of time: at equal `revision` a consumer keeps the later one."""

# gc=False: these hold only text, numbers and times, never a cycle, so the collector can skip a million of them.


class Event(msgspec.Struct, gc=False, frozen=True, omit_defaults=True):
    """One ad event. On `logs` its Kafka key is `event_id`, so that a resent event meets its twin on one partition.

    `event_type` is a built-in type or one that the deployment declares (`event_decoder`); `currency` (ISO 4217) is that of the deployment
    where it is None. The fields from `adgroup_id` on are dimensions, for breakdowns.
    """

    event_id: Name
    event_type: str
    timestamp: Timestamp
    campaign_id: Name
    channel: Name
    user_id: Name | None = None
    order_id: Name | None = None
    cost_micros: Micros | None = None
    revenue_micros: Micros | None = None
    currency: Currency | None = None
    adgroup_id: Name | None = None
    ad_id: Name | None = None
    keyword: Name | None = None
    placement: Name | None = None
    device: Name | None = None
    country: Name | None = None
    landing_page: Name | None = None
    click_id: Name | None = None


class WindowResult(msgspec.Struct, gc=False, frozen=True):
    """The figures of one window, campaign, channel and currency; an upsert under `result_key`.

    `counts`: the number of events of each declared type, without those that have none.

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
    counts: dict[str, int]
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


class DeclaredType(msgspec.Struct, frozen=True):
    """An event type of the deployment's own; an event of it also adds what `role`, a built-in type, adds."""

    name: str
    role: str | None = None


class Breakdown(msgspec.Struct, frozen=True):
    """One breakdown of results: its name, which is in that of its topic, and the fields of the event whose values split a cell."""

    name: str
    fields: tuple[str, ...]


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


@lru_cache(maxsize=64)
def strict_event(types: tuple[str, ...], columns: tuple[str, ...]) -> type[Event]:
    """Return `Event` narrowed to the built-in event types and `types`, with a field for each of `columns` that it does not have itself."""
    allowed = Literal[(*get_args(EventType), *types)]  # pyright: ignore[reportInvalidTypeForm]  # the types are a setting
    further = {attribute(column, columns): column for column in columns if column not in Event.__struct_fields__}
    fields: list[Any] = [("event_type", allowed), *((name, Optional[Name], None) for name in further)]  # noqa: UP045 - a value, no annotation
    narrowed = msgspec.defstruct(
        *("Event", fields),
        bases=(Event,),
        frozen=True,
        gc=False,
        omit_defaults=True,
        kw_only=True,
        rename=further,
        module=__name__,
    )
    return cast(type[Event], narrowed)


def attribute(column: str, columns: Sequence[str]) -> str:
    """Return the attribute of an event of `strict_event` that has the value of `column`, one of `columns`."""
    return column if column in Event.__struct_fields__ else f"column_{columns.index(column)}"


def values_of(fields: Sequence[str], columns: Sequence[str]) -> Callable[[Event], tuple[str | None, ...]]:
    """Return a function that reads the values of `fields`, some of `columns`, from an event of `strict_event`, in their order."""
    names = [attribute(field, columns) for field in fields]
    read = cast(Callable[[Event], Any], attrgetter(*names))

    def read_one(event: Event) -> tuple[str | None, ...]:
        return (read(event),)

    return read_one if len(names) == 1 else read


def event_decoder(types: Iterable[str] = (), columns: Iterable[str] = ()) -> msgspec.json.Decoder[Event]:
    """Return a strict decoder of JSON bytes to `Event`, for a deployment that declares `types` and breaks results down by `columns`.

    It raises `msgspec.DecodeError`, `UnicodeDecodeError` or `RecursionError` for a malformed event.
    """
    return msgspec.json.Decoder(strict_event(tuple(types), tuple(columns)))


def result_key(window_start: str, campaign_id: str, channel: str, currency: str) -> bytes:
    """Return the Kafka key of a result: a JSON array, because names may hold any character."""
    return encode((window_start, campaign_id, channel, currency))


def breakdown_key(window_start: str, campaign_id: str, channel: str, values: Iterable[Value], currency: str) -> bytes:
    """Return the Kafka key of a row of a breakdown, `values` being those of its fields in their order."""
    return encode((window_start, campaign_id, channel, *values, currency))


def rejected_key(topic: str, partition: int, offset: int) -> bytes:
    """Return the Kafka key of a rejected event: its position on `logs`, so that a repetition after a crash replaces it."""
    return encode((topic, partition, offset))


encode = msgspec.json.Encoder().encode
"""Encoder of any of these records to JSON bytes."""

decode_result_key = msgspec.json.Decoder(tuple[str, str, str, str]).decode
"""Decoder of the key of a result: the start of the window, the campaign, the channel and the currency."""

decode_rejected_key = msgspec.json.Decoder(tuple[str, int, int]).decode
"""Decoder of the key of a rejected event: topic, partition and offset of its message."""

decode_result = msgspec.json.Decoder(WindowResult).decode
decode_rejected = msgspec.json.Decoder(Rejected).decode


_BEFORE_VALUES = WindowResult.__struct_fields__.index("channel") + 1
"""Number of fields of a result that are before the fields of a breakdown."""


class BreakdownCodec:
    """Encoder and decoder of the rows of one breakdown: the record of a result, with the breakdown's fields after the channel."""

    def __init__(self, breakdown: Breakdown) -> None:
        value = Optional[str | bool]  # noqa: UP045 - a value, no annotation
        names = {f"value_{index}": field for index, field in enumerate(breakdown.fields)}
        of_result = [(field.name, field.type) for field in msgspec.structs.fields(WindowResult)]
        fields: list[Any] = [*of_result[:_BEFORE_VALUES], *((name, value) for name in names), *of_result[_BEFORE_VALUES:]]
        self._after_values = _BEFORE_VALUES + len(names)
        self._kind: Any = msgspec.defstruct("BreakdownRow", fields, frozen=True, gc=False, rename=names, module=__name__)
        self._decode = msgspec.json.Decoder(self._kind).decode
        key: Any = tuple[(str, str, str, *(value for _ in names), str)]  # pyright: ignore[reportInvalidTypeArguments]  # of any length
        self._decode_key = msgspec.json.Decoder(key).decode

    def encode(self, result: WindowResult, values: Sequence[Value]) -> bytes:
        """Return the value of the Kafka record of a row."""
        fields = astuple(result)
        return encode(self._kind(*fields[:_BEFORE_VALUES], *values, *fields[_BEFORE_VALUES:]))

    def decode(self, value: bytes) -> tuple[WindowResult, tuple[Value, ...]]:
        """Return the figures of a row and the values of its fields; raises `msgspec.DecodeError` if it is not one."""
        fields = astuple(self._decode(value))
        result = WindowResult(*fields[:_BEFORE_VALUES], *fields[self._after_values :])
        return result, _row_values(fields[_BEFORE_VALUES : self._after_values])

    def decode_key(self, key: bytes) -> tuple[str, str, str, tuple[Value, ...], str]:
        """Return the start of the window, the campaign, the channel, the values and the currency; raises `msgspec.DecodeError`."""
        start, campaign, channel, *values, currency = self._decode_key(key)
        return start, campaign, channel, _row_values(values), currency


def _row_values(values: Sequence[Any]) -> tuple[Value, ...]:
    if False in values:
        raise msgspec.ValidationError("false is not a value of a breakdown")
    return tuple(values)


@lru_cache(maxsize=64)
def breakdown_codec(breakdown: Breakdown) -> BreakdownCodec:
    """Return the codec of the rows of `breakdown`."""
    return BreakdownCodec(breakdown)


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
