"""Tombstones: a key whose last record has no value is gone, from every reader, in whatever order partitions are read."""

from __future__ import annotations

import io
import random
from itertools import count, permutations
from typing import Any

import pytest

from dataflows.commands.rebuild import changes
from dataflows.commands.rejected import Wanted, rejected
from dataflows.contract.schema import WindowResult, encode, rejected_key, result_key
from dataflows.contract.settings import Settings
from dataflows.kafka.clients import make_producer
from dataflows.kafka.tombstones import RecordPosition, Tombstones
from dataflows.kafka.topics import Topics
from figures.feed.upserts import Feed
from figures.files import export
from figures.files.formats import FORMATS
from figures.pipeline.rejects import RejectedFeed
from figures.store.store import Store
from figures.views.selection import selection
from tests.support.feeds import FeedRecord
from tests.support.flows import ANSWER_SECONDS
from tests.support.results import held, rejected_event, result
from tests.support.waiting import until


def key_of(one: WindowResult) -> bytes:
    return result_key(one.window_start, one.campaign_id, one.channel, one.currency)


class KeyedTombstone(FeedRecord):
    """A record with a key; without a value it is a tombstone."""

    def __init__(self, place: tuple[int, int, int], key: bytes, value: bytes | None) -> None:
        super().__init__(*place, value or b"")
        self._key, self._null = key, value is None

    def key(self) -> bytes:
        return self._key

    def value(self) -> bytes | None:  # pyright: ignore[reportIncompatibleMethodOverride]  # as Kafka's own
        return None if self._null else super().value()


def upsert(partition: int, offset: int, time: int, **given: Any) -> Any:
    made = result(**given)
    return KeyedTombstone((partition, offset, time), key_of(made), encode(made))


def tombstone(partition: int, offset: int, time: int, **given: Any) -> Any:
    return KeyedTombstone((partition, offset, time), key_of(result(**given)), None)


def finish(feed: Feed, records: list[Any]) -> None:
    """Have `feed` take the records of a topic, of which it has taken all, again as long as it wants to."""
    consumer: Any = None
    while feed.wants_second_reading():
        for number in range(2):
            feed.begin(consumer, number)
        feed.take(records)


def test_a_tombstone_deletes_what_is_before_it_and_a_lower_revision_after_it_counts_again(settings: Settings) -> None:
    records = [upsert(0, 0, 10, revision=9, clicks=9), tombstone(0, 1, 11), upsert(0, 2, 11, revision=1, clicks=1)]
    for batches in ([records], [records[:1], records[1:]], [records[:2], records[2:]], [[one] for one in records]):
        store = Store()
        feed = Feed(settings, store)
        for batch in batches:
            feed.take(batch)
        assert held(store) == [(0, 1)]
        feed.take(records)  # the same log, read again
        assert held(store) == [(0, 1)]
        feed.take([tombstone(0, 3, 12), tombstone(0, 4, 13, campaign="never seen")])
        assert held(store) == []


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("last", [None, 1, 9])
def test_partitions_may_be_read_in_any_order(settings: Settings, order: tuple[int, ...], last: int | None) -> None:
    events = [upsert(0, 0, 10, revision=5, clicks=5), upsert(0, 1, 10, campaign="other", clicks=7)]
    if last is not None:
        events.append(upsert(0, 2, 30, revision=last, clicks=last))
    logs = [events, [upsert(1, 0, 15, campaign="third", clicks=8), tombstone(1, 1, 20), upsert(1, 2, 40, minute=1)]]
    for size in (1, 2, 99):
        store = Store()
        feed = Feed(settings, store)
        records = [record for number in order for record in logs[number]]
        for at in range(0, len(records), size):
            feed.take(records[at : at + size])
        finish(feed, records)
        expected = [(0, 7), (0, 8), (1, 1), *([] if last is None else [(0, last)])]
        assert sorted(held(store)) == sorted(expected)


@pytest.mark.parametrize("packed_from", [8, 10_000])
def test_a_tombstone_in_packed_hours_and_days_leaves_the_rest_as_it_was(settings: Settings, packed_from: int) -> None:
    store = Store(hours=1, days=3, packed_from=packed_from)
    feed = Feed(settings, store)
    minutes = [*range(0, 3000, 7), 3001]
    feed.take([upsert(0, at, at, minute=minute, clicks=minute + 1) for at, minute in enumerate(minutes)])
    assert bool(store.snapshot().packed) is (packed_from == 8)
    chosen = random.Random(1).sample(minutes, 200)
    feed.take([tombstone(0, 1000 + at, 1000 + at, minute=minute) for at, minute in enumerate(chosen)])
    left = [minute for minute in minutes if minute not in chosen]
    assert held(store) == [(minute, minute + 1) for minute in left]
    assert store.snapshot().between(0, 2**40, 86_400)["clicks"].sum() == sum(minute + 1 for minute in left)
    feed.take([tombstone(0, 2000 + minute, 5000, minute=minute) for minute in minutes])
    assert held(store) == []
    assert store.snapshot().empty


def test_an_undo_does_not_bring_back_what_was_deleted_since_the_clear(settings: Settings) -> None:
    store = Store()
    feed = Feed(settings, store)
    feed.take([upsert(0, 0, 10), upsert(0, 1, 10, minute=1, clicks=4)])
    assert store.clear() == 2
    feed.take([tombstone(0, 2, 20)])
    assert store.undoable()[0] == 1
    assert store.undo() == 1
    assert held(store) == [(1, 4)]


