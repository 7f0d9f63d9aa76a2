"""The reader of one source partition: a consumer of its own, its place in the log, its intake; and what a snapshot keeps of them."""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from dataflows.contract.errors import OffsetGoneError, RecoveryError
from dataflows.contract.schema import Rejected
from dataflows.flow.context import FlowContext
from dataflows.flow.progress import CommittedCounters
from dataflows.flow.telemetry import Place
from dataflows.intake.partition import Counters, IntakeState
from dataflows.intake.rules import SECOND
from dataflows.kafka.bell import Bell
from dataflows.kafka.clients import PASSING, describe, heard_lag, make_consumer, warn_of_create_time
from dataflows.kafka.corruption import Damage, Fault, Passage
from dataflows.kafka.diagnosis import is_forbidden, unreadable
from dataflows.kafka.fetch import Fetcher, make_fetcher
from dataflows.kafka.fingerprint import Fingerprint
from dataflows.kafka.lag import Span
from dataflows.kafka.record import LOG_APPEND_TIME, Record
from dataflows.native.client import PLUGINS
from dataflows.windows.watermark import SourceClock
from dataflows.wire.cell_bytes import Share

log = logging.getLogger("adtally.reader")

CHUNK = 300
"""Messages that are asked for, decoded and folded at a time: few enough to stay in the cache."""

POLL = 20_000
"""Messages after which a poll ends, so that results and snapshots are not held up by a backlog."""

_GONE = {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}

CURE = (
    "To count the remaining events, start with an empty recovery folder and another "
    "ADTALLY_RESULTS_TOPIC; in the old topic, the results of the minute at the gap would be overwritten with incomplete ones."
)


class ReaderState(msgspec.Struct):
    """What a snapshot keeps of a partition: the offset of the next message and the intake's own state, which belong together.

    `last` is the last message before that offset: a topic that was deleted and recreated has another one there.
    """

    topic: str
    offset: int
    intake: IntakeState
    last: Fingerprint | None = None


class Haul(msgspec.Struct):
    """What one poll brought: the clock after it, what was counted, what was rejected, and whether there is more at once."""

    clock: SourceClock
    shares: list[Share]
    rejected: list[Rejected]
    more: bool


class Fetching(NamedTuple):
    """How a reader gets its messages: how many at a time and in a poll, and what makes its consumer and its fetcher."""

    chunk: int = CHUNK
    poll: int = POLL
    make_consumer: Callable[..., Consumer] = make_consumer
    make_fetcher: Callable[..., Fetcher] = make_fetcher


