from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from dataflows.contract import schema
from dataflows.contract.schema import Event, WindowResult, event_decoder, rejected_key, result_key, rfc3339
from tests.support.records import event

decode = event_decoder().decode


DIMENSIONS = ("adgroup_id", "ad_id", "keyword", "placement", "device", "country", "landing_page", "click_id")


def taken(**fields: Any) -> Event:
    return decode(json.dumps(event(**fields)).encode())


@pytest.mark.parametrize("name", ["event_id", "event_type", "timestamp", "campaign_id", "channel"])
def test_an_event_without_a_required_field_is_malformed(name: str) -> None:
    given = event()
    del given[name]
    with pytest.raises(msgspec.ValidationError, match=name):
        decode(json.dumps(given).encode())


@pytest.mark.parametrize(
    "fields",
    [
        {"timestamp": "2026-01-01T00:00:00"},
        {"timestamp": 1767225600},
        {"timestamp": "2026-02-30T00:00:00Z"},
        {"event_type": "view"},
        {"campaign_id": ""},
        {"channel": "x" * 257},
        {"user_id": ""},
        {"order_id": 5},
        {"cost_micros": 1.0},
        {"cost_micros": True},
        {"cost_micros": "5"},
        {"revenue_micros": 2**63},
        {"currency": "usd"},
        {"currency": ""},
        {"currency": "EURO"},
        {"currency": "EUR\n"},
        *({field: value} for field in DIMENSIONS for value in ("", "x" * 257, 5, True, ["a"])),
    ],
)
def test_an_event_against_the_contract_is_malformed(fields: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        taken(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"currency": "USD"},
        {"currency": "EUR"},
        *({field: value} for field in DIMENSIONS for value in (None, "x" * 256, "(other)", "\0")),
        {"not_a_breakdown": 5},
        {"currency": None, "cost_micros": None, "user_id": None},
        {"cost_micros": -5},
        {"revenue_micros": 2**63 - 1},
        {"campaign_id": "x" * 256},
        {"channel": "<b>\u202e\n"},
        {"something": {"else": [1, 2.5]}},
        {"timestamp": "2026-01-01T01:00:00.5+05:30"},
    ],
)
def test_an_event_within_the_contract_is_taken(fields: dict[str, Any]) -> None:
    taken(**fields)


def test_a_name_has_up_to_256_characters_not_bytes() -> None:
    assert taken(campaign_id="é" * 256).campaign_id == "é" * 256


def test_of_a_key_given_twice_the_last_counts() -> None:
    assert decode(json.dumps(event()).encode()[:-1] + b',"channel":"first","channel":"last"}').channel == "last"


def test_keys_are_json_arrays_so_that_names_may_hold_any_character() -> None:
    assert json.loads(result_key("2026-01-01T00:00:00Z", 'a","b', "c", "EUR")) == ["2026-01-01T00:00:00Z", 'a","b', "c", "EUR"]
    assert json.loads(rejected_key("logs", 3, 17)) == ["logs", 3, 17]


def test_a_result_holds_the_fields_of_the_contract_in_its_order() -> None:
    assert list(WindowResult.__struct_fields__) == [
        "window_start",
        "window_end",
        "campaign_id",
        "channel",
        "impressions",
        "clicks",
        "conversions",
        "purchases",
        "refunds",
        "spend_micros",
        "revenue_micros",
        "refund_micros",
        "counts",
        "ctr",
        "cvr",
        "cpc",
        "cpm",
        "cpa",
        "roas",
        "currency",
        "events",
        "revision",
        "state",
    ]


def test_times_are_written_with_z_and_without_a_fraction() -> None:
    assert rfc3339(1_767_225_600) == "2026-01-01T00:00:00Z"
    assert rfc3339(-62_135_596_800) == "0001-01-01T00:00:00Z"


def test_the_contract_needs_nothing_but_msgspec() -> None:
    imported = {name.partition(".")[0] for name in vars(schema) if not name.startswith("_")}
    assert not imported & {"bytewax", "confluent_kafka", "polars", "panel"}
