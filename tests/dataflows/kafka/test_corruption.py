"""Record batches that can't be read, on each broker: on the embedded one as they were sent, on a real one as its disk spoiled them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, Producer
from msgspec.structs import replace

from dataflows.contract.schema import encode
from dataflows.contract.settings import Settings
from dataflows.flow.connection import Fetching
from dataflows.flow.engines import Engine
from dataflows.intake.partition import Counters
from dataflows.kafka import corruption
from dataflows.kafka.corruption import Fault
from dataflows.kafka.fetch import Fetcher, FetchResult
from dataflows.kafka.scan import scan
from deploy.kafka.local import LocalKafka
from tests.support.engines.batches import batch, batches_in, broken, produce_raw, segment, spoil
from tests.support.engines.intakes import KINDS as INTAKES
from tests.support.feeds import World
from tests.support.flows import (
    Flow,
    await_caught_up,
    counted,
    counters,
    read_topic,
    recovery_folder,
    running,
    send,
    wait_for,
)
from tests.support.readers import read, reader
from tests.support.records import payload
from tests.support.results import result
from tests.support.settings import own_names
from tests.support.waiting import until

KINDS = ["crc", "compression", "format"]
RECOVER = ["-s", "1", "-b", "0"]


def events(name: str, count: int) -> list[bytes]:
    return [payload(f"{name}-{number}", number, channel=name) for number in range(count)]


def lay(settings: Settings, *parts: tuple[str, int]) -> None:
    """Put batches on partition 0: each a kind of damage, or any other name for a sound one, and how many messages it has."""
    send(settings, [payload("first", 0, channel="first")], partition=0)
    for number, (kind, count) in enumerate(parts):
        values = events(f"{kind}{number}", count)
        produce_raw(settings, settings.logs_topic, 0, broken(kind, values) if kind in KINDS else batch(values))


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_that_can_not_be_read_is_rejected_offset_by_offset_and_its_neighbours_count(
    settings: Settings, kind: str
) -> None:
    lay(settings, ("before", 7), (kind, 5), ("after", 3))
    one = reader(settings)
    rejected: dict[int, Any] = {}

    def done() -> bool:
        haul = one.poll()
        rejected.update({refused.offset: refused for refused in haul.rejected} if haul else {})
        return one.counters.read >= 16

    wait_for(done, "all offsets to be accounted for")
    assert one.counters == Counters(read=16, counted=11, malformed=5)
    assert list(rejected) == [8, 9, 10, 11, 12]
    for refused in rejected.values():
        assert (refused.reason, refused.payload, refused.payload_base64) == ("malformed", None, None)
        assert refused.detail.startswith("unreadable record batch, offsets 8 to 12: ")
    one.close()


def test_sound_batches_between_damaged_ones_are_not_lost_however_they_lie(settings: Settings) -> None:
    lay(settings, ("crc", 3), ("a", 1), ("compression", 6), ("crc", 1), ("b", 2), ("crc", 40), ("c", 1), ("crc", 2))
    one = reader(settings)
    read(one, 57)
    assert one.counters == Counters(read=57, counted=5, malformed=52)
    one.close()


@pytest.mark.parametrize("native", INTAKES)
def test_a_batch_that_was_damaged_on_its_way_is_fetched_again_and_counted(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, native: str
) -> None:
    settings = replace(settings, native=native)
    lay(settings, ("a", 4))
    disturbed: list[int] = []

    def noisy(*given: Any) -> Fetcher:
        """A fetcher that says of offset 1 what librdkafka says of a batch with a wrong checksum."""
        fetcher = Engine.make_fetcher(*given)
        quiet = fetcher.fetch

        def fetch() -> FetchResult:
            found = quiet()
            at = next((place for place, one in enumerate(found.records) if one.offset() == 1), None)
            if at is None or len(disturbed) == corruption.TRIES - 1:
                return found
            disturbed.append(at)
            return found._replace(faults=[Fault(KafkaError(KafkaError._BAD_MSG), 1, at)])

        monkeypatch.setattr(fetcher, "fetch", fetch)
        return fetcher

    one = reader(settings, fetching=Fetching(make_fetcher=noisy))
    read(one, 5)
    assert one.counters == Counters(read=5, counted=5)
    assert len(disturbed) == corruption.TRIES - 1
    one.close()


def test_a_restart_reads_its_ids_again_over_a_damaged_batch_and_rejects_nothing_twice(settings: Settings) -> None:
    lay(settings, ("a", 20), ("crc", 5), ("b", 20))
    first = reader(settings)
    read(first, 46)
    state = first.snapshot()
    first.close()
    send(settings, [payload("a0-7", 7), payload("b2-7", 7), payload("new", 8)], partition=0)
    again = reader(settings, state)
    hauls: list[Any] = []

    def done() -> bool:
        haul = again.poll()
        hauls.extend(haul.rejected if haul else ())
        return again.counters.read >= 49

    wait_for(done, "the new events")
    assert again.counters == Counters(read=49, counted=42, duplicate=2, malformed=5)
    assert hauls == []
    again.close()


@pytest.mark.parametrize("kept", [21, 24, 26])
def test_a_restart_anywhere_around_a_damaged_batch_decides_alike(settings: Settings, kept: int) -> None:
    lay(settings, ("a", 20), ("crc", 5), ("b", 20))
    first = reader(settings)
    read(first, 46)
    state = first.snapshot()
    first.close()
    assert state is not None
    state.offset, state.intake.counters, state.last = kept, Counters(read=kept, counted=kept), None
    again = reader(settings, state)
    read(again, 46)
    lost = 26 - kept
    assert again.counters == Counters(read=46, counted=46 - lost, malformed=lost)
    again.close()


def test_a_scan_passes_over_a_damaged_batch(settings: Settings) -> None:
    lay(settings, ("a", 3), ("crc", 4), ("b", 2), ("compression", 2))
    send(settings, [payload("elsewhere")], partition=1)
    found = [(message.partition(), message.offset()) for message in scan(settings, settings.logs_topic)]
    assert sorted(found) == [(0, 0), (0, 1), (0, 2), (0, 3), (0, 8), (0, 9), (1, 0)]


def test_the_dashboard_passes_over_a_damaged_batch_of_results(settings: Settings) -> None:
    world = World(settings)
    for minute, kind in ((0, "sound"), (1, "crc"), (2, "compression"), (3, "sound")):
        values = [encode(result(minute=minute, campaign=name)) for name in "abc"]
        if not minute:
            world.send(encode(result(minute=9)))  # makes the topic
        produce_raw(settings, settings.results_topic, 0, batch(values) if kind == "sound" else broken(kind, values))
    world.feed.start()
    try:
        until(lambda: world.rows() == 7 and world.feed.status.unread == 6 and world.feed.status.state == "live")
        world.send(encode(result(minute=10)))
        until(lambda: world.rows() == 8)
        assert world.feed.status.records == 8
    finally:
        world.feed.stop()


def test_a_flow_that_is_killed_in_front_of_a_damaged_batch_and_started_again_stops_nowhere(
    settings: Settings, tmp_path: Path
) -> None:
    folder = recovery_folder(tmp_path / "recovery")
    lay(settings, ("a", 50), ("crc", 20), ("b", 50), ("compression", 30), ("c", 1))
    with running(settings, tmp_path / "log1", "-r", str(folder), *RECOVER) as flow:
        wait_for(lambda: counted(settings) >= 51, "the events before the damaged batch")
        flow.kill()
    with running(settings, tmp_path / "log2", "-r", str(folder), *RECOVER) as flow:
        ends_exactly(settings, flow, good=102, lost=[*range(51, 71), *range(121, 151)])


def ends_exactly(settings: Settings, flow: Flow, good: int, lost: list[int]) -> None:
    """The flow counts `good` events, rejects each of the offsets `lost` of partition 0, and shows counters that add up."""
    await_caught_up(settings)
    assert flow.stop() == [0]
    assert counted(settings) == good
    rejected = dict(read_topic(settings, settings.rejected_topic))
    assert sorted(one["offset"] for one in rejected.values()) == lost
    assert {one["reason"] for one in rejected.values()} <= {"malformed"}
    shown = counters(settings)
    assert sum(one["read"] for one in shown if one) == good + len(lost)
    assert all(one["read"] == one["counted"] + one["duplicate"] + one["late"] + one["malformed"] for one in shown if one)
    assert sum(one.get("malformed", 0) for one in shown) == len(lost)


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[LocalKafka]:
    """A Kafka whose disk a test may spoil."""
    with LocalKafka(tmp_path / "kafka") as started:
        yield started


def spoil_disk(kafka: LocalKafka, topic: str, chosen: Callable[[int], str]) -> list[int]:
    """Stop the broker, damage batches of partition 0 by the kind that `chosen` gives for their number; the offsets that they held."""
    kafka.stop(120)  # in order: one that is killed cuts its log off at the first damaged batch when it starts
    file = segment(kafka.data, topic, 0)
    raw = bytearray(file.read_bytes())
    found = list(batches_in(bytes(raw)))
    ends = [*(base for base, _ in found[1:]), -1]
    lost: list[int] = []
    for number, ((base, where), end) in enumerate(zip(found, ends, strict=True)):
        kind = chosen(number)
        if kind and end > 0:
            spoil(raw, kind, where)
            lost += range(base, end)
    file.write_bytes(raw)
    kafka.start()
    return lost


@pytest.mark.kafka
def test_batches_that_a_disk_has_spoiled_do_not_stop_the_flow_on_a_real_kafka(kafka: LocalKafka, tmp_path: Path) -> None:
    settings = own_names(kafka.bootstrap)
    folder = recovery_folder(tmp_path / "recovery")
    send(settings, [payload("first", 0)], partition=0)
    producer = Producer(
        {
            "bootstrap.servers": kafka.bootstrap,
            "max.in.flight": 1,
            "compression.type": "lz4",
            "linger.ms": 100,
            "log_level": 0,
        }
    )
    for part in range(12):
        for value in events(f"part{part}", 30):
            producer.produce(settings.logs_topic, value, partition=0)
        assert producer.flush(60) == 0
    lost = spoil_disk(
        kafka, settings.logs_topic, lambda number: {2: "crc", 3: "compression", 5: "format", 7: "crc"}.get(number, "")
    )
    assert len(lost) > 50
    with running(settings, tmp_path / "log3", "-r", str(folder), *RECOVER) as flow:
        wait_for(lambda: "can't be read and are skipped" in flow.output(), "the first damaged batch")
        flow.kill()
    with running(settings, tmp_path / "log4", "-r", str(folder), *RECOVER) as flow:
        ends_exactly(settings, flow, good=361 - len(lost), lost=lost)
    # Damage to what was counted before: a restart reads it for its ids alone.
    spoil_disk(kafka, settings.logs_topic, lambda number: {9: "crc"}.get(number, ""))
    send(settings, [payload("new", 3)], partition=0)
    with running(settings, tmp_path / "log5", "-r", str(folder), *RECOVER) as flow:
        ends_exactly(settings, flow, good=362 - len(lost), lost=lost)
