"""The source of the flow: one item a poll - what it folded to, already split by shard - instead of one a message."""

from __future__ import annotations

import datetime as dt
import logging
from collections import defaultdict
from typing import Any

import msgspec
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from typing_extensions import override

from dataflows.contract.schema import Rejected
from dataflows.flow.context import FlowContext
from dataflows.flow.idle import PAUSE_SECONDS, Rest
from dataflows.flow.position import ReaderState
from dataflows.flow.reader import PollResult, Reader
from dataflows.flow.state import Saved, load, save
from dataflows.flow.telemetry import LOOK_SECONDS
from dataflows.intake.rules import Rules
from dataflows.windows.shards import Partial, split
from dataflows.windows.watermark import Steps

log = logging.getLogger("adtally.source")

SLOTS = 32
"""Bytewax fixes a source's parts when it starts, while a topic can get partitions at any time. So the parts are slots: slot s reads the
partitions s, s + SLOTS, …, whenever they appear. Bytewax deals the slots out to the workers in turn, and so the partitions."""

PAUSE = dt.timedelta(seconds=PAUSE_SECONDS)
"""Pause after a poll that reached the end of the log, if the worker can't sleep (`dataflows.flow.idle`)."""

WAIT = dt.timedelta(milliseconds=500)
"""Pause while a slot has no partition, or its broker does not answer."""

SOON = dt.timedelta(milliseconds=25)
"""At the start, until it is known which partitions there are: a flow has its first result a half second earlier than by `WAIT`."""

SETTLE_SECONDS = 20.0
"""Time that a new partition waits once every shard knows it: by then this process has received the clocks that the partitions of other
processes had at that time.
"""


class SlotState(msgspec.Struct):
    """Snapshot of a slot: the partitions that the topic had, and the state of those that are assigned to the slot."""

    partitions: int
    readers: dict[int, ReaderState]


class Poll(msgspec.Struct):
    """Result of one poll of one partition: a `Partial` for each shard, keyed by its name, and the rejected events."""

    partials: list[tuple[str, Partial]]
    rejected: list[Rejected]


