"""Reading of the event in one Kafka message, for both engines; the native engine uses it on its slow path."""

from __future__ import annotations

from dataflows.contract.schema import Event, to_micros
from dataflows.intake.decode import EventDecoder, NotAnEvent, in_own_window
from dataflows.intake.rules import FIRST, LAST, SECOND, Rules
from dataflows.kafka.record import Record


class MessageReader:
    """Reader of the messages of one deployment."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._decode = EventDecoder(rules.types, rules.columns)

    def __call__(self, record: Record) -> Event:
        """Return the event of a message; raises `NotAnEvent` for one that is malformed, oversize or too far ahead."""
        value = record.value()
        event = in_own_window(self._decode(value), value or b"", self._rules.window)
        if not FIRST <= event.timestamp <= LAST:
            raise NotAnEvent("malformed", f"no window can be named for the time {event.timestamp.isoformat()}")
        moment = to_micros(event.timestamp)
        if moment > latest_time(record, self._rules):
            raise too_far_ahead(moment, record, self._rules)
        return event


def latest_time(record: Record, rules: Rules) -> int:
    """Return the greatest event time (microseconds) that is not too far ahead; a message without a time of Kafka's sets no limit."""
    kind, milliseconds = record.timestamp()
    return milliseconds * 1000 + rules.max_ahead if kind else to_micros(LAST)


def too_far_ahead(moment: int, record: Record, rules: Rules) -> NotAnEvent:
    """Return the verdict on an event of `moment` (microseconds), which is past the `latest_time` of its message."""
    ahead = (moment - record.timestamp()[1] * 1000) / SECOND
    allowed = rules.max_ahead / SECOND
    return NotAnEvent(
        "too_far_ahead", f"{ahead:,.3f} s past the time that Kafka gave the message; up to {allowed:g} s are allowed"
    )
