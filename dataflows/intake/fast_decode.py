"""From the payloads of a chunk of messages to events, as fast as the good ones allow."""

from __future__ import annotations

from collections.abc import Sequence

from dataflows.contract.schema import MAX_DEPTH, MAX_PAYLOAD_BYTES, Event, event_decoder
from dataflows.intake.decode import DECODE_ERRORS, CarefulDecoder, NotAnEvent

Refusals = list[tuple[int, NotAnEvent]]
"""Places in a chunk, and why the messages there are no events that count."""

_SHALLOW = 4 * MAX_DEPTH
"""A payload of so few bytes can't nest `MAX_DEPTH` objects, each of which takes five: ``{"":}``."""


class ChunkDecoder:
    """Decodes chunks; what is odd in one costs little more than itself."""

    def __init__(self, currency: str) -> None:
        """`currency`: that of the deployment; an event in another one is none."""
        self._decode = event_decoder(currency).decode
        self._careful = CarefulDecoder(currency)

    def __call__(self, values: Sequence[bytes | None]) -> tuple[list[Event], Refusals]:
        """The events of `values` in their order, and the places of those that are none."""
        decode = self._decode
        try:
            if _is_plain(values):
                return [decode(value) for value in values], []  # pyright: ignore[reportArgumentType]  # a None is not plain
        except DECODE_ERRORS:
            pass
        return self._with_care(values)

    def _with_care(self, values: Sequence[bytes | None]) -> tuple[list[Event], Refusals]:
        events: list[Event] = []
        refused: Refusals = []
        begin = 0
        for end in [*_odd_ones(values, 0), len(values)]:
            while begin < end:
                before = len(events)
                try:
                    # What was decoded before an error stays in the list, so that nothing is decoded twice.
                    events.extend(map(self._decode, values[begin:end]))  # pyright: ignore[reportArgumentType]  # ditto
                    break
                except DECODE_ERRORS:
                    begin += len(events) - before
                    self._take_one(begin, values[begin], events, refused)
                    begin += 1
            if end < len(values):
                self._take_one(end, values[end], events, refused)
            begin = end + 1
        return events, refused

    def _take_one(self, place: int, value: bytes | None, events: list[Event], refused: Refusals) -> None:
        try:
            events.append(self._careful(value))
        except NotAnEvent as verdict:
            refused.append((place, verdict))


def _is_plain(values: Sequence[bytes | None]) -> bool:
    """Whether all are text, none is too long, and none can be nested too deep: a cheap look at the whole chunk."""
    try:
        text = b"\n".join(values)  # pyright: ignore[reportCallIssue, reportArgumentType]  # a None raises, as it should
        if not text.isascii():
            text.decode()
    except (TypeError, UnicodeDecodeError):
        return False
    longest = max(map(len, values))  # pyright: ignore[reportArgumentType]  # no None is left
    if longest > MAX_PAYLOAD_BYTES:
        return False
    may_be_deep = b"[" in text or longest > _SHALLOW
    return not may_be_deep or text.count(b"{") + text.count(b"[") < len(values) + MAX_DEPTH


def _odd_ones(values: Sequence[bytes | None], start: int) -> list[int]:
    """The places, counted from `start`, of those that are not plain, found by halving; beside them perhaps some that are."""
    if not values or _is_plain(values):
        return []
    if len(values) <= 4:
        return list(range(start, start + len(values)))
    half = len(values) // 2
    return _odd_ones(values[:half], start) + _odd_ones(values[half:], start + half)
