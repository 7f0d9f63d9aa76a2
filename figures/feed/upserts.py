"""The feed: reads topic `results`, or that of a breakdown, from its beginning into a store, and deletes rows that have a tombstone."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from confluent_kafka import Consumer, Message
from typing_extensions import override

from dataflows.contract.breakdowns import Breakdown, topic_of
from dataflows.contract.schema import WindowResult
from dataflows.contract.settings import Settings
from dataflows.kafka.tombstones import RecordPosition, Tombstones
from dataflows.telemetry.ages import EVENT_TIME, Ages
from figures.feed.decode import Codec, UnreadableError, cell_of
from figures.feed.follower import Follower
from figures.feed.positions import LogReplacedError
from figures.store.content import Cell
from figures.store.extent import NOTHING_READ, ReadExtent
from figures.store.rows import Values
from figures.store.store import Store

log = logging.getLogger("adtally.feed")

Read = tuple[RecordPosition, WindowResult, Values]
"""A result that was read: its position, itself, the values of the breakdown's fields."""

_DIGITS = 18
_TOMBSTONES = 100_000


class Feed(Follower):
    """Reads `settings.results_topic`, or the topic of `breakdown`, into `store`; `clock` gives the wall time in seconds (`Codec.read`)."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        clock: Callable[[], float] = time.time,
        look_seconds: float = 5.0,
        ages: Ages | None = None,
        *,
        breakdown: Breakdown | None = None,
    ) -> None:
        """`ages` gets how old events are when they are held."""
        topic = settings.results_topic if breakdown is None else topic_of(settings.results_topic, breakdown)
        role = "dashboard" if breakdown is None else f"dashboard-{breakdown.name}"
        super().__init__(settings, topic, role, look_seconds)
        self._codec = Codec(breakdown)
        self._store = store
        self._clock = clock
        self._ages = ages
        self._extents: dict[int, ReadExtent] = {}
        self._tombstones: Tombstones[Cell] = Tombstones()
        self._overtaken: set[Cell] = set()
        self._sought: set[Cell] = set()

    @override
    def begin(self, consumer: Consumer, partition: int) -> int:
        """Return the beginning: a replaced log is recognised there, and records that were read before are skipped."""
        self._tombstones.restart(partition)
        return super().begin(consumer, partition)

    @override
    def wants_second_reading(self) -> bool:
        """Return whether a tombstone of one partition deleted a row that may have hidden a later one of another partition."""
        self._sought, self._overtaken = self._overtaken, set()
        if not self._sought:
            self._tombstones.keep_newest(_TOMBSTONES)
        return bool(self._sought)

    @override
    def forget(self, partition: int) -> None:
        """Drop every row: a key may be in any partition, and the higher revisions of the old log would hide the new results."""
        self._extents, self._tombstones = {}, Tombstones()
        self._overtaken, self._sought = set(), set()
        self.records = self.unread = 0
        rows = self._store.forget()
        log.warning(
            "partition %d of topic %s was recreated or emptied; dropped all %d rows, and the topic is read again from its beginning",
            partition,
            self._topic.name,
            rows,
        )

    @override
    def take(self, messages: list[Message]) -> None:
        """Upsert what can be read, delete what has a tombstone, and count what can't be read; what was cleared stays out.

        Records that were read before are skipped, unless a second reading needs them (`wants_second_reading`). A record at an offset that
        was read before, but with a later timestamp, belongs to another log: the topic was deleted and recreated.
        """
        results: list[Read] = []
        deleted: list[tuple[Cell, RecordPosition]] = []
        positions: dict[int, ReadExtent] = {}
        fence = self._store.fence()
        for message in messages:
            position, stamp = self._tombstones.position(message), message.timestamp()[1]
            partition, offset = position.partition, position.offset
            extent = positions.get(partition) or self._extents.get(partition, NOTHING_READ)
            known = extent.covers(offset, stamp)
            if known and not self._sought:
                continue
            if offset < extent.next and not known:
                self.forget(partition)
                raise LogReplacedError
            positions[partition] = extent.onward(offset, stamp)
            value = message.value()
            if fence.get(partition, NOTHING_READ).covers(offset, stamp) or (known and value is None):
                continue
            try:
                if value is None:
                    deleted.append((self._codec.read_key(message.key()), position))
                    continue
                result, values = self._codec.read(value, max(self._clock(), stamp / 1000), message.headers())
            except UnreadableError as reason:
                if not known:
                    self.cannot_read(message, reason)
                continue
            self.records += not known
            if not known or cell_of(result, values) in self._sought:
                results.append((position, result, values))
        self._delete(deleted)
        left = self._left(results)
        self._store.apply([result for _, result, _ in left], positions, [values for _, _, values in left])
        self._extents = {**self._extents, **positions}
        # The age of records that were already on the topic is unknown.
        if self._ages is not None and self.reporter.state == "live":
            self._measure(self._ages, messages)

    def _delete(self, deleted: list[tuple[Cell, RecordPosition]]) -> None:
        """Add tombstones, and delete the rows of their keys."""
        for cell, position in deleted:
            self._tombstones.add(cell, position)
        overtaken = {cell for cell, position in deleted if self._tombstones.is_overtaken(position)}
        if overtaken and self._store.delete(overtaken):
            self._overtaken |= overtaken
        if len(deleted) > len(overtaken):
            self._store.delete({cell for cell, _ in deleted} - overtaken)

    def _left(self, results: list[Read]) -> list[Read]:
        """Return the `results` that no tombstone deletes."""
        if not len(self._tombstones):
            return results
        return [read for read in results if not self._tombstones.has_deleted(cell_of(read[1], read[2]), read[0])]

    def _measure(self, ages: Ages, messages: list[Message]) -> None:
        now = self._clock()
        for message in messages:
            for name, value in message.headers() or ():
                if name == EVENT_TIME and isinstance(value, bytes) and value.isdigit() and len(value) <= _DIGITS:
                    ages.take(now - int(value) / 1000)
