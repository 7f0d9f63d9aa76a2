"""The steps between source and sink, as Bytewax wants them."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterable

import msgspec
from bytewax.operators import StatefulBatchLogic
from typing_extensions import override

from dataflows.runtime import one_line_errors
from dataflows.saved import Saved, load, save
from dataflows.schema import WindowResult, encode, rejected_key, result_key
from dataflows.settings import Settings
from dataflows.sink import Record
from dataflows.source import Poll
from dataflows.telemetry.flow import Observed
from dataflows.windows import SHARDS, Panes, PanesState, Partial


def partials(poll: Poll) -> Iterable[tuple[str, Partial]]:
    """A poll's share for each shard, keyed by the shard."""
    return poll.partials


class Updates(msgspec.Struct, frozen=True, gc=False):
    """What a shard gives out at one time: one item, for to Bytewax an item costs as much as a result.

    `waited`: the place of the result whose event has waited longest, and the time of that event (microseconds since 1970).
    """

    results: list[WindowResult]
    waited: tuple[int, int] | None


class ShardLogic(StatefulBatchLogic[Partial, Updates, Saved]):
    """The panes of one shard on Bytewax's clock and snapshots; its key is never discarded, so the key set stays fixed."""

    def __init__(self, settings: Settings, panes: Panes) -> None:
        self._settings = settings
        self._panes = panes

    @override
    def on_batch(self, values: list[Partial]) -> tuple[Iterable[Updates], bool]:
        return self._updates(self._panes.take(values, time.time())), StatefulBatchLogic.RETAIN

    @override
    def on_notify(self) -> tuple[Iterable[Updates], bool]:
        return self._updates(self._panes.tick(time.time())), StatefulBatchLogic.RETAIN

    @override
    def on_eof(self) -> tuple[Iterable[Updates], bool]:
        # The stream ends because the process was asked to stop: nothing stays unsaid, and the windows stay open for the next run.
        return self._updates(self._panes.flush(time.time())), StatefulBatchLogic.RETAIN

    def _updates(self, results: list[WindowResult]) -> list[Updates]:
        return [Updates(results, self._panes.waited_longest())] if results else []

    @override
    def notify_at(self) -> dt.datetime | None:
        due = self._panes.wake_at()
        # Not before 1970: a window of old data is long over.
        return None if due is None else dt.datetime.fromtimestamp(max(due, 0.0), dt.UTC)

    @override
    def snapshot(self) -> Saved:
        return save(self._panes.state(), self._settings)


def panes(settings: Settings, observed: Observed) -> Callable[[Saved | None], ShardLogic]:
    """Builds the panes of a shard, from its snapshot if there is one."""

    def build(saved: Saved | None) -> ShardLogic:
        with one_line_errors():
            made = Panes(settings, load(saved, PanesState, settings))
        observed.shards.append(made.figures)
        return ShardLogic(settings, made)

    return build


def result_records(updates: Updates) -> list[Record]:
    """Results as Kafka records, in their order."""
    records: list[Record] = [
        (result_key(result.window_start, result.campaign_id, result.channel), encode(result)) for result in updates.results
    ]
    if updates.waited is not None:
        place, moment = updates.waited
        key, value = records[place][:2]
        records[place] = key, value, moment
    return records


def rejected_records(poll: Poll) -> Iterable[tuple[str, list[Record]]]:
    """What a poll could not count as Kafka records; nothing if it could count all."""
    if poll.rejected:
        records: list[Record] = [(rejected_key(one.topic, one.partition, one.offset), encode(one)) for one in poll.rejected]
        yield str(poll.rejected[0].partition % SHARDS), records
