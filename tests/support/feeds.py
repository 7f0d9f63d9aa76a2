"""A store with the feed that fills it."""

from __future__ import annotations

from dataflows.contract.schema import WindowResult, encode, result_key
from dataflows.contract.settings import Settings
from dataflows.kafka.clients import make_producer
from figures.feed.upserts import Feed
from figures.store.store import Store


class World:
    """A store, the feed that fills it, and a producer to the topic that it reads."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = Store()
        self.feed = Feed(settings, self.store, look_seconds=0.3)
        self.producer = make_producer(settings, "test")

    def send(self, *results: WindowResult | bytes) -> None:
        for one in results:
            raw = one if isinstance(one, bytes) else encode(one)
            key = None if isinstance(one, bytes) else result_key(one.window_start, one.campaign_id, one.channel, one.currency)
            self.producer.produce(self.settings.results_topic, raw, key)
        assert self.producer.flush(30) == 0

    def rows(self) -> int:
        return self.store.snapshot().rows


class FeedRecord:
    """A record as confluent-kafka gives it, of one partition."""

    def __init__(self, partition: int, offset: int, stamp: int, value: bytes) -> None:
        self._place, self._value = (partition, offset, stamp), value

    def partition(self) -> int:
        return self._place[0]

    def offset(self) -> int:
        return self._place[1]

    def timestamp(self) -> tuple[int, int]:
        return 2, self._place[2]

    def value(self) -> bytes:
        return self._value

    def headers(self) -> None:
        return None
