"""Whatever a producer may put on the logs, through the whole flow, on each broker: nothing stops it, and nothing vanishes."""

from __future__ import annotations

import base64
import hashlib
import json
import random
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from dataflows.contract.schema import KEPT_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES
from dataflows.contract.settings import Settings
from dataflows.kafka.topics import Topics
from tests.support.engines.batches import broken, produce_raw
from tests.support.flows import ANSWER_SECONDS, counters, last_results, read_topic, recovery_folder, running, send, wait_for
from tests.support.records import event, payload
from tests.support.settings import own_names


def raw(text: bytes) -> bytes:
    """An event with more behind its last field."""
    return payload("x")[:-1] + b"," + text + b"}"


DEEP = b'"note":' + b"[" * 1000 + b"]" * 1000

MALFORMED: dict[str, bytes | None] = {
    "no value": None,
    "nothing": b"",
    "not UTF-8": payload("x")[:-2] + b'\xff\xfe"}',
    "an overlong zero": raw(b'"user_id":"\xc0\x80"'),
    "truncated": payload("x")[:-7],
    "a thousand deep": raw(DEEP),
    "a thousand deep in brackets alone": b"[" * 1000,
    "400 digits": raw(b'"cost_micros":' + b"9" * 400),
    "one beyond 64 bits": raw(b'"cost_micros":9223372036854775808'),
    "NaN": raw(b'"cost_micros":NaN'),
    "Infinity": raw(b'"revenue_micros":Infinity'),
    "minus Infinity": raw(b'"revenue_micros":-Infinity'),
    "1e400": raw(b'"cost_micros":1e400'),
    "a fraction": raw(b'"cost_micros":1.5'),
    "a lone surrogate": raw(rb'"user_id":"\ud800"'),
    "a surrogate before its first half": raw(rb'"user_id":"\udc00\ud800"'),
    "a boolean as a number": payload("x", cost_micros=True),
    "a number as text": payload("x", cost_micros="5"),
    "a naive time": payload("x", timestamp="2026-01-01T12:00:00"),
    "a number as time": payload("x", timestamp=1767268800),
    "a day that is not": payload("x", timestamp="2026-02-30T12:00:00Z"),
    "the year 10000": payload("x", timestamp="10000-01-01T00:00:00Z"),
    "the last day of 9999": payload("x", timestamp="9999-12-31T23:59:59Z"),
    "the first day of the year 1": payload("x", timestamp="0001-01-01T00:00:00Z"),
    "an empty campaign": payload("x", campaign_id=""),
    "a campaign of 10 kB": payload("x", campaign_id="n" * 10_000),
    "a campaign that is null": payload("x", campaign_id=None),
    "a control character": raw(b'"user_id":"\x01"'),
    "a zero byte": raw(b'"user_id":"\x00"'),
    "small currency": payload("x", currency="eur"),
    "an unknown type": payload("x", event_type="view"),
    "two events": payload("x") + payload("y"),
    "a list": b"[" + payload("x") + b"]",
    "a number": b"17",
    "null": b"null",
    "a byte order mark": b"\xef\xbb\xbf" + payload("x"),
    "UTF-16": json.dumps(event("x")).encode("utf-16"),
    "64 KiB of spaces": b" " * MAX_PAYLOAD_BYTES,
}

LATE: dict[str, bytes] = {"the year 1970": payload("y1970", timestamp="1970-01-01T00:00:00Z")}
AHEAD: dict[str, bytes] = {"the year 9999": payload("y9999", timestamp="9999-01-01T00:00:00Z")}

TAKEN: dict[str, bytes] = {
    "a key given twice": payload("t1")[:-1] + b',"channel":"first","channel":"search"}',
    "a key given twice, wrong at first": payload("t2")[:-1] + b',"cost_micros":"x","cost_micros":null}',
    "escaped control characters": payload("t3", user_id="\x01\u202e\x7f"),
    "an escaped pair of surrogates": payload("t4")[:-1] + rb',"user_id":"\ud83d\ude00"}',
    "a note of 60 kB": payload("t5", note="n" * 60_000),
    "a hundred deep": payload("t6")[:-1] + b',"note":' + b"[" * 99 + b"]" * 99 + b"}",
    "spaces around": b" \n\t" + payload("t7") + b"\r\n ",
}

OVERSIZE: dict[str, bytes] = {
    "one byte over 64 KiB": payload("o1", note="").replace(b'"note": ""', b'"note": "' + b"n" * 65_400 + b'"').ljust(65_537),
    "1 MB": payload("o2", note="m" * 1_000_000)[:1_000_000],
    "5 MB": payload("o3", note="m").replace(b'"m"', b'"' + "é".encode() * 2_400_000 + b'"').ljust(5_000_000),
    "1 MB that is not UTF-8": random.Random(7).randbytes(1_000_000),  # nothing to compress
}


