"""The sums of a cell, and the contribution of an event to them. This module knows neither time nor Kafka.

All fields are sums, so that partial tallies of one cell can be merged in any order and give the same figures.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from dataflows.contract.schema import DeclaredType, Event, EventType, Value


class Metrics(msgspec.Struct, gc=False, array_like=True):
    """Sums of one cell (a window, and a key of `Cells`): counts, and money in integer micros of the cell's currency.

    `declared` has the number of events of each declared type, in the order of their declaration.
    """

    impressions: int = 0
    clicks: int = 0
    conversions: int = 0
    purchases: int = 0
    refunds: int = 0
    spend_micros: int = 0
    revenue_micros: int = 0
    refund_micros: int = 0
    events: int = 0
    declared: list[int] = []

    def merge(self, other: Metrics) -> None:
        """Add the sums of `other` to these."""
        for name in SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for index, count in enumerate(other.declared):
            self.declared[index] += count

    def add(self, event: Event, adds: Contribution) -> None:
        """Add `event`, of a type that contributes `adds`."""
        self.events += 1
        for name in adds.counts:
            setattr(self, name, getattr(self, name) + 1)
        if adds.declared is not None:
            self.declared[adds.declared] += 1
        if event.revenue_micros:
            setattr(self, adds.revenue, getattr(self, adds.revenue) + event.revenue_micros)
        if event.cost_micros:
            self.spend_micros += event.cost_micros


SUMS: tuple[str, ...] = tuple(name for name in Metrics.__struct_fields__ if name != "declared")
"""The names of the fixed sums, in their order: the counts, the money, the events."""

MONEY = tuple(name for name in SUMS if name.endswith("_micros"))
"""Sums of money, in micros of the cell's currency."""

COUNTS = tuple(name for name in SUMS if name not in {*MONEY, "events"})
"""Counts of events of certain types; `events` counts them all."""


class Contribution(msgspec.Struct, frozen=True):
    """Contribution of an event of one type to its cell: 1 to each of `counts`, its revenue to `revenue`. Its cost is always spend.

    `declared`: the place of the type among the declared ones, whose count is also increased by 1; None for a built-in type.
    """

    counts: tuple[str, ...]
    revenue: str = "revenue_micros"
    declared: int | None = None


CONTRIBUTIONS: dict[EventType, Contribution] = {
    "impression": Contribution(("impressions",)),
    "click": Contribution(("clicks",)),
    "conversion": Contribution(("conversions",)),
    # A purchase is a conversion with money.
    "purchase": Contribution(("conversions", "purchases")),
    "refund": Contribution(("refunds",), revenue="refund_micros"),
    "cost": Contribution(()),
}

ROLES: tuple[EventType, ...] = ("impression", "click", "conversion", "purchase", "refund")
"""The built-in types whose contribution a declared type may have too."""


def contributions(declared: Iterable[DeclaredType]) -> dict[str, Contribution]:
    """Return the contribution of each built-in type and of each of the `declared` ones, by its name."""
    adds: dict[str, Contribution] = {**CONTRIBUTIONS}
    for place, declaration in enumerate(declared):
        role = Contribution(()) if declaration.role is None else adds[declaration.role]
        adds[declaration.name] = msgspec.structs.replace(role, declared=place)
    return adds


CellKey = tuple[Value, ...]
"""Campaign, channel, the values of a breakdown's fields (none in the main results), and currency."""

Cells = dict[CellKey, Metrics]
"""Metrics by key, all of one window and table."""
