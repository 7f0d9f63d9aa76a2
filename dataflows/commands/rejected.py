"""Rejected events: list them, count them, take them out, send corrected payloads: ``python -m dataflows.commands.rejected``.

A payload that was sent in again is an event like any other: with an `event_id` that was never counted it counts, once. One that is late
stays late; `python -m dataflows.commands.rebuild --late` takes it in where it stands.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import get_args

import msgspec

from dataflows.commands.payload_lines import read_lines, to_line
from dataflows.contract.errors import AdtallyError, InputError
from dataflows.contract.schema import Reason, Rejected, decode_rejected, decode_rejected_key, encode
from dataflows.contract.settings import Settings
from dataflows.intake.decode import DECODE_ERRORS, CarefulDecoder, NotAnEvent
from dataflows.kafka.clients import deliver
from dataflows.kafka.scan import refuse_foreign, scan
from dataflows.kafka.tombstones import Tombstones, read_settled
from dataflows.kafka.topics import Topics
from dataflows.telemetry import log_lines
from dataflows.telemetry.terminal import json_for, typed

log = logging.getLogger("adtally.rejected")

REASONS: tuple[str, ...] = get_args(Reason)

RejectedKey = tuple[str, int, int]
"""Topic, partition and offset of the message that was rejected."""


class Wanted(msgspec.Struct, frozen=True):
    """Which rejected events are meant; an empty field means all."""

    reasons: frozenset[str] = frozenset()
    partitions: frozenset[int] = frozenset()
    containing: str = ""

    def has(self, one: Rejected) -> bool:
        """Whether `one` is among them."""
        return (
            (not self.reasons or one.reason in self.reasons)
            and (not self.partitions or one.partition in self.partitions)
            and self.containing in (one.payload or "")
        )


def rejected(settings: Settings, wanted: Wanted) -> list[Rejected]:
    """Return the `wanted` rejected events, oldest first: the last record of each message, unless a tombstone has deleted it.

    Raises `BrokerError`, and `InputError` for what follows a later version of the contract.
    """
    found, none_of_ours = read_settled(partial(_read, settings))
    if none_of_ours:
        log.warning("%d records of %s are not rejected events and were left out", none_of_ours, settings.rejected_topic)
    return sorted(filter(wanted.has, found.values()), key=lambda one: (one.rejected_at, one.partition, one.offset))


def _read(settings: Settings, tombstones: Tombstones[RejectedKey]) -> tuple[dict[RejectedKey, Rejected], int]:
    """Return the last record of each message that `tombstones` do not delete, and how many records can't be read."""
    found: dict[RejectedKey, Rejected] = {}
    none_of_ours = 0
    for message in scan(settings, settings.rejected_topic):
        position, value = tombstones.position(message), message.value()
        refuse_foreign(settings.rejected_topic, message)
        try:
            if value is None:
                tombstones.add(decode_rejected_key(message.key() or b""), position)
                continue
            one = decode_rejected(value)
        except DECODE_ERRORS:
            none_of_ours += 1
            continue
        place = (one.topic, one.partition, one.offset)
        if not tombstones.has_deleted(place, position):
            found[place] = one
    return found, none_of_ours


def lines(found: Sequence[Rejected], limit: int) -> Iterator[str]:
    """The newest `limit` of `found`, a few words each, and the count of each reason."""
    for one in found[-limit:] if limit else ():
        payload = (
            one.payload if one.payload is not None else f"base64:{one.payload_base64}" if one.payload_base64 else "(no value)"
        )
        yield f"{one.rejected_at}  {one.reason:13}  {one.topic}/{one.partition}/{one.offset}  {plain(one.detail)}"
        yield f"    {plain(payload)[:200]}"
    counts = Counter(one.reason for one in found)
    yield ", ".join(f"{counts[reason]:,} {reason}" for reason in REASONS if counts[reason]) or "nothing was rejected"


def plain(text: str) -> str:
    """`text` without what would steer a terminal: a payload is whatever somebody sent."""
    return "".join(character if character.isprintable() else "�" for character in text)


def corrected(path: Path, currency: str) -> list[tuple[str, bytes]]:
    """Return the events of a JSON lines file (`read_lines`) as (event_id, payload); raises `InputError` for the first line that is none."""
    decode = CarefulDecoder(currency)
    found: list[tuple[str, bytes]] = []
    for number, line in read_lines(path):
        try:
            found.append((decode(line).event_id, line))
        except NotAnEvent as verdict:
            raise InputError(f"{path} line {number} is not an event yet: {verdict.detail}. Nothing was sent.") from None
    return found


def send(settings: Settings, events: Iterable[tuple[str, bytes]]) -> int:
    """Put (event_id, payload) on the logs and wait for the acknowledgements; their number. Raises `BrokerError` or `DeliveryError`."""
    Topics(settings, rights={settings.logs_topic: "Write"}).ensure(settings.logs_topic)
    return deliver(settings, "rejected", settings.logs_topic, events)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of events")
    return int(text)


def _partition(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no partition; give a number from 0 on")
    return int(text)


def parser() -> argparse.ArgumentParser:
    """The flags of the command."""
    made = argparse.ArgumentParser(
        prog="python -m dataflows.commands.rejected", description=(__doc__ or "").partition(":")[0] + "."
    )
    made.add_argument(
        "--reason", action="append", default=[], choices=REASONS, help="only this reason; may be given several times"
    )
    made.add_argument("--partition", action="append", default=[], type=_partition, help="only this partition of the logs")
    made.add_argument("--containing", type=typed, default="", metavar="TEXT", help="only payloads that contain TEXT")
    made.add_argument(
        "--limit", type=_count, default=20, metavar="N", help="show the newest N (default 20; 0 shows the counts alone)"
    )
    made.add_argument("--json", action="store_true", help="print the records as JSON lines, all of them")
    made.add_argument(
        "--payloads",
        action="store_true",
        help="print only the payloads, one per line, ready to be corrected and sent again with --send",
    )
    made.add_argument(
        "--send",
        type=Path,
        metavar="FILE",
        help="send the events in FILE again (JSON lines; - is standard input); if one line is invalid, nothing is sent",
    )
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0, or 1 after one line on standard error."""
    given = parser().parse_args(arguments)
    try:
        settings = Settings.from_environment()
        log_lines.set_up(settings, "rejected")
        for line in _run(given, settings):
            log_lines.tell(line)
    except AdtallyError as error:
        log_lines.say("adtally", str(error))
        return 1
    return 0


def _run(given: argparse.Namespace, settings: Settings) -> Iterator[str]:
    if given.send:
        events = corrected(given.send, settings.currency)
        yield f"{send(settings, events):,} events sent to {settings.logs_topic}"
        return
    found = rejected(settings, Wanted(frozenset(given.reason), frozenset(given.partition), given.containing))
    if given.json:
        yield from (json_for(sys.stdout, encode(one).decode()) for one in found)
    elif given.payloads:
        yield from (json_for(sys.stdout, to_line(one)) for one in found)
        if empty := sum(not (one.payload or one.payload_base64) for one in found):
            log.warning("%d of these events have no payload; their lines are empty, and --send skips them", empty)
    else:
        yield from lines(found, given.limit)


if __name__ == "__main__":
    sys.exit(main())
