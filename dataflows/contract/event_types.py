"""The event types that a deployment declares in addition to the built-in ones, in ``ADTALLY_EVENT_TYPES``."""

from __future__ import annotations

import re
from typing import get_args

from dataflows.contract.errors import SettingsError
from dataflows.contract.measures import RATIOS, TOTALS
from dataflows.contract.metrics import ROLES, SUMS
from dataflows.contract.schema import DeclaredType, EventType

MAX_TYPES = 32
"""Number of event types that a deployment may declare."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_VARIABLE = "ADTALLY_EVENT_TYPES"


def parse(text: str) -> tuple[DeclaredType, ...]:
    """Return the types in `text`, such as ``add_to_cart,lead:conversion``, in their order.

    Raises `SettingsError`, which names the part that can't be used.
    """
    declared = tuple(_type(part.strip()) for part in text.split(",")) if text.strip() else ()
    names = [one.name for one in declared]
    for name in names:
        if names.count(name) > 1:
            raise SettingsError(f"{_VARIABLE} declares {name!r} twice; remove one of the two.")
    if len(declared) > MAX_TYPES:
        raise SettingsError(
            f"{_VARIABLE} declares {len(declared)} event types, but at most {MAX_TYPES} are possible; remove some."
        )
    return declared


def text_of(declared: tuple[DeclaredType, ...]) -> str:
    """Return the text that `parse` reads as `declared`."""
    return ",".join(one.name if one.role is None else f"{one.name}:{one.role}" for one in declared)


def _type(part: str) -> DeclaredType:
    name, colon, role = (word.strip() for word in part.partition(":"))
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f"{_VARIABLE} has {name!r} as an event type; a name begins with a letter or a digit and has at most 64 "
            "letters, digits, dots, hyphens and underscores."
        )
    if name in get_args(EventType):
        raise SettingsError(f"{_VARIABLE} declares {name!r}, which is a built-in event type; remove it or choose another name.")
    if name in {*SUMS, *(measure.id for measure in (*TOTALS, *RATIOS))}:
        raise SettingsError(f"{_VARIABLE} declares {name!r}, which is the name of a built-in measure; choose another name.")
    if colon and role not in ROLES:
        raise SettingsError(
            f"{_VARIABLE} gives {name!r} the role {role!r}; a role is one of {', '.join(ROLES)}, or left out with its colon."
        )
    return DeclaredType(name, role if colon else None)
