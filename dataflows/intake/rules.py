"""The rules that decide the outcome of an event; a function of the log alone."""

from __future__ import annotations

import datetime as dt

import msgspec

from dataflows.contract.breakdowns import Breakdown, columns
from dataflows.contract.event_types import DeclaredType
from dataflows.contract.settings import Settings
from dataflows.wire.cell_bytes import CellFormat

SECOND = 1_000_000

KEPT = 3
"""Number of generations of ids that are searched: the current one and two before it, so that an id is known for 2 to 3 spans."""

FIRST = dt.datetime(1, 1, 2, tzinfo=dt.UTC)
LAST = dt.datetime(9999, 12, 30, tzinfo=dt.UTC)
"""The times for which a window can be named whatever its length."""


class Rules(msgspec.Struct, frozen=True):
    """The settings that decide the outcome of an event; times in microseconds.

    `currency` is that of an event that names none. The tables are the results (0), then the `breakdowns`; `breakdown_cells` bounds how many
    cells of a breakdown and window a partition admits.
    """

    window: int
    out_of_order: int
    lateness: int
    max_ahead: int
    currency: str
    dedup: bool
    declared: tuple[DeclaredType, ...] = ()
    breakdowns: tuple[Breakdown, ...] = ()
    breakdown_cells: int = 10_000

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
            declared=settings.declared_types,
            breakdowns=settings.breakdown_list,
            breakdown_cells=settings.breakdown_cells,
        )

    @property
    def types(self) -> tuple[str, ...]:
        """The names of the declared event types, in their order."""
        return tuple(declared.name for declared in self.declared)

    @property
    def columns(self) -> tuple[str, ...]:
        """The fields of an event that any breakdown names, in the order of an event's values."""
        return columns(self.breakdowns)

    def formats(self) -> list[CellFormat]:
        """Return the format of the cells of each table."""
        fields = [0, *(len(breakdown.fields) for breakdown in self.breakdowns)]
        return [CellFormat(len(self.declared), count) for count in fields]

    @property
    def refills(self) -> bool:
        """Whether a restart must read messages again: for the ids, or for the cells that the breakdowns have admitted."""
        return self.dedup or bool(self.breakdowns)

    @property
    def marks_kept(self) -> int:
        """Number of generations that a restart reads again.

        For ids alone those that are searched. With breakdowns, whose windows can begin as far back as the oldest of these, every
        duplicate of an event of such a window must be recognised again, for which as many generations before it are needed.
        """
        return 2 * KEPT - 1 if self.dedup and self.breakdowns else KEPT

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