class Slot(StatefulSourcePartition[Poll, Saved]):
    """The partitions of the topic that fall to one part of the source."""

    def __init__(
        self,
        context: FlowContext,
        number: int,
        state: SlotState | None,
        *,
        rest: Rest | None = None,
    ) -> None:
        """`rest`: that of the worker that runs the slot; by default that of the calling thread."""
        self._context = context
        self._settings = settings = context.settings
        self._observed = context.observed
        self._look_at = 0.0
        self._observed.add_slot(number)
        self._lifecycle = context.lifecycle
        self._rest = rest or context.workers.rest()
        self._rest.join(number, SLOTS)
        self._complete = 0
        self._poll_at: dict[int, float] = {}
        out_of_order = Rules.of(settings).out_of_order
        self._steps = defaultdict[int, Steps](lambda: Steps(out_of_order))
        self._topology = context.topology
        self._number = number
        self._readers: dict[int, Reader] = {}
        self._states = dict(state.readers) if state else {}
        self._known = state.partitions if state else 0
        self._appeared: dict[int, float] = {}
        self._awake: dt.datetime | None = None

    @override
    def next_batch(self) -> list[Poll]:
        if not self._lifecycle.begun.is_set():
            self._lifecycle.begun.set()
        self._observed.pulse.beat()
        if self._lifecycle.stopping.is_set():
            raise StopIteration
        with self._lifecycle.one_line_errors():
            return self._poll()

    def _poll(self) -> list[Poll]:
        self._topology.start()
        slept = any(reader.rings for reader in self._readers.values()) and self._rest.turn(self._number)
        partitions = self._topology.partitions()
        self._add_readers(partitions)
        polls: list[Poll] = []
        more = False
        for reader in self._readers.values():
            if not self._is_due(reader):
                continue
            polled = reader.poll()
            if polled is not None:
                self._rest.wake_all()
                self._topology.report(reader.partition, polled.clock.time)
                polls.append(Poll(self._split(reader.partition, partitions, polled), polled.rejected))
                more = more or polled.more
        # Bytewax measures from the moment before the sleep: any other time would be reached late by the length of the sleep.
        self._awake = None if more or slept else self._next_turn(partitions)
        self._look()
        return polls

    def _split(self, partition: int, partitions: int, polled: PollResult) -> list[tuple[str, Partial]]:
        to_all = self._steps[partition].passes(partitions, polled.clock) or polled.more
        return split(partition, partitions, polled.clock, polled.shares, behind=polled.more, to_all=to_all)

    def _is_due(self, reader: Reader) -> bool:
        """Return whether to poll `reader`: its bell was rung, or it is time to check what rings no bell, such as idleness."""
        moment = self._context.monotonic()
        rung = self._rest.take_ring(reader.partition)
        if reader.rings and not rung and moment < self._poll_at.get(reader.partition, 0.0):
            return False
        self._poll_at[reader.partition] = moment + LOOK_SECONDS
        return True

    def _next_turn(self, partitions: int) -> dt.datetime | None:
        """Return when to poll the slot again after it reached the end of the log; None for at once, if the worker can sleep."""
        if not any(reader.is_open for reader in self._readers.values()):
            pause = WAIT if partitions else SOON
        elif all(reader.rings for reader in self._readers.values()) and self._rest.spare_seconds() > 0:
            return None
        else:
            pause = PAUSE
        return dt.datetime.now(dt.UTC) + pause

    def _look(self) -> None:
        """Write down how far the partitions are, if it is time to."""
        moment = self._context.monotonic()
        if moment >= self._look_at:
            self._look_at = moment + LOOK_SECONDS
            for reader in self._readers.values():
                self._observed.note(reader.partition, reader.progress())

    def _add_readers(self, partitions: int) -> None:
        if partitions == self._complete:
            return
        if not self._known:
            self._known = partitions
        for partition in range(self._number, partitions, SLOTS):
            if partition not in self._readers and (partition < self._known or self._has_settled(partition)):
                reader = self._readers[partition] = self._reader(partition)
                self._observed.begin(partition, reader.counters)
                log.info("reading partition %d of %s", partition, self._settings.logs_topic)
        if all(partition in self._readers for partition in range(self._number, partitions, SLOTS)):
            self._known = max(self._known, partitions)
            self._complete = partitions
        if partitions:
            self._observed.assign(self._number)

    def _reader(self, partition: int) -> Reader:
        state = self._states.get(partition)
        if partition < self._known:
            return Reader(self._context, partition, state, start=self._settings.start, bell=self._rest.bell)
        # It appeared later, so all of it is to be read, wherever the others began. But its shards may have let windows go that the other
        # partitions have left behind: it begins with their clock, and what is late for all of them is late here too.
        after = self._topology.oldest()
        return Reader(self._context, partition, state, start="earliest", after=after, bell=self._rest.bell)

    def _has_settled(self, partition: int) -> bool:
        now = self._context.monotonic()
        return now - self._appeared.setdefault(partition, now) >= SETTLE_SECONDS

    @override
    def next_awake(self) -> dt.datetime | None:
        return self._awake

    @override
    def snapshot(self) -> Saved:
        self._rest.note_snapshot(self._number)
        for partition, reader in self._readers.items():
            state = reader.snapshot()
            if state is not None:
                self._states[partition] = state
            reader.commit_progress()
        return save(SlotState(self._known, dict(self._states)), self._settings)

    @override
    def close(self) -> None:
        for reader in self._readers.values():
            log.info("partition %d: %s", reader.partition, _in_words(reader))
            reader.close()
        self._topology.close()


def _in_words(reader: Reader) -> str:
    counters: dict[str, Any] = msgspec.structs.asdict(reader.counters)
    return ", ".join(
        f"{value:,} {name.replace('_', ' ')}" for name, value in counters.items() if value or name in {"read", "counted"}
    )


class LogsSource(FixedPartitionedSource[Poll, Saved]):
    """The topic of ad events, as `Poll` items."""

    def __init__(self, context: FlowContext) -> None:
        self._context = context

    @override
    def list_parts(self) -> list[str]:
        return [f"{slot:02}" for slot in range(SLOTS)]

    @override
    def build_part(self, step_id: str, for_part: str, resume_state: Saved | None) -> Slot:
        with self._context.lifecycle.one_line_errors():
            state = load(resume_state, SlotState, self._context.settings)
        return Slot(self._context, int(for_part), state)
