"""The records of rejected events against those that the log demands."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from tests.system.oracle.history import CONTRACT
from tests.system.oracle.judge import Verdict

KEPT = 4096
_AS_IT_CAME = ("payload", "payload_base64", "size", "sha256")


@dataclass(frozen=True, slots=True)
class _Shown:
    reason: Any
    as_it_came: tuple[Any, ...]
    whole: bool


class Rejections:
    """Takes the records of the rejected events of one topic of logs, and holds the last of each place."""

    def __init__(self, logs: str) -> None:
        self._logs = logs
        self._found: dict[tuple[int, int], _Shown] = {}
        self._wrong: list[str] = []

    def take(self, key: bytes | None, value: dict[str, Any], contract: bytes | None = CONTRACT) -> None:
        """The next record; one with a wrong key or header, or for another reason than the one before, is remembered as a difference."""
        place = value.get("partition", -1), value.get("offset", -1)
        if key is None or value.get("topic") != self._logs or json.loads(key) != [self._logs, *place]:
            where = f"{value.get('topic')} partition {place[0]} offset {place[1]}"
            self._wrong.append(f"rejected: key {key!r} of a record of {where}")
            return
        if contract != CONTRACT:
            self._wrong.append(f"rejected: partition {place[0]} offset {place[1]}: header adtally-contract {contract}")
        before, reason = self._found.get(place), value.get("reason")
        if before is not None and before.reason != reason:
            self._wrong.append(f"rejected: partition {place[0]} offset {place[1]} as {before.reason}, then as {reason}")
        shown = tuple(value.get(name) for name in _AS_IT_CAME)
        self._found[place] = _Shown(reason, shown, bool(value.get("detail") and value.get("rejected_at")))

    def differences(self, verdict: Verdict) -> list[str]:
        """A line for each rejected event that is missing, not wanted, under a wrong key, for another reason, or not as it came."""
        wrong = list(self._wrong)
        for place in sorted(set(self._found) | set(verdict.rejected)):
            named = f"rejected: partition {place[0]} offset {place[1]}"
            found, reason = self._found.get(place), verdict.rejected.get(place)
            if (found.reason if found else None) != reason:
                wrong.append(f"{named} as {found.reason if found else None} instead of {reason}")
            elif found is not None and (why := _not_as_it_came(found, verdict.payloads[place])):
                wrong.append(f"{named}: {why}")
        return wrong


def _not_as_it_came(found: _Shown, payload: bytes | None) -> str:
    expected: dict[str, Any] = {}
    if payload is not None and len(payload) > 64 * 1024:
        expected = {"size": len(payload), "sha256": hashlib.sha256(payload).hexdigest()}
        payload = payload[:KEPT]
    if payload is not None:
        try:
            expected["payload"] = payload.decode()
        except UnicodeDecodeError:
            expected["payload_base64"] = base64.b64encode(payload).decode()
    for name, value in zip(_AS_IT_CAME, found.as_it_came, strict=True):
        if value != expected.get(name):
            return f"{name} {str(value)[:60]!r} instead of {str(expected.get(name))[:60]!r}"
    return "" if found.whole else "without detail or rejected_at"
