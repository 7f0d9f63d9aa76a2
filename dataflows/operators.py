"""The steps between source and sink, as Bytewax wants them."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterable

from bytewax.operators import StatefulBatchLogic
from typing_extensions import override

from dataflows.runtime import one_line_errors
from dataflows.saved import Saved, load, save
from dataflows.schema import Rejected, WindowResult, encode, rejected_key, result_key
from dataflows.settings import Settings
from dataflows.sink import Record
from dataflows.source import Poll
from dataflows.windows import SHARDS, Panes, PanesState, Partial


def partials(poll: Poll) -> Iterable[tuple[str, Partial]]:
    """A poll's share for each shard, keyed by the shard."""
    return poll.partials


def rejected(poll: Poll) -> Iterable[Rejected]:
    """What a poll could not count."""
    return poll.rejected


class ShardLogic(StatefulBatchLogic[Partial, WindowResult, Saved]):
    """The panes of one shard on Bytewax's clock and snapshots; its key is never discarded, so the key set stays fixed."""

    def __init__(self, settings: Settings, state: PanesState | None) -> None:
        self._settings = settings
        self._panes = Panes(settings, state)

    @override
    def on_batch(self, values: list[Partial]) -> tuple[Iterable[WindowResult], bool]:
        return self._panes.take(values, time.time()), StatefulBatchLogic.RETAIN

    @override
    def on_notify(self) -> tuple[Iterable[WindowResult], bool]:
        return self._panes.tick(time.time()), StatefulBatchLogic.RETAIN

    @override
    def on_eof(self) -> tuple[Iterable[WindowResult], bool]:
        # The stream ends because the process was asked to stop: nothing stays unsaid, and the windows stay open for the next run.
        return self._panes.flush(time.time()), StatefulBatchLogic.RETAIN

    @override
    def notify_at(self) -> dt.datetime | None:
        due = self._panes.wake_at()
        # Not before 1970: a window of old data is long over.
        return None if due is None else dt.datetime.fromtimestamp(max(due, 0.0), dt.UTC)

    @override
    def snapshot(self) -> Saved:
        return save(self._panes.state(), self._settings)


def panes(settings: Settings) -> Callable[[Saved | None], ShardLogic]:
    """Builds the panes of a shard, from its snapshot if there is one."""

    def build(saved: Saved | None) -> ShardLogic:
        with one_line_errors():
            return ShardLogic(settings, load(saved, PanesState, settings))

    return build


def result_record(item: tuple[str, WindowResult]) -> tuple[str, Record]:
    """A result as a Kafka record, still keyed by its shard."""
    shard, result = item
    return shard, (result_key(result.window_start, result.campaign_id, result.channel), encode(result))


def rejected_record(rejected: Rejected) -> tuple[str, Record]:
    """A rejected event as a Kafka record."""
    key = rejected_key(rejected.topic, rejected.partition, rejected.offset)
    return str(rejected.partition % SHARDS), (key, encode(rejected))
