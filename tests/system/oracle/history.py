"""The results as a consumer meets them: each record by itself, and the whole history of each key by the consumer's rule."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Iterable, Iterator
from typing import Any

from tests.system.oracle.judge import Verdict
from tests.system.oracle.sums import SUMS
from tests.system.oracle.terms import MAIN, Terms
from tests.system.oracle.topics import Record

STATES = {"provisional": 0, "final": 1, "corrected": 2}
RATIOS = {
    "ctr": lambda sums: (sums["clicks"], sums["impressions"]),
    "cvr": lambda sums: (sums["conversions"], sums["clicks"]),
    "cpc": lambda sums: (sums["spend_micros"], 1_000_000 * sums["clicks"]),
    "cpm": lambda sums: (1000 * sums["spend_micros"], 1_000_000 * sums["impressions"]),
    "cpa": lambda sums: (sums["spend_micros"], 1_000_000 * sums["conversions"]),
    "roas": lambda sums: (sums["revenue_micros"] - sums["refund_micros"], sums["spend_micros"]),
}
"""Numerator and denominator, as docs/contract.md has them."""

NAMES = ["window_start", "campaign_id", "channel", "currency"]
FIELDS = {*NAMES, "window_end", *SUMS, "counts", *RATIOS, "revision", "state"}
"""Of a result of the main table; one of a breakdown has its own fields too."""

CONTRACT = b"2"
"""The header ``adtally-contract`` of each record."""

FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def decoded(records: Iterable[Record]) -> Iterator[tuple[bytes | None, dict[str, Any], bytes | None]]:
    """Key, value and version header of each record in their order; a value that is not a JSON object is an empty one."""
    for key, message in records:
        value = _json(message.payload)
        yield key, value if isinstance(value, dict) else {}, message.contract


def _json(text: bytes | None) -> Any:
    try:
        return json.loads(text or b"null")
    except ValueError:
        return None


class KeyHistory:
    """Takes the records of one table's results in the order of a reader, and holds two of each key, whatever their number.

    The consumer's rule: keep the highest revision, and at equal revision the later state. What a consumer that reads the whole history
    holds at the end must stand in the last record, and its revision, which is all events of the cell, must never have come with other
    sums. (A lower one may: of some of the events, a replay can have others, for partitions interleave differently the second time.)
    """

    def __init__(self, terms: Terms, table: str = MAIN) -> None:
        self._terms = terms
        self._table = table
        self._dimensions = terms.tables()[table]
        self._fields = {*FIELDS, *self._dimensions}
        self._wrong: list[str] = []
        self._held: dict[bytes | None, dict[str, Any]] = {}
        self._others: dict[bytes | None, list[int]] = {}
        self.last: dict[bytes | None, dict[str, Any]] = {}
        """The last value of each key."""

    def take(self, key: bytes | None, value: dict[str, Any], contract: bytes | None = CONTRACT) -> None:
        """The next record, with its header of the contract's version; what breaks the contract by itself is remembered as a difference."""
        self.last[key] = value
        if why := self._why_wrong(key, value) or ("" if contract == CONTRACT else f"header adtally-contract {contract}"):
            self._wrong.append(f"record: {self._named(key)}: {why}")
        if not set(value) >= self._fields:
            return
        before = self._held.get(key)
        if before is None or value["revision"] > before["revision"]:
            self._others.pop(key, None)
        elif value["revision"] == before["revision"] and _sums(value) != _sums(before):
            self._others[key] = _sums(before)
        if before is None or _rank(value) >= _rank(before):
            self._held[key] = value

    def whole(self) -> list[dict[str, Any]]:
        """The last values that have all fields."""
        return [value for value in self.last.values() if set(value) >= self._fields]

    def differences(self) -> list[str]:
        """A line for each record that is not what the contract says of a single one: key, fields, header, window, revision, ratios; and
        for each key for which a reader of the whole history and a reader of the last values see different values."""
        return [*self._wrong, *self._backward_steps()]

    def _named(self, key: bytes | None) -> str:
        return f"{self._table} {key!r}" if self._table else repr(key)

    def _backward_steps(self) -> list[str]:
        held = self._held
        wrong = [
            f"history: {self._named(key)}: revision {held[key]['revision']} comes with other sums, {sums}"
            for key, sums in self._others.items()
        ]
        for key, value in held.items():
            last = self.last[key]
            if not set(last) >= self._fields:
                continue  # it has a line of its own
            if value["revision"] != last["revision"]:
                wrong.append(f"history: {self._named(key)} ends at revision {last['revision']}, after {value['revision']}")
            elif last["state"] == "provisional" != value["state"]:
                # Between final and corrected a replay may decide otherwise, for the same reason.
                wrong.append(f"history: {self._named(key)} ends as provisional, after {value['state']}")
        return wrong

    def _why_wrong(self, key: bytes | None, value: dict[str, Any]) -> str:
        if set(value) != self._fields:
            return f"fields {sorted(set(value) ^ self._fields)} are missing or not wanted"
        values = [value[name] for name in self._dimensions]
        wanted = [*(value[name] for name in NAMES[:3]), *values, value["currency"]]
        # As texts: in Python 1 equals true.
        if json.dumps(_json(key)) != json.dumps(wanted):
            return f"the key is not {json.dumps(wanted, ensure_ascii=False)}"
        if not all(one is None or one is True or isinstance(one, str) for one in values):
            return f"values {values}"
        if True in values and values != [True] * len(values):
            return f"values {values}: what is not admitted is true in all of them"
        if _seconds(value["window_end"]) - _seconds(value["window_start"]) != self._terms.window:
            return f"{value['window_start']} to {value['window_end']} is not a window of {self._terms.window} s"
        if value["state"] not in STATES:
            return f"state {value['state']}"
        if not _are_counts(value["counts"], self._terms.declared()):
            return f"counts {value['counts']}"
        if value["revision"] != value["events"]:
            return f"revision {value['revision']} of {value['events']} events"
        return _wrong_ratio(value)


