"""The cells that an event counts in: one of the results, and one of each breakdown."""

from __future__ import annotations

from collections import defaultdict

from dataflows.contract.metrics import CellKey, Cells, Metrics, contributions
from dataflows.contract.schema import Event, values_of
from dataflows.intake.rules import Rules
from dataflows.wire.cell_bytes import Share


class Tables:
    """Cells of all tables, by window, to which events are added until they are taken."""

    def __init__(self, rules: Rules) -> None:
        self._currency = rules.currency
        self._values = [values_of(breakdown.fields, rules.columns) for breakdown in rules.breakdowns]
        self._contributions = contributions(rules.declared)
        self._declared = len(rules.declared)
        self._formats = rules.formats()
        self._cells = defaultdict[tuple[int, int], Cells](dict)

    def keys(self, event: Event) -> list[CellKey]:
        """Return the key of the cell of `event` in each table, as if every breakdown had admitted it."""
        currency = event.currency or self._currency
        main: list[CellKey] = [(event.campaign_id, event.channel, currency)]
        return main + [(event.campaign_id, event.channel, *values(event), currency) for values in self._values]

    def add(self, window: int, keys: list[CellKey], event: Event) -> None:
        """Add `event` to the cells of `window` that `keys` name, one of each table."""
        adds = self._contributions[event.event_type]
        for table, key in enumerate(keys):
            cells = self._cells[window, table]
            metrics = cells.get(key)
            if metrics is None:
                metrics = cells[key] = Metrics(declared=[0] * self._declared)
            metrics.add(event, adds)

    def take(self) -> dict[tuple[int, int], Cells]:
        """Return the cells since the last call, by the start of their window and their table."""
        cells, self._cells = self._cells, defaultdict(dict)
        return cells

    def take_shares(self) -> list[Share]:
        """Return the cells since the last call as the shares of the shards."""
        return [
            share
            for (window, table), cells in self.take().items()
            for share in self._formats[table].shares_of(window, table, cells)
        ]