def put(settings: Settings, values: list[bytes | None]) -> None:
    """All of `values` on partition 0, of any size, as few batches as fit, compressed; with headers, and keys that mean nothing."""
    Topics(settings).ensure(settings.logs_topic, timeout=ANSWER_SECONDS)
    producer = Producer(
        {
            "bootstrap.servers": settings.brokers,
            "enable.idempotence": True,  # a topic that is new refuses some at first: what is sent again must not change places
            "linger.ms": 50,
            "compression.type": "lz4",
            "message.max.bytes": 8_000_000,
            "batch.size": 900_000,  # a broker takes batches of up to 1 MB
            "log_level": 0,
        }
    )
    failures: list[Any] = []
    keys = [None, b"", b"\xff\x00", b"k" * 5000, "clé".encode()]
    for number, value in enumerate(values):
        producer.produce(
            settings.logs_topic,
            value,
            keys[number % len(keys)],
            0,
            headers=[("trace", b"\xff\x00"), ("empty", b""), ("none", None)],
            on_delivery=lambda error, _: failures.append(error) if error else None,
        )
    producer.flush(60)
    assert not failures


def came(one: dict[str, Any]) -> bytes | None:
    """The payload in a rejected record, as bytes."""
    if "payload" in one:
        return one["payload"].encode()
    return base64.b64decode(one["payload_base64"]) if "payload_base64" in one else None


def test_no_poison_stops_the_flow_each_is_rejected_as_it_came_and_its_neighbours_count(
    on_each_broker: Settings, tmp_path: Path
) -> None:
    settings = on_each_broker
    bad = [("malformed", value) for value in MALFORMED.values()] + [("late", value) for value in LATE.values()]
    # On a topic that keeps the producers' times nothing but this is far ahead of them.
    bad += [("too_far_ahead", value) for value in AHEAD.values()] + [("oversize", value) for value in OVERSIZE.values()]
    values: list[bytes | None] = [payload("begin", 0)]
    expected: dict[int, tuple[str, bytes | None]] = {}
    for number, (reason, value) in enumerate(bad):
        expected[len(values)] = (reason, value)
        values += [value, payload(f"neighbour-{number}", number % 60)]
    values += TAKEN.values()
    put(settings, values)
    good = len(values) - len(expected)
    folder = recovery_folder(tmp_path / "recovery")
    with running(settings, tmp_path / "log", "-r", str(folder), "-s", "1", "-b", "0") as flow:
        wait_for(lambda: sum(one.get("read", 0) for one in counters(settings)) == len(values), "all of it to be read")
        assert flow.stop() == [0]
    assert sum(one["events"] for one in last_results(settings).values()) == good
    found = {one["offset"]: one for _, one in read_topic(settings, settings.rejected_topic)}
    assert found.keys() == expected.keys()
    for offset, (reason, value) in expected.items():
        one = found[offset]
        assert (one["reason"], one["topic"], one["partition"]) == (reason, settings.logs_topic, 0), (one["detail"], value)
        assert one["detail"]
        if reason == "oversize":
            assert value is not None
            assert (one["size"], one["sha256"]) == (len(value), hashlib.sha256(value).hexdigest())
            assert came(one) == value[:KEPT_PAYLOAD_BYTES]
        else:
            assert came(one) == value
    shown = counters(settings)[0]
    assert shown["read"] == shown["counted"] + shown["duplicate"] + shown["late"] + shown["malformed"]
    assert (shown["counted"], shown["late"], shown["oversize"]) == (good, len(LATE), len(OVERSIZE))
    assert shown["too_far_ahead"] == len(AHEAD)


def test_a_batch_with_a_wrong_checksum_among_poison_stops_nothing(settings: Settings, tmp_path: Path) -> None:
    send(settings, [payload("a"), b"{bad"], partition=0)
    produce_raw(settings, settings.logs_topic, 0, broken("crc", [payload("lost-1"), b"{worse"]))
    send(settings, [None, payload("b")], partition=0)
    with running(settings, tmp_path / "log"):
        wait_for(lambda: sum(one["events"] for one in last_results(settings).values()) == 2, "the events around it")
        wait_for(lambda: len(read_topic(settings, settings.rejected_topic)) == 4, "the rejected ones")
    found = {one["offset"]: came(one) for _, one in read_topic(settings, settings.rejected_topic)}
    assert found == {1: b"{bad", 2: None, 3: None, 4: None}


@pytest.mark.kafka
def test_what_a_transaction_has_taken_back_is_not_read_and_its_gaps_in_the_offsets_hold_nothing_up(
    real_kafka: str, tmp_path: Path
) -> None:
    settings = own_names(real_kafka)
    Topics(settings).ensure(settings.logs_topic, timeout=ANSWER_SECONDS)
    producer = Producer({"bootstrap.servers": real_kafka, "transactional.id": settings.group, "log_level": 0})
    producer.init_transactions(30)
    for number, keep in enumerate([True, False, True, False]):
        producer.begin_transaction()
        for place in range(20):
            producer.produce(
                settings.logs_topic, payload(f"{number}-{place}", place, channel="kept" if keep else "gone"), partition=0
            )
        if keep:
            producer.commit_transaction(30)
        else:
            producer.flush(30)
            producer.abort_transaction(30)
    folder = recovery_folder(tmp_path / "recovery")
    for run in range(2):
        with running(settings, tmp_path / f"log{run}", "-r", str(folder), "-s", "1", "-b", "0") as flow:
            wait_for(lambda flow=flow: "reading partition 0" in flow.output(), "the flow to run")
            wait_for(lambda: counters(settings)[0].get("read") == 40, "what was kept to be read")
            assert flow.stop() == [0]
    assert {one["channel"]: one["events"] for one in last_results(settings).values()} == {"kept": 40}
    assert counters(settings)[0]["counted"] == 40
