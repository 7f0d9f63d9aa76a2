"""The steps between source and sink, as Bytewax operators."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterable

from bytewax.operators import StatefulBatchLogic
from typing_extensions import override

from dataflows.contract.constants import SHARDS
from dataflows.contract.schema import encode, rejected_key
from dataflows.contract.settings import Settings
from dataflows.flow.context import FlowContext
from dataflows.flow.idle import Rest
from dataflows.flow.source import Poll
from dataflows.flow.state import Saved, load, save
from dataflows.windows.panes import Panes, PanesState
from dataflows.windows.shards import Partial
from dataflows.wire.records import Records


def partials(poll: Poll) -> Iterable[tuple[str, Partial]]:
    """Return a poll's share for each shard, keyed by the shard."""
    return poll.partials


class ShardLogic(StatefulBatchLogic[Partial, Records, Saved]):
    """The panes of one shard on Bytewax's clock and snapshots; its key is never discarded, so the key set stays fixed."""

    def __init__(self, settings: Settings, panes: Panes, rest: Rest) -> None:
        self._settings = settings
        self._panes = panes
        self._rest = rest

    @override
    def on_batch(self, values: list[Partial]) -> tuple[Iterable[Records], bool]:
        self._rest.note_activity()
        return self._panes.take(values, time.time()), StatefulBatchLogic.RETAIN

    @override
    def on_notify(self) -> tuple[Iterable[Records], bool]:
        self._rest.note_activity()
        return self._panes.tick(time.time()), StatefulBatchLogic.RETAIN

    @override
    def on_eof(self) -> tuple[Iterable[Records], bool]:
        # The stream ends because the process was asked to stop: pending updates are emitted, and the windows stay open for the next run.
        return self._panes.flush(time.time()), StatefulBatchLogic.RETAIN

    @override
    def notify_at(self) -> dt.datetime | None:
        due = self._panes.wake_at()
        self._rest.expect(id(self), due)
        # Not before 1970: a window of old data is long over.
        return None if due is None else dt.datetime.fromtimestamp(max(due, 0.0), dt.UTC)

    @override
    def snapshot(self) -> Saved:
        return save(self._panes.state(), self._settings)


def panes(context: FlowContext) -> Callable[[Saved | None], ShardLogic]:
    """Return what builds the panes of a shard, from its snapshot if there is one."""
    settings = context.settings

    def build(saved: Saved | None) -> ShardLogic:
        with context.lifecycle.one_line_errors():
            panes_of_shard = Panes(settings, context.engine.make_tables(), load(saved, PanesState, settings))
        context.observed.add_shard(panes_of_shard.figures)
        return ShardLogic(settings, panes_of_shard, context.workers.rest())

    return build


def rejected_records(poll: Poll) -> Iterable[tuple[str, Records]]:
    """Return the events that a poll could not count, as Kafka records."""
    if poll.rejected:
        pairs = ((rejected_key(event.topic, event.partition, event.offset), encode(event)) for event in poll.rejected)
        yield str(poll.rejected[0].partition % SHARDS), Records.of(pairs)
