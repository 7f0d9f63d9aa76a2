"""The settings of a deployment as the oracle takes them: what decides the outcome of an event, and the tables of its results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

SECOND = 1_000_000

BUILT_IN = ("impression", "click", "conversion", "purchase", "refund", "cost")
"""Event types that need no declaration."""

DIMENSIONS = ("adgroup_id", "ad_id", "keyword", "placement", "device", "country", "landing_page", "click_id")
"""Fields that are validated in every deployment, broken down or not."""

MAIN = ""
"""The table of the main results, among those of the breakdowns."""


@dataclass(frozen=True)
class Terms:
    """The settings of the deployment, durations in seconds."""

    window: int = 60
    out_of_order: float = 5
    lateness: float = 600
    max_ahead: float = 300
    currency: str = "USD"
    dedup: bool = True
    silence: bool = True
    """Whether a partition may have been silent until windows were closed without it: then less can be said of states."""
    breakdowns: str = ""
    """As ADTALLY_BREAKDOWNS has them: ``ad=adgroup_id,ad_id;device``."""
    breakdown_cells: int = 10_000
    """Cells of a breakdown and window that a partition admits."""
    event_types: str = ""
    """As ADTALLY_EVENT_TYPES has them: ``add_to_cart,lead:conversion``."""

    @property
    def span(self) -> int:
        """How long (microseconds of its partition's clock) the ids of a generation are gathered; three of them are known."""
        return max(1, -(-round((self.window + self.lateness + self.out_of_order) * SECOND) // 2))

    def tables(self) -> dict[str, tuple[str, ...]]:
        """The fields of each table by its name, the main one first, which has none."""
        given = [part.partition("=") for part in self.breakdowns.split(";") if part.strip()]
        parts = {
            name.strip(): [field.strip() for field in (fields if equals else name).split(",")] for name, equals, fields in given
        }
        return {MAIN: (), **{name: tuple(fields) for name, fields in parts.items()}}

    def types(self) -> dict[str, str]:
        """The built-in type as which an event of each type counts, its role; empty where it has none."""
        given = [part.strip().partition(":") for part in self.event_types.split(",") if part.strip()]
        return {**{name: name for name in BUILT_IN}, **{name.strip(): role.strip() for name, _, role in given}}

    def declared(self) -> tuple[str, ...]:
        """The declared types, in their order."""
        return tuple(name for name in self.types() if name not in BUILT_IN)


class Configured(Protocol):
    """What a deployment is configured with, under the names of its settings."""

    @property
    def window_seconds(self) -> int: ...
    @property
    def out_of_order_seconds(self) -> float: ...
    @property
    def allowed_lateness_seconds(self) -> float: ...
    @property
    def max_ahead_seconds(self) -> float: ...
    @property
    def currency(self) -> str: ...
    @property
    def dedup(self) -> bool: ...
    @property
    def breakdowns(self) -> str: ...
    @property
    def breakdown_cells(self) -> int: ...
    @property
    def event_types(self) -> str: ...


def terms_of(settings: Configured, *, silence: bool = True) -> Terms:
    """The terms of a deployment with these settings."""
    return Terms(
        settings.window_seconds,
        settings.out_of_order_seconds,
        settings.allowed_lateness_seconds,
        settings.max_ahead_seconds,
        settings.currency,
        settings.dedup,
        silence,
        settings.breakdowns,
        settings.breakdown_cells,
        settings.event_types,
    )
