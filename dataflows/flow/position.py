"""The position of a reader in its partition, and the intake that has counted up to it: both are in one snapshot.

After a restart the messages before the position are read again as far as the index of ids needs them (a *refill*). They are not counted
again. It knows no Kafka client.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Callable, Sequence

import msgspec

from dataflows.contract.errors import OffsetGoneError
from dataflows.intake.partition import Intake, IntakeState
from dataflows.kafka.corruption import Damage
from dataflows.kafka.fingerprint import Fingerprint
from dataflows.kafka.record import LOG_APPEND_TIME, Record

log = logging.getLogger("adtally.reader")

CURE = (
    "To count the remaining events, start with an empty recovery folder and another "
    "ADTALLY_RESULTS_TOPIC; in the old topic, the results of the minute at the gap would be overwritten with incomplete ones."
)


class ReaderState(msgspec.Struct):
    """Snapshot of a partition: the offset of the next message and the intake's own state, which belong together.

    `last` is the last message before that offset: a topic that was deleted and recreated has another one there.
    """

    topic: str
    offset: int
    intake: IntakeState
    last: Fingerprint | None = None


class ReaderPosition:
    """Position up to which one partition is counted, and up to which it is read."""

    def __init__(
        self,
        topic: str,
        partition: int,
        intake: Intake,
        state: ReaderState | None,
        *,
        start: str,
        warn_of_create_time: Callable[[], None],
    ) -> None:
        """`intake`: that of `state`; without one, `start` says where to begin: ``earliest`` or ``latest``.

        `warn_of_create_time`: called while messages carry their producers' time and not the broker's.
        """
        self._warn_of_create_time = warn_of_create_time
        self._topic = topic
        self._partition = partition
        self._intake = intake
        self._start = start
        self._last = state.last if state else None
        self._refill_until: int | None = None
        self.offset = state.offset if state else None
        """Offset of the next message to count; None before the partition was opened for the first time."""
        self.next = 0
        """Offset of the next message to fetch: before `offset` during a refill."""

    @property
    def is_refilling(self) -> bool:
        """Whether messages are read again that were counted before the restart."""
        return self._refill_until is not None

    @property
    def last(self) -> Fingerprint | None:
        """The last message that was counted."""
        return self._last

    def state(self) -> ReaderState | None:
        """Return what a snapshot keeps; None before the partition was opened for the first time."""
        return None if self.offset is None else ReaderState(self._topic, self.offset, self._intake.state(), self._last)

    def begin(self, low: int, high: int) -> int:
        """Return the offset to fetch from, in a log that begins at `low` and ends at `high`.

        Raises `OffsetGoneError` if the log no longer holds the position.
        """
        if self.offset is None:
            self.next = self.offset = high if self._start == "latest" else low
            return self.next
        if not low <= self.offset <= high:
            raise self._gone(self.offset, low, high)
        refill_from = self._intake.rewind()
        begin = self.offset if refill_from is None else min(refill_from, self.offset)
        if begin < low:
            log.warning(
                "offsets %d-%d of %s/%d are no longer on the broker; duplicates of those events will be counted twice",
                begin,
                low - 1,
                self._topic,
                self._partition,
            )
        if self._last is not None:
            begin = min(begin, self._last.offset)  # to be compared with what was read there
        self.next = max(low, begin)
        if self.next < self.offset:
            self._refill_until = self.offset
        else:
            self._intake.resume()
        return self.next

    def take(self, records: Sequence[Record]) -> None:
        """Count `records`, the next ones of the log; those before the position only refill the index of ids.

        Raises `OffsetGoneError` if they are those of another topic of the same name.
        """
        self.next = (records[-1].offset() or 0) + 1
        if self._refill_until is not None:
            old = bisect_left(records, self._refill_until, key=lambda record: record.offset() or 0)
            if old:
                self._compare(records[:old])
                self._intake.refill(records[:old])
            if old == len(records) and self.next < self._refill_until:
                return
            self._end_refill()
            records = records[old:]
            if not records:
                return
        if records[0].timestamp()[0] != LOG_APPEND_TIME:
            self._warn_of_create_time()
        self._intake.take(records)
        self._last = Fingerprint.of(records[-1])
        self.offset = self._last.offset + 1

    def reach(self, end: int) -> None:
        """Advance to the `end` of the log: offsets before it hold only transaction markers, aborted or compacted messages."""
        if self._refill_until is not None:
            self._end_refill()  # the log ends in markers of transactions: no message of it is missing
        self.offset, self.next = max(self.offset or 0, end), max(self.next, end)

    def lose(self, damage: Damage) -> int:
        """Skip the offsets of `damage`; reject each that was not counted yet, and return their number."""
        self.next = damage.end
        if self._refill_until is not None:
            if damage.first < self._refill_until:
                log.warning(
                    "offsets %d-%d of %s/%d can't be read again; duplicates of those events will be counted twice",
                    damage.first,
                    min(damage.end, self._refill_until) - 1,
                    self._topic,
                    self._partition,
                )
            if damage.end >= self._refill_until:
                self._end_refill()
        first = max(damage.first, self.offset or 0)
        if first >= damage.end:
            return 0
        self._intake.lose(first, damage.end, f"unreadable record batch, offsets {first} to {damage.end - 1}: {damage.words}")
        self.offset = damage.end
        return damage.end - first

    def interrupt(self) -> None:
        """End a refill early: the partition is opened again, and `begin` starts another one."""
        self._end_refill()

    def _end_refill(self) -> None:
        self._refill_until = None
        self._intake.resume()

    def _compare(self, records: Sequence[Record]) -> None:
        last = self._last
        if last and any(record.offset() == last.offset and Fingerprint.of(record) != last for record in records):
            raise OffsetGoneError(
                f"partition {self._partition} of {self._topic} holds a different message at offset {last.offset} than the flow read "
                f"there: the topic was recreated. {CURE}"
            )

    def _gone(self, offset: int, low: int, high: int) -> OffsetGoneError:
        if offset > high:
            return OffsetGoneError(
                f"partition {self._partition} of {self._topic} ends at offset {high}, but the flow has already read up to "
                f"{offset}: the topic was recreated or has lost data. {CURE}"
            )
        return OffsetGoneError(
            f"partition {self._partition} of {self._topic} begins at offset {low}, but this run must resume at {offset}: "
            f"the events between are gone (retention). {CURE}"
        )
