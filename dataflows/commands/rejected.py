"""Rejected events: list them, count them, take them out, send corrected payloads: ``adtally rejected``.

A payload that was sent in again is an event like any other: with an `event_id` that was never counted it counts, once. One that is late
stays late; ``adtally rebuild --late`` counts it.
"""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, get_args

import msgspec

from dataflows.commands.payload_lines import read_lines, to_line
from dataflows.contract.errors import InputError
from dataflows.contract.schema import Reason, Rejected, decode_rejected, decode_rejected_key, encode
from dataflows.contract.settings import Settings
from dataflows.intake.decode import DECODE_ERRORS, EventDecoder, NotAnEvent
from dataflows.kafka.clients import deliver
from dataflows.kafka.scan import refuse_foreign, scan
from dataflows.kafka.tombstones import Tombstones, read_settled
from dataflows.kafka.topics import Topics
from dataflows.telemetry import log_lines
from dataflows.telemetry.terminal import json_for

log = logging.getLogger("adtally.rejected")

REASONS: tuple[str, ...] = get_args(Reason)

RejectedKey = tuple[str, int, int]
"""Topic, partition and offset of the message that was rejected."""


class Wanted(msgspec.Struct, frozen=True):
    """Filter of rejected events; an empty field matches all."""

    reasons: frozenset[str] = frozenset()
    partitions: frozenset[int] = frozenset()
    containing: str = ""

    def has(self, event: Rejected) -> bool:
        """Whether `event` matches the filter."""
        return (
            (not self.reasons or event.reason in self.reasons)
            and (not self.partitions or event.partition in self.partitions)
            and self.containing in (event.payload or "")
        )


def rejected(settings: Settings, wanted: Wanted) -> list[Rejected]:
    """Return the `wanted` rejected events, oldest first: the last record of each message, unless a tombstone has deleted it.

    Raises `BrokerError`, and `InputError` for a record that follows a later version of the contract.
    """
    events, none_of_ours = read_settled(partial(_read, settings))
    if none_of_ours:
        log.warning("skipped %d records of %s that are not rejected events", none_of_ours, settings.rejected_topic)
    return sorted(filter(wanted.has, events.values()), key=lambda event: (event.rejected_at, event.partition, event.offset))


def _read(settings: Settings, tombstones: Tombstones[RejectedKey]) -> tuple[dict[RejectedKey, Rejected], int]:
    """Return the last record of each message that `tombstones` do not delete, and how many records can't be read."""
    events: dict[RejectedKey, Rejected] = {}
    none_of_ours = 0
    for message in scan(settings, settings.rejected_topic):
        position, value = tombstones.position(message), message.value()
        refuse_foreign(settings.rejected_topic, message)
        try:
            if value is None:
                tombstones.add(decode_rejected_key(message.key() or b""), position)
                continue
            event = decode_rejected(value)
        except DECODE_ERRORS:
            none_of_ours += 1
            continue
        key = (event.topic, event.partition, event.offset)
        if not tombstones.has_deleted(key, position):
            events[key] = event
    return events, none_of_ours


def lines(events: Sequence[Rejected], limit: int) -> Iterator[str]:
    """Yield a summary of the newest `limit` of `events`, and the count of each reason."""
    for event in events[-limit:] if limit else ():
        payload = (
            event.payload
            if event.payload is not None
            else f"base64:{event.payload_base64}"
            if event.payload_base64
            else "(no value)"
        )
        yield f"{event.rejected_at}  {event.reason:13}  {event.topic}/{event.partition}/{event.offset}  {plain(event.detail)}"
        yield f"    {plain(payload)[:200]}"
    counts = Counter(event.reason for event in events)
    yield ", ".join(f"{counts[reason]:,} {reason}" for reason in REASONS if counts[reason]) or "nothing was rejected"


def plain(text: str) -> str:
    """Return `text` without terminal control characters: a payload can hold any bytes."""
    return "".join(character if character.isprintable() else "�" for character in text)


def corrected(path: Path, decode: EventDecoder) -> list[tuple[str, bytes]]:
    """Return the events of a JSON lines file (`read_lines`) as (event_id, payload); raises `InputError` for the first line that is none."""
    events: list[tuple[str, bytes]] = []
    for number, line in read_lines(path):
        try:
            events.append((decode(line).event_id, line))
        except NotAnEvent as verdict:
            raise InputError(f"{path} line {number} is not a valid event: {verdict.detail}. Nothing was sent.") from None
    return events


def send(settings: Settings, events: Iterable[tuple[str, bytes]]) -> int:
    """Put (event_id, payload) on the logs and wait for the acknowledgements; their number. Raises `BrokerError` or `DeliveryError`."""
    Topics(settings, rights={settings.logs_topic: "Write"}).ensure(settings.logs_topic)
    return deliver(settings, "rejected", settings.logs_topic, events)


def list_rejected(settings: Settings, wanted: Wanted, form: Literal["lines", "json", "payloads"], limit: int) -> None:
    """Print the `wanted` rejected events: the newest `limit` in `lines`; all of them as `json` records, or as their `payloads` alone.

    Raises `BrokerError` and `InputError`.
    """
    events = rejected(settings, wanted)
    if form == "lines":
        for line in lines(events, limit):
            log_lines.tell(line)
        return
    for event in events:
        log_lines.tell(json_for(sys.stdout, encode(event).decode() if form == "json" else to_line(event)))
    if form == "payloads" and (empty := sum(not (event.payload or event.payload_base64) for event in events)):
        log.warning("%d of these events have no payload; their lines are empty, and --send skips them", empty)


def send_file(settings: Settings, path: Path) -> None:
    """Send the events of `path` to the logs, and print their number; raises `InputError` before anything is sent, and as `send`."""
    events = corrected(path, EventDecoder.of(settings))
    log_lines.tell(f"{send(settings, events):,} events sent to {settings.logs_topic}")
