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
from dataflows.schema import Rejected, WindowResult, encode, rejected_key, result_key
from dataflows.settings import Settings
from dataflows.sink import Record
from dataflows.source import Poll
from dataflows.telemetry.flow import Observed
from dataflows.windows import SHARDS, Panes, PanesState, Partial


def partials(poll: Poll) -> Iterable[tuple[str, Partial]]:
    """A poll's share for each shard, keyed by the shard."""
    return poll.partials


def rejected(poll: Poll) -> Iterable[Rejected]:
    """What a poll could not count."""
    return poll.rejected


class Measured(msgspec.Struct, frozen=True, gc=False):
    """A result of which it is measured how old an event in it is; `moment`: the time of that event, in microseconds since 1970."""

    result: WindowResult
    moment: int


Update = WindowResult | Measured


class ShardLogic(StatefulBatchLogic[Partial, Update, Saved]):
    """The panes of one shard on Bytewax's clock and snapshots; its key is never discarded, so the key set stays fixed."""

    def __init__(self, settings: Settings, panes: Panes) -> None:
        self._settings = settings
        self._panes = panes

    @override
    def on_batch(self, values: list[Partial]) -> tuple[Iterable[Update], bool]:
        return self._updates(self._panes.take(values, time.time())), StatefulBatchLogic.RETAIN

    @override
    def on_notify(self) -> tuple[Iterable[Update], bool]:
        return self._updates(self._panes.tick(time.time())), StatefulBatchLogic.RETAIN

    @override
    def on_eof(self) -> tuple[Iterable[Update], bool]:
        # The stream ends because the process was asked to stop: nothing stays unsaid, and the windows stay open for the next run.
        return self._updates(self._panes.flush(time.time())), StatefulBatchLogic.RETAIN

    def _updates(self, results: list[WindowResult]) -> list[Update]:
        """`results`, of which the one whose event has waited longest is to be measured."""
        updates: list[Update] = list(results)
        longest = self._panes.waited_longest()
        if longest is not None:
            place, event = longest
            updates[place] = Measured(results[place], event)
        return updates

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


def result_record(item: tuple[str, Update]) -> tuple[str, Record]:
    """A result as a Kafka record, still keyed by its shard."""
    shard, update = item
    if isinstance(update, Measured):
        return shard, (*_record(update.result), update.moment)
    return shard, _record(update)


def _record(result: WindowResult) -> tuple[bytes, bytes]:
    return result_key(result.window_start, result.campaign_id, result.channel), encode(result)


def rejected_record(rejected: Rejected) -> tuple[str, Record]:
    """A rejected event as a Kafka record."""
    key = rejected_key(rejected.topic, rejected.partition, rejected.offset)
    return str(rejected.partition % SHARDS), (key, encode(rejected))