@pytest.mark.parametrize("key", [None, b"", b"x", b"[]", b'["not a time","c","s"]', b"\xff", b'["2026-01-01T00:00:00","c","s"]'])
def test_a_tombstone_whose_key_names_no_result_is_counted_as_unread(settings: Settings, key: bytes | None) -> None:
    feed = Feed(settings, Store())
    record: Any = KeyedTombstone((0, 0, 1), key, None)  # pyright: ignore[reportArgumentType]  # a record need not have a key
    feed.take([record])
    assert feed.status.unread == 1
    assert "a tombstone whose key is not that of a result" in feed.status.problem


def test_a_key_with_other_spaces_and_another_form_of_the_time_is_the_same_cell(settings: Settings) -> None:
    store = Store()
    feed = Feed(settings, store)
    feed.take([upsert(0, 0, 10)])
    one = result()
    key = f'["{one.window_start.replace("Z", "+00:00")}", "{one.campaign_id}",  "{one.channel}","USD"]'.encode()
    feed.take([KeyedTombstone((0, 1, 11), key, None)])  # pyright: ignore[reportArgumentType]  # all that is asked of a message
    assert held(store) == []


def test_which_tombstone_is_the_last_of_a_key_does_not_depend_on_their_order() -> None:
    places = [RecordPosition(0, 5, 50), RecordPosition(1, 2, 60), RecordPosition(0, 9, 90)]
    for order in permutations(places):
        tombstones: Tombstones[str] = Tombstones()
        for place in order:
            tombstones.add("k", place)
        positions = [RecordPosition(*at) for at in ((0, 8, 80), (0, 10, 91), (1, 3, 89), (1, 3, 91), (2, 0, 90))]
        assert [tombstones.has_deleted("k", at) for at in positions] == [True, False, True, False, True]
        assert not tombstones.has_deleted("other", RecordPosition(0, 0, 0))


_milliseconds = count(1_790_000_000_000)


def put(settings: Settings, topic: str, *records: tuple[bytes, bytes | None, int]) -> None:
    """Write (key, value, partition) in this order, each at a later millisecond than the one before."""
    producer = make_producer(settings, "test")
    for key, value, partition in records:
        producer.produce(topic, value, key, partition, timestamp=next(_milliseconds))
    assert producer.flush(30) == 0


def test_export_rebuild_and_a_restarted_dashboard_agree_on_what_is_left(settings: Settings) -> None:
    Topics(settings).ensure(settings.results_topic, timeout=ANSWER_SECONDS)
    gone, back, stays = result(clicks=5), result(campaign="back", revision=9, clicks=9), result(campaign="stays", clicks=3)
    again = result(campaign="back", revision=1, clicks=2)
    put(
        settings,
        settings.results_topic,
        *((key_of(one), encode(one), 0) for one in (gone, back, stays)),
        (key_of(gone), None, 1),
        (key_of(back), None, 1),
        (key_of(again), encode(again), 0),
    )
    out = io.BytesIO()
    export.write(settings, selection({"interval": ["total"], "by": ["campaign"]}), FORMATS["json"], out)
    assert b'"gone"' not in out.getvalue()
    assert [out.getvalue().count(b'"%s"' % name) for name in (b"sale", b"back", b"stays")] == [0, 1, 1]
    store = Store()
    feed = Feed(settings, store, look_seconds=0.3).start()
    try:
        until(lambda: feed.status.state == "live" and sorted(held(store)) == [(0, 2), (0, 3)])
        put(settings, settings.results_topic, (key_of(stays), None, 1))
        until(lambda: held(store) == [(0, 2)])
    finally:
        feed.stop()
    assert changes(settings, {}) == []


def test_rejected_events_with_a_tombstone_are_in_no_list_and_no_count(settings: Settings) -> None:
    Topics(settings).ensure(settings.rejected_topic, timeout=ANSWER_SECONDS)
    events = [rejected_event(offset) for offset in range(1, 6)]
    keys = [rejected_key(one.topic, one.partition, one.offset) for one in events]
    values = [encode(one) for one in events]
    topic = settings.rejected_topic
    put(
        settings,
        topic,
        *((key, value, 0) for key, value in zip(keys, values, strict=True)),
        (keys[1], None, 0),
        (keys[2], None, 1),
    )
    put(settings, topic, (keys[2], values[2], 0), (keys[2], values[2], 0))
    feed = RejectedFeed(settings, look_seconds=0.3).start()
    try:
        until(lambda: sorted(one.offset for one in feed.rejects().newest) == [1, 3, 4, 5] and feed.rejects().total == 4)
        put(settings, topic, (keys[0], None, 2), (keys[4], None, 0), (b"no place", None, 0))
        until(lambda: sorted(one.offset for one in feed.rejects().newest) == [3, 4] and feed.rejects().total == 2)
        until(lambda: feed.rejects().unread == 1)
        put(settings, topic, (keys[0], values[0], 0))
        until(lambda: feed.rejects().counts["malformed"] == 3)
    finally:
        feed.stop()
    assert [one.offset for one in rejected(settings, Wanted())] == [1, 3, 4]
