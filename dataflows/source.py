"""The source of the flow: one item a poll - what it folded to, already split by shard - instead of one a message."""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any

import msgspec
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from typing_extensions import override

from dataflows.reader import Reader, ReaderState
from dataflows.runtime import begun, one_line_errors, stopping
from dataflows.schema import Rejected
from dataflows.settings import Settings
from dataflows.topology import Topology
from dataflows.windows import Partial, split

log = logging.getLogger("adtally.source")

SLOTS = 32
"""Bytewax fixes a source's parts when it starts, while a topic can get partitions at any time. So the parts are slots: slot s reads the
partitions s, s + SLOTS, …, whenever they appear. Bytewax deals the slots out to the workers in turn, and so the partitions."""

PAUSE = dt.timedelta(milliseconds=10)
"""After a poll that found the end of the log; a fetch that is under way at the broker needs no asking."""

WAIT = dt.timedelta(milliseconds=500)
"""While a slot has no partition, or its broker does not answer."""

SlotState = dict[int, ReaderState]


class Poll(msgspec.Struct):
    """What one poll of one partition brought: a `Partial` for each shard, keyed by its name, and what was rejected."""

    partials: list[tuple[str, Partial]]
    rejected: list[Rejected]


class Slot(StatefulSourcePartition[Poll, SlotState]):
    """The partitions of the topic that fall to one part of the source."""

    def __init__(self, settings: Settings, topology: Topology, number: int, states: SlotState | None) -> None:
        self._settings = settings
        self._topology = topology
        self._number = number
        self._readers: dict[int, Reader] = {}
        self._states = dict(states or {})
        self._first_partitions: int | None = None
        self._awake: dt.datetime | None = None

    @override
    def next_batch(self) -> list[Poll]:
        begun.set()
        if stopping.is_set():
            raise StopIteration
        with one_line_errors():
            return self._poll()

    def _poll(self) -> list[Poll]:
        self._topology.start()
        partitions = self._topology.partitions()
        self._add_readers(partitions)
        polls: list[Poll] = []
        more = False
        for reader in self._readers.values():
            haul = reader.poll()
            if haul is not None:
                self._topology.report(reader.partition, haul.clock.time)
                polls.append(Poll(split(reader.partition, partitions, haul.clock, haul.windows), haul.rejected))
                more = more or haul.more
        if not more:
            opened = any(reader.is_open for reader in self._readers.values())
            self._awake = dt.datetime.now(dt.UTC) + (PAUSE if opened else WAIT)
        else:
            self._awake = None
        return polls

    def _add_readers(self, partitions: int) -> None:
        if self._first_partitions is None and partitions:
            self._first_partitions = partitions
        for partition in range(self._number, partitions, SLOTS):
            if partition not in self._readers:
                # A partition that appears later is new: all of it is to be read, wherever the others began.
                start = self._settings.start if partition < (self._first_partitions or 0) else "earliest"
                state = self._states.get(partition)
                self._readers[partition] = Reader(self._settings, partition, state, self._topology, start=start)
                log.info("reading partition %d of %s", partition, self._settings.logs_topic)

    @override
    def next_awake(self) -> dt.datetime | None:
        return self._awake

    @override
    def snapshot(self) -> SlotState:
        for partition, reader in self._readers.items():
            state = reader.snapshot()
            if state is not None:
                self._states[partition] = state
            reader.show_progress()
        return dict(self._states)

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


class LogsSource(FixedPartitionedSource[Poll, SlotState]):
    """The topic of ad events, as `Poll` items."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topology = Topology(settings, stopping.is_set)

    @override
    def list_parts(self) -> list[str]:
        return [f"{slot:02}" for slot in range(SLOTS)]

    @override
    def build_part(self, step_id: str, for_part: str, resume_state: SlotState | None) -> Slot:
        return Slot(self._settings, self._topology, int(for_part), resume_state)