class Reader:
    """Reads one partition of the logs in its order, from where a snapshot left it."""

    def __init__(
        self,
        context: FlowContext,
        partition: int,
        state: ReaderState | None,
        *,
        start: str,
        after: int | None = None,
        bell: Bell | None = None,
        fetching: Fetching | None = None,
    ) -> None:
        """For a partition without state, `start` is ``earliest`` or ``latest``, and `after` its first clock (microseconds).

        `bell`: rung when there is something to poll (`rings`). Raises `RecoveryError` if `state` belongs to another topic.
        """
        settings = context.settings
        if state and state.topic != settings.logs_topic:
            raise RecoveryError(
                f"the recovery folder belongs to topic {state.topic}, but ADTALLY_LOGS_TOPIC is "
                f"{settings.logs_topic}; set it back, or use another recovery folder."
            )
        self.partition = partition
        self._settings = settings
        self._topology = context.topology
        self._engine = context.engine
        self._lifecycle = context.lifecycle
        self._monotonic = context.monotonic
        self._now = context.now
        self._shown_at: int | None = None
        self._topic = settings.logs_topic
        self._start = start
        self._bell = bell
        self._fetching = fetching or Fetching()
        self._state = state
        self._intake = context.engine.make_intake(partition, state.intake if state else IntakeState(clock=after), context.now)
        self._offset = state.offset if state else None
        self._at = 0
        self._kept = state.intake.clock if state else None
        self._passage = Passage(settings, self._topic)
        self._last = state.last if state else None
        self._refill_until: int | None = None
        self._fetcher: Fetcher | None = None
        self._not_shown: KafkaError | None = None
        self._caught_up = False
        self._last_heard = context.monotonic()
        self._handed_over: SourceClock | None = None

    @property
    def counters(self) -> Counters:
        """What became of the messages read so far."""
        return self._intake.counters

    def place(self) -> Place:
        """How far it is, for whoever watches the flow."""
        return Place(msgspec.structs.replace(self.counters), self._offset, self._lag(), self._intake.reached, self.is_open)

    def _lag(self) -> int | None:
        if self._fetcher is None or self._offset is None:
            return None
        place = TopicPartition(self._topic, self.partition, self._offset)
        lag = heard_lag(self._fetcher.consumer, place)
        if not lag or not self._caught_up:
            return lag
        # This reader reached its end although the log is longer: the rest is held back by an open transaction.
        return self._topology.behind(self.partition, Span(self._offset, self._offset + lag))

    @property
    def is_open(self) -> bool:
        """Whether the broker has told where to begin."""
        return self._fetcher is not None

    @property
    def rings(self) -> bool:
        """Whether the bell is rung when there is something to poll; if not, only a poll shows it."""
        return self._fetcher is not None and self._fetcher.rings

    def poll(self) -> Haul | None:
        """Read what is there, up to `Fetching.poll` messages; None where nothing changed. Raises `OffsetGoneError` and `BrokerError`."""
        fetcher = self._fetcher or self._open()
        if fetcher is None:
            return None
        taken = 0
        more = True
        while more and taken < self._fetching.poll and self._fetcher is fetcher:
            records, faults, more = fetcher.fetch()
            hurt = next((number for number, fault in enumerate(faults) if fault.is_damage), None)
            if hurt is not None:
                records = records[: faults[hurt].place]
            if records:
                self._caught_up = False  # until the end of the log is met again
                taken += len(records)
                self._take(records)
            if faults:
                self._heed(faults[:hurt], len(records))
            if hurt is not None and self._fetcher is fetcher:
                taken += self._pass_over(faults[hurt])
        fetcher.release()
        if self._not_shown is not None and is_forbidden(self._not_shown):
            raise unreadable(self._settings, self._topic, self.partition, self._not_shown)
        if taken:
            self._last_heard = self._monotonic()
        self._keep_up()
        clock = SourceClock(self._intake.reached, self._is_idle())
        shares, rejected = self._intake.fetch()
        if not (shares or rejected or more) and clock == self._handed_over:
            return None
        self._handed_over = clock
        return Haul(clock, shares, rejected, more)

    def snapshot(self) -> ReaderState | None:
        """The place in the log and what was decided up to it; None before the partition was opened for the first time."""
        if self._offset is None:
            return self._state
        return ReaderState(self._topic, self._offset, self._intake.state(), self._last)

    def show_progress(self) -> None:
        """Commit offset, clock and counters to the consumer group: for people and monitors; a restart goes by the snapshot alone."""
        if self._fetcher is None or self._offset is None:
            return
        # As this snapshot is asked for, the one before has been written: a run that is killed goes back no further.
        kept, self._kept = self._kept, self._intake.reached
        before, self._shown_at = self._shown_at, round(self._now() * SECOND)
        committed = CommittedCounters(
            **msgspec.structs.asdict(self.counters),
            clock=self._kept,
            kept=kept,
            last=self._last,
            at=self._shown_at,
            pause=None if before is None else self._shown_at - before,
        )
        place = TopicPartition(self._topic, self.partition, self._offset, metadata=committed.encode())
        try:
            self._fetcher.consumer.commit(offsets=[place], asynchronous=True)
        except KafkaException as error:
            log.debug("the progress of partition %d was not committed: %s", self.partition, describe(error))

    def _make_fetcher(self) -> Fetcher:
        settings, role, fetching = self._settings, f"reader-{self.partition}", self._fetching

        def heard(error: KafkaError | None, _places: Sequence[TopicPartition]) -> None:
            self._not_shown = error

        def make(own: dict[str, str]) -> Consumer:
            return fetching.make_consumer(settings, role, **{"on_commit": heard, **own})

        plugins = settings.client.get(PLUGINS, "")
        native = self._engine.fetches_natively
        return fetching.make_fetcher(make, fetching.chunk, native=native, bell=self._bell, plugins=plugins)

    def close(self) -> None:
        """Let go of the broker; of one that does not answer without a word, for a farewell would wait for it."""
        if self._fetcher is not None:
            if self._topology.reachable():
                self._fetcher.close()
            else:
                self._lifecycle.hold(self._fetcher.abandon())  # to free a consumer closes it
            self._fetcher = None

    def _open(self) -> Fetcher | None:
        """Assign the partition at its offset; None while the broker does not tell which offsets it has."""
        fetcher = self._make_fetcher()
        place = TopicPartition(self._topic, self.partition)
        try:
            low, high = fetcher.consumer.get_watermark_offsets(place, timeout=2.0)
        except KafkaException as error:
            fetcher.consumer.close()
            if error.args[0].code() not in PASSING:
                raise unreadable(self._settings, self._topic, self.partition, error.args[0]) from None
            return None
        self._at = self._first_offset(low, high)
        self._last_heard = self._monotonic()
        return self._begin(fetcher)

    def _begin(self, fetcher: Fetcher) -> Fetcher:
        self._fetcher = fetcher
        fetcher.begin(self._topic, self.partition, self._at)
        return fetcher

    def _first_offset(self, low: int, high: int) -> int:
        if self._offset is None:
            self._offset = high if self._start == "latest" else low
            return self._offset
        if not low <= self._offset <= high:
            raise self._gone(low, high)
        refill_from = self._intake.rewind()
        begin = self._offset if refill_from is None else min(refill_from, self._offset)
        if begin < low:
            log.warning(
                "offsets %d-%d of %s/%d are no longer on the broker; duplicates of those events will be counted twice",
                begin,
                low - 1,
                self._topic,
                self.partition,
            )
        if self._last is not None:
            begin = min(begin, self._last.offset)  # to be recognised
        begin = max(low, begin)
        if begin < self._offset:
            self._refill_until = self._offset
        else:
            self._intake.resume()
        return begin

    def _take(self, records: Sequence[Record]) -> None:
        self._at = (records[-1].offset() or 0) + 1
        if self._refill_until is not None:
            old = bisect_left(records, self._refill_until, key=lambda record: record.offset() or 0)
            if old:
                self._recognise(records[:old])
                self._intake.refill(records[:old])
            if old == len(records) and (records[-1].offset() or 0) + 1 < self._refill_until:
                return
            self._end_refill()
            records = records[old:]
            if not records:
                return
        if records[0].timestamp()[0] != LOG_APPEND_TIME:
            warn_of_create_time(self._topic)
        self._intake.take(records)
        self._last = Fingerprint.of(records[-1])
        self._offset = self._last.offset + 1

    def _recognise(self, records: Sequence[Record]) -> None:
        last = self._last
        if last and any(record.offset() == last.offset and Fingerprint.of(record) != last for record in records):
            raise OffsetGoneError(
                f"partition {self.partition} of {self._topic} holds a different message at offset {last.offset} than the flow read "
                f"there: the topic was recreated. {CURE}"
            )

    def _end_refill(self) -> None:
        self._refill_until = None
        self._intake.resume()

    def _heed(self, faults: Sequence[Fault], count: int) -> None:
        """`count`: messages of the same fetch."""
        for error, end, place in faults:
            if error.code() == KafkaError._PARTITION_EOF:
                self._caught_up = place == count  # else the log has gone on meanwhile
                if self._refill_until is not None:
                    self._end_refill()  # the log ends in markers of transactions: no message of it is missing
                # Offsets up to the end hold no messages, only transaction markers, aborted or compacted ones: they are not lag.
                self._offset, self._at = max(self._offset or 0, end), max(self._at, end)
            elif error.code() in _GONE:
                # Opened again, it is held against the offsets that the broker has now: lost, or only the ids to be read again.
                self.close()
                self._refill_until = None
                self._intake.resume()
            elif error.code() in PASSING:
                self._caught_up = False
                log.debug("partition %d: %s", self.partition, describe(error))
            else:
                raise unreadable(self._settings, self._topic, self.partition, error)

    def _pass_over(self, met: Fault) -> int:
        """Go on behind a damaged batch, with a new consumer; each message of it that is new is rejected. How many those are."""
        damage = self._passage.lead(self.partition, met, self._at)
        lost = self._lose(damage) if damage else 0
        self.close()
        self._begin(self._make_fetcher())
        self._caught_up = False
        return lost

    def _lose(self, damage: Damage) -> int:
        self._at = damage.end
        if self._refill_until is not None:
            if damage.first < self._refill_until:
                log.warning(
                    "offsets %d-%d of %s/%d can't be read again; duplicates of those events will be counted twice",
                    damage.first,
                    damage.end - 1,
                    self._topic,
                    self.partition,
                )
            if damage.end >= self._refill_until:
                self._end_refill()
        first = max(damage.first, self._offset or 0)
        if first >= damage.end:
            return 0
        self._intake.lose(first, damage.end, f"unreadable record batch, offsets {first} to {damage.end - 1}: {damage.words}")
        self._offset = damage.end
        return damage.end - first

    def _is_idle(self) -> bool:
        silent = self._monotonic() - self._last_heard >= self._settings.idle_seconds
        return self._caught_up and silent and self._topology.reachable()

    def _keep_up(self) -> None:
        """A partition that has been silent for the idle retention lets the others' old windows go: its clock follows theirs."""
        if self._offset is None or self._refill_until is not None or not self._is_idle():
            return
        newest = self._topology.newest()
        if newest is None:
            return
        # In whole windows, for each step goes to every shard.
        window = self._settings.window_seconds * SECOND
        floor = newest - round(self._settings.idle_retention_seconds * SECOND)
        self._intake.advance(floor - floor % window, self._offset)

    def _gone(self, low: int, high: int) -> OffsetGoneError:
        if self._offset is not None and self._offset > high:
            return OffsetGoneError(
                f"partition {self.partition} of {self._topic} ends at offset {high}, but the flow has already read up to "
                f"{self._offset}: the topic was recreated or has lost data. {CURE}"
            )
        return OffsetGoneError(
            f"partition {self.partition} of {self._topic} begins at offset {low}, but this run must resume at {self._offset}: "
            f"the events between are gone (retention). {CURE}"
        )
