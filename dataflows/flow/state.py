"""The state that a snapshot keeps, under a version number: plain values alone, so that any version of adtally recognises it.

It is a dict of numbers, texts, bytes, lists and dicts. A change that makes an older state unreadable - another number of shards or slots,
a step with another name, a field with another meaning - increases `VERSION`. State of another version is refused, with the command that
counts again.
"""

from __future__ import annotations

import pickletools
import re
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeAlias, TypeVar

import msgspec

from dataflows.contract import breakdowns, event_types
from dataflows.contract.errors import RecoveryError
from dataflows.contract.settings import Settings, variable
from dataflows.intake.rules import SECOND, Rules

VERSION = 3
"""Version of the state that this adtally writes and reads."""

State = TypeVar("State", bound=msgspec.Struct)

Saved: TypeAlias = dict[str, object]
"""``{"adtally": version, "rules": {setting: value}, "state": {…}}``."""


def save(state: msgspec.Struct, settings: Settings) -> Saved:
    """Return `state` as plain values, with its version and the settings that it was counted with."""
    # Bytes stay what they are: the cells of a window are encoded once, however many snapshots they are in.
    return {"adtally": VERSION, "rules": _rules(settings), "state": msgspec.to_builtins(state, builtin_types=(bytes,))}


def load(saved: object, kind: type[State], settings: Settings) -> State | None:
    """Return the state in `saved`; None if there is none.

    Raises `RecoveryError`, which says how to count again, for state of another version, for anything that is not state of adtally, and
    for state that was counted by other rules than those of `settings`.
    """
    if saved is None:
        return None
    version = saved.get("adtally") if isinstance(saved, dict) else None
    if version != VERSION:
        raise unknown(settings, version if isinstance(version, int) else None)
    try:
        with _one_at_a_time:
            envelope = msgspec.convert(saved, _Envelope)
            state = msgspec.convert(envelope.state, kind, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise RecoveryError(
            f"the state in the recovery folder is not valid state of version {VERSION} ({error}); restore the folder from a "
            f"backup, or {count_again(settings)}"
        ) from None
    for name, now in _rules(settings).items():
        if (before := envelope.rules.get(name)) != now:
            raise RecoveryError(
                f"the state in the recovery folder was counted with {name}={before or _NONE}, but it is {now or _NONE} now; "
                f"set it back, or {count_again(settings)}"
            )
    return state


def unknown(settings: Settings, version: int | None = None) -> RecoveryError:
    """Return the error for state of `version`; None where it is not known."""
    whose = "an unknown version" if version is None else f"version {version}"
    return RecoveryError(
        f"the state in the recovery folder has {whose}, but this adtally reads version {VERSION}; go back to the version that wrote it, "
        f"or {count_again(settings)}"
    )


_one_at_a_time = threading.Lock()
"""Lock for msgspec (0.22), which inspects a class on first use, and crashes if two workers' threads do so at the same time."""


class _Envelope(msgspec.Struct):
    rules: dict[str, str]
    state: object


def count_again(settings: Settings) -> str:
    """Return how to count all of the logs again, next to the old results: text and command for the end of an error message.

    Topics of its own, for what is final on the old ones may be more than what the logs still hold.
    """
    results, rejected = _next(settings.results_topic), _next(settings.rejected_topic)
    start = "" if settings.start == "earliest" else f"{variable('start')}=earliest "
    return (
        f"count all that {settings.logs_topic} still holds again, into new topics: "
        f"mkdir recovery-new && python -m bytewax.recovery recovery-new 8 && {start}{variable('results_topic')}={results} "
        f"{variable('rejected_topic')}={rejected} python -m bytewax.run dataflows.marketing -r recovery-new -s 5 -b 0"
    )


def _next(topic: str) -> str:
    """Return the next name: ``results-2`` for ``results``, ``results-3`` for ``results-2``."""
    counted = re.fullmatch(r"(.*)-(\d{1,6})", topic)
    return f"{counted[1]}-{int(counted[2]) + 1}" if counted else f"{topic}-2"


def _rules(settings: Settings) -> dict[str, str]:
    """Return the settings that a state depends on: with other ones, cells would be cut, closed or added up differently."""
    rules = Rules.of(settings)
    of_breakdowns = {variable("breakdown_cells"): str(rules.breakdown_cells)} if rules.breakdowns else {}
    return {
        variable("window_seconds"): f"{rules.window / SECOND:.15g}",
        variable("out_of_order_seconds"): f"{rules.out_of_order / SECOND:.15g}",
        variable("allowed_lateness_seconds"): f"{rules.lateness / SECOND:.15g}",
        variable("currency"): rules.currency,
        variable("event_types"): event_types.text_of(rules.declared),
        variable("breakdowns"): breakdowns.text_of(rules.breakdowns),
        **of_breakdowns,
    }


_NONE = "(none)"
"""An empty setting, in an error message."""


def stored_versions(part: Path) -> Iterator[int]:
    """Yield the version of the newest state of each step in `part`, a file of a recovery store; nothing of its content is run.

    Raises `ValueError` for a state that is more than plain values, and `sqlite3.Error` for a file that can't be read.
    """
    newest = "SELECT ser_change, max(snap_epoch) FROM snaps WHERE ser_change IS NOT NULL GROUP BY step_id"
    with closing(sqlite3.connect(f"{part.resolve().as_uri()}?mode=ro", uri=True, timeout=5)) as store:
        for content, _ in store.execute(newest):
            version = _stored_version(content)
            if version is not None:
                yield version


def _stored_version(content: bytes) -> int | None:
    """Return the number that follows the key ``adtally`` in a pickle, by its operations alone: it is not unpickled."""
    texts: list[str] = []
    version: int | None = None
    for operation, argument, _ in pickletools.genops(content):
        if operation.name in _BEYOND_PLAIN_VALUES:
            raise ValueError(f"it has a {'.'.join(texts[-2:]) if operation.name == 'STACK_GLOBAL' else argument}")
        if isinstance(argument, str):
            texts.append(argument)
        elif isinstance(argument, int) and operation.name.startswith("BININT") and version is None and texts[-1:] == ["adtally"]:
            version = argument
    return version


_BEYOND_PLAIN_VALUES = {
    "GLOBAL",
    "STACK_GLOBAL",
    "INST",
    "OBJ",
    "REDUCE",
    "BUILD",
    "NEWOBJ",
    "NEWOBJ_EX",
    "EXT1",
    "EXT2",
    "EXT4",
    "PERSID",
}
"""Operations of a pickle that name or make anything but numbers, texts, bytes, lists and dicts."""
