"""Some messages of a partition in their order, with the events in them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import msgspec

from dataflows.contract.schema import Event, to_micros
from dataflows.intake.decode import NotAnEvent, rounds_up
from dataflows.intake.rules import FIRST, LAST, SECOND, Rules, to_datetime
from dataflows.kafka.record import Record
from dataflows.native.batch import Batch

_MICROSECOND = dt.timedelta(microseconds=1)


class Chunk:
    """Some messages in their order: records, payloads, events and their times, item by item."""

    __slots__ = ("events", "newest", "oldest", "records", "times", "values")

    def __init__(self, records: Sequence[Record], values: Sequence[bytes | None], events: Sequence[Event]) -> None:
        self.records = records
        self.values = values
        self.events = events
        self.times = [event.timestamp for event in events]
        self.oldest = min(self.times, default=LAST)
        self.newest = max(self.times, default=FIRST)

    def part(self, places: Sequence[int]) -> Chunk:
        """Those at `places`."""
        if len(places) == len(self.times):
            return self
        return Chunk(
            [self.records[place] for place in places],
            [self.values[place] for place in places],
            [self.events[place] for place in places],
        )

    def rounded_down(self, rules: Rules) -> Chunk:
        """Times with more digits than microseconds, which decoding has rounded up into the next window, back in their own."""
        if self.oldest > to_datetime(rules.start(to_micros(self.newest))):
            return self  # none stands at the start of a window
        up = [
            place
            for place, time in enumerate(self.times)
            if not time.microsecond and rounds_up(self.values[place] or b"") and to_micros(time) % rules.window == 0
        ]
        if not up:
            return self
        events = list(self.events)
        for place in up:
            events[place] = msgspec.structs.replace(events[place], timestamp=events[place].timestamp - _MICROSECOND)
        return Chunk(self.records, self.values, events)

    def limit(self, rules: Rules) -> dt.datetime:
        """Up to here no event of them is too far ahead."""
        return min(LAST, to_datetime(latest(self.records, rules))) if self.records else LAST


def latest(records: Sequence[Record], rules: Rules) -> int:
    """The greatest time (microseconds) that is not too far ahead for any of `records`."""
    # The least of all their times, not of the first and the last: a broker's clock may be set back, producers' go back and forth.
    least = records.least_time() if isinstance(records, Batch) else min([record.timestamp()[1] for record in records])
    return least * 1000 + rules.max_ahead


def check_bounds(time: dt.datetime, record: Record, rules: Rules) -> None:
    """Raise `NotAnEvent` for an event of `record` whose time names no window, or is too far ahead of Kafka's own."""
    if not FIRST <= time <= LAST:
        raise NotAnEvent("malformed", f"no window can be named for the time {time.isoformat()}")
    ahead = to_micros(time) - own_limit(record, rules)
    if ahead > 0:
        seconds = (ahead + rules.max_ahead) / SECOND
        raise NotAnEvent(
            "too_far_ahead",
            f"{seconds:,.3f} s past the time that Kafka gave the message; up to {rules.max_ahead / SECOND:g} s are allowed",
        )


def own_limit(record: Record, rules: Rules) -> int:
    """The greatest time (microseconds) that is not too far ahead for `record`; one without a time of Kafka's has none."""
    kind, given = record.timestamp()
    return given * 1000 + rules.max_ahead if kind else to_micros(LAST)
