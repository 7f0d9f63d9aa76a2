"""The rules that decide the outcome of an event; a function of the log alone."""

from __future__ import annotations

import datetime as dt

import msgspec

from dataflows.contract.settings import Settings

SECOND = 1_000_000

KEPT = 3
"""Number of generations of ids that are searched: the current one and two before it, so that an id is known for 2 to 3 spans."""

FIRST = dt.datetime(1, 1, 2, tzinfo=dt.UTC)
LAST = dt.datetime(9999, 12, 30, tzinfo=dt.UTC)
"""The times for which a window can be named whatever its length."""


class Rules(msgspec.Struct, frozen=True):
    """The settings that decide the outcome of an event, in microseconds."""

    window: int
    out_of_order: int
    lateness: int
    max_ahead: int
    currency: str
    dedup: bool

    @classmethod
    def of(cls, settings: Settings) -> Rules:
        """Return the rules in `settings`."""
        return cls(
            window=settings.window_seconds * SECOND,
            out_of_order=round(settings.out_of_order_seconds * SECOND),
            lateness=round(settings.allowed_lateness_seconds * SECOND),
            max_ahead=round(settings.max_ahead_seconds * SECOND),
            currency=settings.currency,
            dedup=settings.dedup,
        )

    @property
    def horizon(self) -> int:
        """The least event time for which an id must be remembered."""
        return self.window + self.lateness + self.out_of_order

    @property
    def id_span(self) -> int:
        """The event time of a generation of ids."""
        return span(self.horizon)

    def generation(self, clock: int) -> int:
        """Return the generation of ids that `clock` falls in."""
        return clock // self.id_span

    def start(self, moment: int) -> int:
        """Return the start of the window of `moment`."""
        return moment - moment % self.window

    def is_late(self, moment: int, clock: int) -> bool:
        """Whether an event of `moment` comes later than the allowed lateness, its partition's clock being `clock`."""
        return self.start(moment) + self.window + self.lateness <= clock - self.out_of_order


def span(horizon: int) -> int:
    """Return the event time of a generation of ids that are remembered for at least `horizon`."""
    return max(1, -(-horizon // (KEPT - 1)))
