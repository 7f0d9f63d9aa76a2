"""The cells that an event counts in: one of the results, and one of each breakdown."""

from __future__ import annotations

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
        self._formats = rules.formats()
        self._new = [0] * len(rules.declared)
        self._tables = range(1 + len(rules.breakdowns))
        self._windows: dict[int, list[Cells]] = {}

    def keys(self, event: Event) -> list[CellKey]:
        """Return the key of the cell of `event` in each table, as if every breakdown had admitted it."""
        currency = event.currency or self._currency
        keys: list[CellKey] = [(event.campaign_id, event.channel, currency)]
        if self._values:
            keys += [(event.campaign_id, event.channel, *values(event), currency) for values in self._values]
        return keys

    def add(self, window: int, keys: list[CellKey], event: Event) -> None:
        """Add `event` to the cells of `window` that `keys` name, one of each table."""
        adds = self._contributions[event.event_type]
        tables = self._windows.get(window)
        if tables is None:
            tables = self._windows[window] = [{} for _ in self._tables]
        for table, key in enumerate(keys):
            metrics = tables[table].get(key)
            if metrics is None:
                metrics = tables[table][key] = Metrics(declared=self._new.copy())
            metrics.add(event, adds)

    def take(self) -> dict[tuple[int, int], Cells]:
        """Return the cells since the last call, by the start of their window and their table."""
        windows, self._windows = self._windows, {}
        return {(window, table): cells for window, tables in windows.items() for table, cells in enumerate(tables)}

    def take_shares(self) -> list[Share]:
        """Return the cells since the last call as the shares of the shards."""
        return [
            share
            for (window, table), cells in self.take().items()
            for share in self._formats[table].shares_of(window, table, cells)
        ]