def _are_counts(counts: Any, declared: tuple[str, ...]) -> bool:
    if not isinstance(counts, dict) or not set(counts) <= set(declared):
        return False
    return all(type(number) is int and number >= 0 for number in counts.values())


def _wrong_ratio(value: dict[str, Any]) -> str:
    for name, of in RATIOS.items():
        numerator, denominator = of(value)
        expected = numerator / denominator if denominator else None
        if value[name] == 0 and math.copysign(1, value[name]) < 0:
            return f"{name} is a negative zero"
        if not _same(value[name], expected):
            return f"{name} {value[name]} instead of {expected}"
    return ""


def _seconds(time: str) -> float:
    """Seconds since 1970, infinity for what is not written as results have it."""
    try:
        return dt.datetime.strptime(time, FORMAT).replace(tzinfo=dt.UTC).timestamp()
    except ValueError:
        return math.inf


def _same(found: float | None, expected: float | None) -> bool:
    if found is None or expected is None:
        return found is expected
    return math.isclose(found, expected, rel_tol=1e-12)


def _sums(value: dict[str, Any]) -> list[Any]:
    return [*(value[name] for name in SUMS), value["counts"]]


def _rank(value: dict[str, Any]) -> tuple[int, int]:
    return value["revision"], STATES.get(value["state"], -1)


def wrong_states(history: KeyHistory, verdict: Verdict, partitions: int, terms: Terms) -> list[str]:
    """Last values of a table whose state can't be, by the clocks at the end of the log.

    Where every partition has a clock, the watermark is at least the least of them less the out-of-order bound: what ends before is not
    provisional. Where silence closes nothing it is just that, and what ends later *is* provisional.
    """
    if len(verdict.clocks) < partitions:
        return []  # a partition without an event has no clock: silence alone says what is final
    watermark = min(verdict.clocks.values()) / 1_000_000 - terms.out_of_order
    wrong: list[str] = []
    for value in history.whole():
        over = _seconds(value["window_end"]) <= watermark
        provisional = value["state"] == "provisional"
        if over == provisional and (over or not terms.silence):
            bound = "has passed" if over else "has not reached"
            named = " ".join(str(value[name]) for name in NAMES)
            wrong.append(f"state: {named} is {value['state']}, but the watermark {bound} its end")
    return wrong
