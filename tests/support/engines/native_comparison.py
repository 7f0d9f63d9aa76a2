"""Both intakes over one log, both kinds of cells, both senders; 1 if they differ.

``python -m tests.support.engines.native_comparison [LIBRARY]``

The native intake twice: with messages as confluent-kafka makes them, and as they lie in librdkafka. With the senders also both ways to
fetch what they have sent.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from dataflows.contract.metrics import CellKey, Metrics
from dataflows.contract.settings import Settings
from dataflows.intake.partition import Intake, IntakeState
from dataflows.intake.rules import Rules
from dataflows.kafka.record import Record
from dataflows.native import library as native_library
from tests.support.engines.breakdown_logs import counted
from tests.support.engines.cells import played
from tests.support.engines.intakes import intake_kind, laid
from tests.support.engines.senders import sent_by
from tests.support.engines.wire import unpack
from tests.support.records import FakeRecord, micros, payload

RULES = Rules.of(Settings())
KINDS = ("impression", "click", "conversion", "purchase", "refund", "cost")


def the_log() -> list[FakeRecord]:
    """Some two hours of events with disorder, repeats near and far, late ones, too far ahead ones, slow-path and malformed ones."""
    rng = random.Random(11)
    wall = micros(0) // 1000
    values: list[bytes | None] = []
    for number in range(6000):
        seconds = number * 1.2 - rng.choice([0, 0, 0, rng.random() * 4, rng.random() * 900])
        fields = {"event_type": rng.choice(KINDS), "campaign_id": rng.choice("abcdefgh"), "channel": rng.choice(["x", "y", "xy"])}
        fields |= {"cost_micros": rng.randrange(1000), "revenue_micros": rng.randrange(1000)}
        twin = rng.choice([0, 0, 0, 0, 3, 200, 500, 700, 1000])
        values.append(payload(f"id-{number - twin if twin <= number else number}", round(seconds, 3), **fields))
    late_clock = 6000 * 1.2
    # A window of which the last moment is come, and is just not come yet.
    values += [payload("not yet", late_clock + 5 - 1e-6), payload("in time", late_clock - 660 + 5)]
    values += [payload("now", late_clock + 5), payload("late", late_clock - 660 + 6), payload("later", late_clock - 600 - 1e-6)]
    values.append(payload("ahead", late_clock + 900))
    values += [payload(f"after-{n}", late_clock + n) for n in range(5)]
    ends = (', "channel": 5, "channel": "z"}', ', "campaign_id": "w"}', ', "cost_micros": null}', "}}", "} 1")
    values += [payload(f"end-{n}", late_clock, cost_micros=5)[:-1] + end.encode() for n, end in enumerate(ends)]
    values += [b"", None]
    values.append(payload("tab", late_clock, channel="?").replace(b"?", b"a\tb"))
    values += [
        payload(f"pair-{n}", late_clock, channel=name) for n, name in enumerate(("😀", "\ud83d", "\ud83dx" * 2, '\\ " \n'))
    ]
    values += [payload(f"long-{n}", late_clock, channel="?" * n).replace(b"?", "ü".encode()) for n in (256, 257)]
    # On the very moment with which a generation of ids begins, and what decides by it.
    turn = (RULES.generation(micros(late_clock)) + 1) * RULES.id_span
    values += [payload("turning", (turn - micros(0)) / 1e6), payload("id-5999", (turn - micros(0)) / 1e6 - 1)]
    for zone in ("+05:30", "-08:00"):
        values.append(
            payload(f"zone{zone}", timestamp=f"2026-01-01T14:00:00{zone}".replace("14", "19" if zone[0] == "+" else "06"))
        )
    values += [
        payload(f"day-{day}", timestamp=f"{day}T00:00:00Z") for day in ("2028-02-29", "2028-03-01", "2028-12-31", "2029-03-01")
    ]
    # By Kafka's own clock, which has advanced as far; and invalid UTF-8 in a chunk that is otherwise ASCII.
    values[4000] = payload("bytes", 4000 * 1.2, channel="?").replace(b"?", b"\xff")
    times = [wall + round(number * 1.2) * 1000 for number in range(len(values))]
    return [FakeRecord(value, at, times[at] + (10**12 if value and b"day-" in value else 0)) for at, value in enumerate(values)]


def decided(
    kind: type[Intake], records: list[FakeRecord], lay: Callable[[Sequence[Record]], Sequence[Record]]
) -> tuple[object, ...]:
    """All that an intake makes of the log, with a restart in the middle; `lay`: how its messages come."""
    intake, shown = kind(RULES, "logs", 0, IntakeState(), now=lambda: 0.0), []
    for first in range(0, len(records), 77):
        if first == 77 * 40:
            again = kind(RULES, "logs", 0, intake.state(), now=lambda: 0.0)
            begin = again.rewind() or 0
            for place in range(begin, first, 50):
                again.refill(lay(records[place : min(place + 50, first)]))
            again.resume()
            intake = again
        intake.take(lay(records[first : first + 77]))
        shares, rejected = intake.fetch()
        sums: dict[tuple[int, int, CellKey], Metrics] = {}
        for share in shares:
            for key, own in unpack(share.cells):
                sums.setdefault((share.shard, share.window, key), Metrics()).merge(own)
        cells = sorted((*cell, repr(own)) for cell, own in sums.items())
        shown.append((cells, rejected, repr(intake.state())))
    return tuple(shown)


def main() -> int:
    """Compare; the first difference on standard output."""
    if sys.argv[1:]:
        library = Path(sys.argv[1])
        native_library.library_file = lambda: library
    records = the_log()
    python = decided(intake_kind("off"), records, list)
    for lay in (list, laid):
        c = decided(intake_kind("on"), records, lay)
        for number, (one, other) in enumerate(zip(python, c, strict=True)):
            if one != other:
                print(f"chunk {number}:\nPython {one}\nC      {other}")
                return 1
    for what, done in (("breakdowns", counted), ("cells", played), ("senders", sent_by)):
        for one, other in zip(done("off"), done("on"), strict=True):
            if one != other:
                print(f"{what}:\nPython {one}\nC      {other}")
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
