"""What a deployment has declared beyond the contract - currency, event types, breakdowns - as C reads it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ctypes import c_int32

from dataflows.native.structs import Breakdown, Named, Plan


class TallyPlan:
    """A `Plan` of plan.h, and the memory that it points to, which is there as long as this is."""

    def __init__(
        self,
        *,
        currency: str,
        roles: Sequence[str] = (),
        declared: Iterable[tuple[str, str | None]] = (),
        fields: Sequence[str] = (),
        breakdowns: Sequence[Sequence[str]] = (),
        bound: int = 1,
    ) -> None:
        """`roles`: the built-in event types in the contract's order; `declared`: name and role of each declared type.

        `fields`: those of the `breakdowns`, each once; `bound`: number of keys that a breakdown admits in a window.
        """
        numbers = {role: number for number, role in enumerate(roles)}
        types = [(name, len(roles) if role is None else numbers[role]) for name, role in declared]
        self.types: Mapping[str, tuple[int, int]] = {
            **{name: (number, -1) for name, number in numbers.items()},
            **{name: (role, number) for number, (name, role) in enumerate(types)},
        }
        """Role and number of each event type; the number of a built-in one is -1."""
        slots = {field: slot for slot, field in enumerate(fields)}
        self._fields = _named([(field, 0) for field in fields])
        self._types = _named(types)
        self._slots = [(c_int32 * len(own))(*[slots[field] for field in own]) for own in breakdowns]
        self._breakdowns = (Breakdown * len(breakdowns))(*[Breakdown(own, len(own)) for own in self._slots])
        self.plan = Plan(
            *(self._fields, self._types, self._breakdowns, bound),
            *(len(fields), len(types), len(breakdowns), currency.encode()),
        )
        """The plan itself."""


def _named(names: Sequence[tuple[str, int]]) -> object:
    return (Named * len(names))(*[Named(raw := name.encode(), len(raw), role) for name, role in names])
